"""Compressed files: why two .gz files differ, by their headers (RFC 1952) and by what is inside."""

import struct
import zlib  # noqa: TID251 files are inflated to be compared
from collections.abc import Iterator, Mapping

from layers.values import dataclass
from reproducibility.content import Content
from reproducibility.contents import hexdump, members, table
from reproducibility.difference import Difference, Known

# How many of them within each other are opened, and how much of one side is unpacked: of those within others less.
_DEPTH_MAX = 2
_PLAIN_MAX = 8 << 20
_DEEPER = 4
_HEADER_MAX = 64 << 10
_CONTENT = "archive-content"

_HEAD = struct.Struct("<HBBIBB")
_MAGIC, _DEFLATED = 0x8B1F, 8
_GZIP = 16 + zlib.MAX_WBITS
_CHECKED, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
_SYSTEMS = {0: "FAT", 3: "Unix", 7: "Macintosh", 10: "NTFS", 11: "NTFS", 255: "unknown"}


@dataclass(frozen=True, slots=True)
class _Header:
    """The fields of a header by name, and what is behind it."""

    fields: Mapping[str, str]
    rest: Content


@dataclass(frozen=True, slots=True)
class _Plain:
    """What a file inflates to; only its beginning if that is not `whole`."""

    content: bytes
    whole: bool

    @property
    def words(self) -> str:
        """Its size."""
        return f"{len(self.content)} bytes{'' if self.whole else ' and more'}"


def differences(
    path: str, left: Content, right: Content, *, known: Known, views: bool
) -> tuple[Difference, ...] | None:
    """Explain two gzip files; None if one of them is none, or is damaged. What is inside has the path `x.gz!/`."""
    here, there = _header(left), _header(right)
    if here is None or there is None:
        return None
    depth = path.count("!/")
    if depth >= _DEPTH_MAX:
        note = f"it lies inside of {depth} archives and is not opened"
        return (Difference("file", path, "content", f"{left.size} bytes", f"{right.size} bytes", _CONTENT, note=note),)
    own = _headers(path, here, there, views=views)
    if hexdump.same(here.rest, there.rest):
        return own or None
    most = _PLAIN_MAX >> _DEEPER * depth
    one, other = _inflate(left, most), _inflate(right, most)
    if one is None or other is None:
        return None
    return (*own, *_inside(path, one, other, known=known, views=views))


def _header(content: Content) -> _Header | None:
    head = content.read(0, _HEADER_MAX)
    if len(head) < _HEAD.size:
        return None
    magic, method, flags, time, extra_flags, system = _HEAD.unpack_from(head)
    if magic != _MAGIC or method != _DEFLATED:
        return None
    at = _HEAD.size
    fields = {
        "time": table.moment(time) if time else "none",
        "level": f"{extra_flags:#x}",
        "system": _SYSTEMS.get(system, str(system)),
        "flags": f"{flags:#x}",
        "extra field": "",
        "name": "",
        "comment": "",
    }
    if flags & _EXTRA:
        size = int.from_bytes(head[at : at + 2], "little")
        fields["extra field"] = head[at + 2 : at + 2 + size].hex()
        at += 2 + size
    for flag, name in ((_NAME, "name"), (_COMMENT, "comment")):
        if flags & flag:
            end = head.find(b"\0", at)
            if end < 0:
                return None
            fields[name] = head[at:end].decode("utf-8", "surrogateescape")
            at = end + 1
    at = min(at + (2 if flags & _CHECKED else 0), content.size)
    return _Header(fields, Content(content.descriptor, content.offset + at, content.size - at))


def _headers(path: str, left: _Header, right: _Header, *, views: bool) -> tuple[Difference, ...]:
    rows = [(name, left.fields[name], right.fields[name]) for name in left.fields]
    differing = [row for row in rows if row[1] != row[2]]
    if not differing:
        return ()
    return (
        Difference(
            "file", path, "content", *table.short(*differing[0][1:]), "gzip-header",
            note=", ".join(name for name, _, _ in differing), view=table.view(rows) if views else None,
        ),
    )  # fmt: skip


def _inflate(content: Content, most: int) -> _Plain | None:
    """Inflate all members of a file, which follow each other; None if they are damaged."""
    found = bytearray()
    member = zlib.decompressobj(_GZIP)
    try:
        for chunk in content.chunks():
            rest = chunk
            while rest and len(found) < most:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                found += member.decompress(rest, most - len(found))
                rest = member.unused_data if member.eof else member.unconsumed_tail
            if len(found) >= most:
                return _Plain(bytes(found), whole=False)
    except zlib.error:
        return None
    return _Plain(bytes(found), whole=True) if member.eof else None


def _inside(path: str, left: _Plain, right: _Plain, *, known: Known, views: bool) -> Iterator[Difference]:
    from reproducibility.explain import explain  # it is explain that comes here

    sizes = (left.words, right.words)
    if left.content != right.content:
        yield Difference("file", path, "content", *sizes, _CONTENT, note="what is inside", follows=True)
        with members.unpacked(left.content) as here, members.unpacked(right.content) as there:
            yield from explain(f"{path}!/", here, there, known=known, views=views)
    elif left.whole and right.whole:
        yield Difference("file", path, "content", "", "", "compressor", note="what is inside is the same")
    else:
        yield Difference("file", path, "content", *sizes, _CONTENT, note="behind what was looked into")
