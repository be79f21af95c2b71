"""The application as layers: one, or several of a large one; each made anew only if something in it has changed.

Keys are what the system says of each file, as git's index has it, and not what is in them: to read a folder in order to
know whether it has to be read costs as much as the layer (docs/decisions/0181-the-key-of-the-application.md).
"""

import os
from collections.abc import Iterator, Sequence

from buildpacks.api import LayerSpec
from imagebuilder import parted
from imagebuilder.parted import Part
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest
from imagebuilder.text import printable
from layers import canonical, content, digest
from layers.canonical import Json
from layers.digest import Digest
from layers.entry import Entry, SourceFile

# Data of this size in an application is more often forgotten than meant.
_LARGE = 100 << 20
_AT_A_TIME = 1000


def layers(request: BuildRequest, progress: Progress) -> Iterator[LayerSpec]:
    """Describe the layers of the files of an application; warn of those that are hardly meant to be in an image."""
    listing = request.app.listing
    for entry in listing.entries:
        if entry.size >= _LARGE:
            progress.warn(
                f"{printable(entry.path)} has {entry.size / 1e6:.0f} MB; "
                "name it in .imagebuilderignore if the image can do without it"
            )
    for part in parted.parts(listing.entries, at=listing.at):
        yield _layer(part, request, listing.began_ns)


def _layer(part: Part, request: BuildRequest, listed_ns: int) -> LayerSpec:
    folder = os.path.realpath(request.source)
    key = _key(part.entries, folder, listed_ns)
    return LayerSpec(part.name, key, lambda _files: part.entries, local=folder)


def _key(entries: Sequence[Entry], folder: str, listed_ns: int) -> dict[str, Json]:
    """Name all that the layer's bytes depend on; empty if a file is so young that its time says nothing.

    Of the files that is a hash, made of some at a time: there may be a hundred thousand.
    """
    hasher = digest.sha256()
    for start in range(0, len(entries), _AT_A_TIME):
        rows: list[Json] = []
        for each in entries[start : start + _AT_A_TIME]:
            said: tuple[int, ...] = ()
            if isinstance(each.content, SourceFile):
                said = each.content.stamp
                if not content.is_settled(said[-1], listed_ns):
                    return {}
            rows.append((each.path, each.mode, each.target, said))
        hasher.update(canonical.encode(rows))
    files = Digest.from_hasher(hasher).value
    return {"layer": parted.NAME, "folder": folder, "files": files}
