"""What matters of a stack of layers: each is read once, as a stream, and nothing of it is written anywhere.

A layer hides files of those below it: by another file at their path or above it, by a whiteout, by an opaque folder
(image-spec, layer.md, "Applying Changesets").
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from imagebuilder.base.root import Root
from layers import tarball
from layers.entry import Entry, Kind
from layers.tarball import Forward, Member

# How a file is kept: what the function makes of its content. None: the file does not matter.
Reader = Callable[[bytes], bytes]
Wanted = Callable[[str], Reader | None]

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# Larger than any interpreter or C library; of a larger file nothing is looked at.
_CONTENT_MAX = 128 << 20


def lay(root: Root, tar: Iterable[bytes], wanted: Wanted) -> None:
    """Lay a layer over a root: all its links, and of its files those that are wanted.

    Raises IntegrityError IB558 for a layer that cannot be read safely.
    """
    added: dict[str, Entry] = {}
    hidden: set[str] = set()
    opaque: set[str] = set()
    stream = Forward(tar)
    for member in tarball.members(stream, layer=True):
        folder, slash, name = member.path.rpartition("/")
        if name == _OPAQUE:
            opaque.add(folder)
            continue
        if name.startswith(_WHITEOUT):
            hidden.add(folder + slash + name.removeprefix(_WHITEOUT))
            continue
        if member.kind is not Kind.DIRECTORY:
            hidden.add(member.path)
        else:
            root.entries.pop(member.path, None)
        if kept := _kept(member, added, stream, wanted):
            added[member.path] = kept
    for path in [path for path in root.entries if _is_hidden(path, hidden, opaque)]:
        del root.entries[path]
    root.entries.update(added)


def _kept(member: Member, added: dict[str, Entry], stream: Forward, wanted: Wanted) -> Entry | None:
    if member.kind is Kind.SYMLINK:
        return Entry(member.path, Kind.SYMLINK, 0o777, target=member.target)
    reader = wanted(member.path)
    if reader is None or member.kind is Kind.DIRECTORY:
        return None
    if member.kind is Kind.HARDLINK:
        file = added.get(member.target)
        return replace(file, path=member.path) if file else None
    content = reader(stream.read(member.size)) if member.size <= _CONTENT_MAX else b""
    return Entry(member.path, Kind.FILE, member.mode, content=content)


def _is_hidden(path: str, hidden: set[str], opaque: set[str]) -> bool:
    if path in hidden or "" in opaque:
        return True
    while folder := path.rpartition("/")[0]:
        if folder in hidden or folder in opaque:
            return True
        path = folder
    return False
