"""A stack of layers as one root: what matters of it, read as streams and written nowhere; or all of its files.

A layer hides files of those below it: by another file at their path or above it, by a whiteout, by an opaque folder
(image-spec, layer.md, "Applying Changesets").
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from imagebuilder.base.root import Root
from layers import decompress, tarball
from layers.blobs import BlobStore
from layers.entry import Content, Entry, Kind, Stored
from layers.errors import IntegrityError
from layers.layer import Layer
from layers.tarball import Forward, Member
from layers.values import replace

# How a file is kept: what the function makes of its content. None: the file does not matter.
Reader = Callable[[bytes], bytes]
Wanted = Callable[[str], Reader | None]
# What is made of a member, given what its layer has added so far; None if it does not matter.
Keep = Callable[[Member, Mapping[str, Entry]], Entry | None]

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# Larger than any interpreter or C library; of a larger file nothing is looked at.
_CONTENT_MAX = 128 << 20
# What no honest layer unpacks to: more than this many times its size, from this size on.
_RATIO = 200
_ALWAYS_ALLOWED = 1 << 30
# The same for files of an image: ten times those of the largest bases.
_ENTRIES_MAX = 2_000_000


def allowed(layers: Sequence[Layer]) -> int:
    """Return how many bytes layers may unpack to."""
    return max(_ALWAYS_ALLOWED, _RATIO * sum(layer.descriptor.size for layer in layers))


def tar(layer: Layer, store: BlobStore, *, most: int) -> Iterator[bytes]:
    """Yield the tar of a stored layer in chunks.

    Raises what `decompress.tar` raises, IntegrityError IB256 as soon as it has more than so many bytes.
    """
    size = 0
    for chunk in decompress.tar(layer, store.open(layer.descriptor.digest)):
        size += len(chunk)
        if size > most:
            raise _too_much(f"layer {layer.descriptor.digest}", f"{layer.descriptor.size} bytes become over {most}")
        yield chunk


def files(layers: Sequence[Layer], store: BlobStore, *, spools: Path) -> list[Entry]:
    """List all that stored layers, given from the bottom, leave of each other; names of one file stay that.

    `spools` is a folder for their tars, which has to last until the entries are written.
    Raises what `tar` and `lay` raise, IntegrityError IB256 for more than any image has. OSError comes as it is.
    """
    root = Root()
    left = allowed(layers)
    for number, layer in enumerate(layers):
        spool = spools / f"{number}.tar"
        with spool.open("xb") as file:
            file.writelines(tar(layer, store, most=left))
            left -= file.tell()
        _lay_all(root, spool)
        if len(root.entries) > _ENTRIES_MAX:
            raise _too_much("the base", f"layers have over {_ENTRIES_MAX} files")
    return _linked(root.entries.values())


def lay(root: Root, tar: Iterable[bytes], wanted: Wanted) -> None:
    """Lay a layer over a root: all its links, and of its files those that are wanted.

    Raises IntegrityError IB558 for a layer that cannot be read safely.
    """
    stream = Forward(tar)
    _lay(root, tarball.members(stream, layer=True), lambda member, added: _kept(member, added, stream, wanted))


def _lay_all(root: Root, spool: Path) -> None:
    with spool.open("rb") as tar:
        _lay(root, tarball.members(tar, layer=True), lambda member, added: _entry(member, added, spool))


def _lay(root: Root, members: Iterable[Member], keep: Keep) -> None:
    added: dict[str, Entry] = {}
    hidden: set[str] = set()
    opaque: set[str] = set()
    for member in members:
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
        if kept := keep(member, added):
            added[member.path] = kept
    for path in [path for path in root.entries if _is_hidden(path, hidden, opaque)]:
        del root.entries[path]
    root.entries.update(added)


def _kept(member: Member, added: Mapping[str, Entry], stream: Forward, wanted: Wanted) -> Entry | None:
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


def _entry(member: Member, added: Mapping[str, Entry], spool: Path) -> Entry | None:
    if member.kind is Kind.HARDLINK:
        file = added.get(member.target)
        return replace(file, path=member.path) if file else None
    content = Stored(spool, member.offset, member.size, name=member.path) if member.kind is Kind.FILE else b""
    return Entry(member.path, member.kind, member.mode, content=content, target=member.target)


def _linked(entries: Iterable[Entry]) -> list[Entry]:
    """Make links again of those names of one file that are left; its content lies at one place of one tar."""
    first: dict[Content, str] = {}
    found = []
    for entry in entries:
        name = first.setdefault(entry.content, entry.path) if entry.kind is Kind.FILE else entry.path
        found.append(entry if name == entry.path else Entry(entry.path, Kind.HARDLINK, entry.mode, target=name))
    return found


def _is_hidden(path: str, hidden: set[str], opaque: set[str]) -> bool:
    if path in hidden or "" in opaque:
        return True
    while folder := path.rpartition("/")[0]:
        if folder in hidden or folder in opaque:
            return True
        path = folder
    return False


def _too_much(what: str, becomes: str) -> IntegrityError:
    return IntegrityError(
        f"refused {what}: its {becomes}", hint="it is damaged or hostile; choose another base", code="IB256"
    )
