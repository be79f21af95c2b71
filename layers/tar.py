"""Tar streams: the one way entries become tar bytes (POSIX.1-2017 pax, ustar Interchange Format).

A header holds what an Entry holds and nothing else: one time for every file, no user names, no device numbers. Names
are raw bytes, as GNU tar writes them; a PAX header appears only where ustar cannot hold a path, a link or a size.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing

from layers import content
from layers.entry import Content, Entry, Kind, directory
from layers.errors import IntegrityError
from layers.values import replace

# 1980-01-01T00:00:01Z: the first second that zip files and Python tools accept, and the one buildpacks use.
MTIME = 315532801

BLOCK = 512
_NAME = 100
_PREFIX = 155
_LARGEST = 0o77777777777
_CONSTANT = b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0"
# The checksum is counted with its own field full of spaces.
_CONSTANT_SUM = sum(_CONSTANT) + 8 * ord(" ")
_PADDING = [bytes(length) for length in range(BLOCK)]
_END = bytes(2 * BLOCK)


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries by the bytes of their path and add the parents that are missing (0755, root).

    Equal entries are kept once. Of files joined by hard links the first by path holds the content, whichever name the
    source gave it, so that a link always follows its target. Raises IntegrityError IB514 for two different entries
    with one path, an entry below something that is no directory, and a hard link without a file.
    """
    found: dict[bytes, Entry] = {}
    for entry in entries:
        if (first := found.setdefault(entry.path_bytes, entry)) is not entry and first != entry:
            raise _contradiction(f"a layer cannot hold two different entries for {entry.path!r}")
    _add_parents(found)
    _turn_links(found)
    return [found[path] for path in sorted(found)]


def pieces(entries: Iterable[Entry]) -> Iterator[Content]:
    """Yield a tar: headers and padding as bytes, and between them contents that are still to be read.

    Entries are written as they come; `ordered` prepares those of a layer.
    """
    pending = b""
    for entry in entries:
        pending += _header(entry)
        # An empty content that is not here yet is read too: it must turn out to be empty.
        if entry.kind is Kind.FILE and entry.content != b"":
            yield pending
            yield entry.content
            pending = _PADDING[-entry.size % BLOCK]
    yield pending + _END


def chunks(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the bytes of an uncompressed tar of these entries, in the order given: how archives are written."""
    with closing(content.Reader()) as reader:
        for piece in pieces(entries):
            yield from reader.read(piece)


def _add_parents(found: dict[bytes, Entry]) -> None:
    for path in list(found):
        child = path
        while b"/" in child:
            child = child.rpartition(b"/")[0]
            if child not in found:
                found[child] = directory(child.decode("utf-8", "surrogateescape"))
            elif found[child].kind is Kind.DIRECTORY:
                break  # this one's parents are added in its own turn
            else:
                raise _contradiction(f"{found[path].path!r} lies below {found[child].path!r}, which is no directory")


def _turn_links(found: dict[bytes, Entry]) -> None:
    names: dict[bytes, list[bytes]] = {}
    for path, entry in found.items():
        if entry.kind is Kind.HARDLINK:
            names.setdefault(_linked_file(found, entry), []).append(path)
    for target, links in names.items():
        file = found[target]
        first, *others = sorted([target, *links])
        found[first] = replace(file, path=first.decode("utf-8", "surrogateescape"))
        for path in others:
            name = path.decode("utf-8", "surrogateescape")
            found[path] = replace(file, path=name, kind=Kind.HARDLINK, content=b"", target=found[first].path)


def _linked_file(found: dict[bytes, Entry], link: Entry) -> bytes:
    path = link.path_bytes
    for _ in range(len(found)):
        entry = found.get(path)
        if entry is None or entry.kind not in (Kind.FILE, Kind.HARDLINK):
            break
        if entry.kind is Kind.FILE:
            return path
        path = entry.target.encode("utf-8", "surrogateescape")
    raise _contradiction(f"the hard link {link.path!r} leads to no file: {link.target!r}")


def _header(entry: Entry) -> bytes:
    path = entry.path_bytes + (b"/" if entry.kind is Kind.DIRECTORY else b"")
    target = entry.target.encode("utf-8", "surrogateescape")
    size = entry.size if entry.kind is Kind.FILE else 0
    prefix, name = _split(path)
    extended = b""
    if len(target) > _NAME:
        extended += _pax_record(b"linkpath", target)
        target = target[:_NAME]
    if len(name) > _NAME:
        extended += _pax_record(b"path", path)
        name = name[:_NAME]
    if size > _LARGEST:
        extended += _pax_record(b"size", b"%d" % size)
        size = 0
    block = _block(name, prefix, entry.kind.value, target, mode=entry.mode, uid=entry.uid, gid=entry.gid, size=size)
    if not extended:
        return block
    first = _block(b"PaxHeaders", b"", b"x", b"", mode=0o644, uid=0, gid=0, size=len(extended))
    return first + extended + _PADDING[-len(extended) % BLOCK] + block


def _split(path: bytes) -> tuple[bytes, bytes]:
    """Split a path into ustar's prefix and name, at the first slash that leaves both short enough, if there is one."""
    if len(path) > _NAME:
        cut = path.find(b"/", len(path) - _NAME - 1, len(path) - 1)
        if 0 < cut <= _PREFIX:
            return path[:cut], path[cut + 1 :]
    return b"", path


def _pax_record(key: bytes, value: bytes) -> bytes:
    """Return `length key=value\\n`, whose length counts its own digits."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest)
    while (total := len(b"%d" % length) + len(rest)) != length:
        length = total
    return b"%d%s" % (length, rest)


def _block(
    name: bytes, prefix: bytes, kind: bytes, target: bytes, *, mode: int, uid: int, gid: int, size: int
) -> bytes:
    # name 100, mode 8, uid 8, gid 8, size 12, mtime 12 | checksum 8 | type 1, linkname 100, magic and version 8,
    # uname 32, gname 32, devmajor 8, devminor 8, prefix 155, filler 12
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, MTIME)
    return b"".join(
        (
            name.ljust(_NAME, b"\0"),
            numbers,
            # NULs count for nothing.
            b"%06o\0 " % (sum(b"".join((name, numbers, kind, target, prefix))) + _CONSTANT_SUM),
            kind,
            target.ljust(_NAME, b"\0"),
            _CONSTANT,
            prefix.ljust(_PREFIX + 12, b"\0"),
        )
    )


def _contradiction(what: str) -> IntegrityError:
    return IntegrityError(
        what,
        hint="the archives it is made from contradict each other; leave one of them out",
        code="IB514",
    )
