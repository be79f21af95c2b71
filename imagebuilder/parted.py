"""Which files of a large application share a layer: those that the hashes of their paths put together.

The rule is part of the output format (docs/decisions/0208-large-applications-in-layers.md). Nothing but paths and sizes
decides: a file that comes, goes or changes makes its own part anew, and no other.
"""

from collections.abc import Sequence

from buildpacks import grouping
from layers.entry import Entry, Kind
from layers.values import dataclass

NAME = "application"
# An application of more bytes has several layers; so many bytes of files at most are sent again for a neighbour's sake.
SHARED_BYTES = 64 << 20
# With 99 of others (docs/decisions/0190-small-packages-in-groups-by-hash.md) fewer than the 125 of Docker.
MOST_LAYERS = 24


@dataclass(frozen=True, slots=True)
class Part:
    """A layer of an application: its name, and what is in it."""

    name: str
    entries: Sequence[Entry]


def parts(entries: Sequence[Entry], *, at: str, shared: int = SHARED_BYTES) -> tuple[Part, ...]:
    """Part an application that is to lie at a path of the image; one of no more than `shared` bytes is whole.

    Folders and links come first. No part of several is called as the whole.
    """
    if sum(entry.size for entry in entries) <= shared:
        return (Part(NAME, entries),)
    files = {entry.path[len(at) + 1 :]: entry for entry in entries if entry.kind is Kind.FILE}
    sizes = {path: entry.size for path, entry in files.items()}
    others = tuple(entry for entry in entries if entry.kind is not Kind.FILE)
    return (
        *([Part(f"{NAME} folders", others)] if others else []),
        *(
            Part(_name(group), tuple(files[path] for path in group.members))
            for group in grouping.groups(sizes, most=MOST_LAYERS - 1, shared=shared)
        ),
    )


def is_part(name: str) -> bool:
    """Say whether a layer of this name is an application, or a part of one."""
    return name == NAME or name.startswith(f"{NAME} ")


def _name(group: grouping.Group) -> str:
    """Name a part: no file that is alone can have the name of another part, whatever it is called.

    It is in the image, so what is escaped must not depend on the version of Unicode that Python knows.
    """
    if group.kind == "small":
        return group.layer(f"{NAME} files")
    return f"{NAME} ./" + group.members[0].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
