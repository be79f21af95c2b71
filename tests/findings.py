"""What `diff --json` and `check --json` found, as tests ask for it; found once, also by several processes of pytest."""

import fcntl
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Finding:
    """A difference: which part of the image, where in it, what of it, why, and what is to blame."""

    part: str
    path: str
    aspect: str
    cause: str
    note: str
    follows: bool
    blamed: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """All that a command found."""

    document: dict[str, Any]

    @property
    def all(self) -> list[Finding]:
        """Every difference, of documents and of files."""
        fields = Finding.__dataclass_fields__
        return [
            Finding(**{**{name: one[name] for name in fields}, "blamed": tuple(one["blamed"])})
            for one in self.document["differences"]
        ]

    @property
    def causes(self) -> set[str]:
        """The causes of all differences."""
        return {one.cause for one in self.all}

    def of(self, cause: str) -> set[str]:
        """Where a cause is at work."""
        return {one.path for one in self.all if one.cause == cause}

    def at(self, path: str) -> list[Finding]:
        """What was found at a path, or in the archive that is there."""
        return [one for one in self.all if one.path == path or one.path.startswith(f"{path}!/")]


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], dict[str, Any]]) -> dict[str, Findings]:
    """Make documents in a folder, or take those that another process of this run of pytest has made."""
    shared = factory.getbasetemp()
    if shared.name.startswith("popen-"):  # that of one process of pytest-xdist
        shared = shared.parent
    place = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            place.write_text(json.dumps(make(factory.mktemp(name))))
    return {key: Findings(document) for key, document in json.loads(place.read_text()).items()}
