"""Settled layers: those that came out the same plain and with everything varied.

The builds of a check that only look for what is to blame for the others take these as they were made: a base of many
megabytes is not put together again to find out which variation reaches a file of ten bytes.
"""

import os
import shutil
from pathlib import Path

from imagebuilder.cache import blob_of
from layers.values import dataclass, field


@dataclass(slots=True)
class Settled:
    """The records of a cache (see `imagebuilder.cache`) that were equal in all builds noted so far, by file name."""

    _records: dict[str, bytes] = field(default_factory=dict)
    _noted: bool = False

    def note(self, store: Path) -> None:
        """Keep what the store of a further build says of layers as all others before it did."""
        folder = store / "results"
        found = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
        self._records = (
            {name: record for name, record in found.items() if self._records.get(name) == record}
            if self._noted
            else found
        )
        self._noted = True

    def give(self, store: Path, blobs: Path, *, owner: int | None = None) -> None:
        """Put the layers into a new store, from the blobs of the plain build; `owner` is a user to give them to."""
        given = [store / "results"]
        given[0].mkdir()
        for name, record in self._records.items():
            blob = blob_of(name, record).digest.hex
            given += [given[0] / name, store / "blobs" / "sha256" / blob]
            given[-2].write_bytes(record)
            shutil.copyfile(blobs / blob, given[-1])
        if owner is not None:
            for path in given:
                os.chown(path, owner, owner)
