"""Members of archives: read from zip and tar alike, so that one comparison serves both.

The reader of zip archives (PKWARE APPNOTE 6.3.10) is a lenient one: what could be read in two ways is what a comparison
is about. layers.zip, which refuses such archives, is for installing.
"""

import struct
import tempfile  # noqa: TID251 a file without a name holds what was in an archive
import zlib  # noqa: TID251 members are inflated to be compared
from collections.abc import Iterator
from contextlib import contextmanager

from layers.errors import BuildError
from layers.values import dataclass
from reproducibility import tars
from reproducibility.content import Content
from reproducibility.contents import table

# Above the largest archives of Python and Java; what has more is compared as a whole.
_MEMBERS_MAX = 50_000
_DIRECTORY_MAX = 16 << 20
_COMMENT_MAX = 0xFFFF
_DIGITS_MAX = 30

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_ZIP64 = 0x0001

_STORED, _DEFLATED = 0, 8


Fact = str | int | bytes

_ZIP_FACTS = (
    "time", "attributes", "internal attributes", "made by", "version needed", "flags", "method", "extra field",
    "comment", "local header",
)  # fmt: skip
_TAR_FACTS = (
    "time",
    "mode",
    "kind",
    "link",
    "user id",
    "group id",
    "user",
    "group",
    "device",
    "extended header",
    "form",
)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive. `facts` is what is said of it apart from its content.

    `raw` is its content as it is stored there, `method` by what means (that of zip archives), `size` its plain size.
    """

    name: str
    facts: tuple[Fact, ...]
    raw: Content
    method: int
    size: int

    def plain(self, most: int) -> bytes | None:
        """Return the content; None if it has more than `most` bytes, other than it says, or cannot be read."""
        if self.size > most or self.raw.size > most + 1024:
            return None
        if self.method == _STORED:
            return self.raw.read() if self.raw.size == self.size else None
        if self.method != _DEFLATED:
            return None
        try:
            plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.raw.read(), self.size + 1)
        except zlib.error:
            return None
        return plain if len(plain) == self.size else None


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive: its members, the names of what is said of each, and the bytes before the first of them."""

    members: tuple[Member, ...]
    facts: tuple[str, ...]
    prefix: Content


@contextmanager
def unpacked(content: bytes) -> Iterator[Content]:
    """Give bytes from inside an archive the form of a file's content."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(content)
        yield Content(file.fileno(), 0, len(content))


def read_zip(content: Content) -> Archive | None:
    """Return the members of a zip archive; None if it is none, or damaged."""
    try:
        return _read_zip(content)
    except (struct.error, ValueError, OverflowError):
        return None


def read_tar(content: Content) -> Archive | None:
    """Return the members of a tar that begins its file; None if it is none, or damaged."""
    try:
        listing = tars.read(content.descriptor, content.size, most=_MEMBERS_MAX)
    except BuildError:
        return None
    found = []
    for member in listing.members.values():
        meta = member.meta
        facts = (
            _moment(member.mtime), f"{meta.mode:o}", meta.kind, member.link, meta.uid, meta.gid, meta.uname, meta.gname,
            meta.device, repr(member.records), meta.form,
        )  # fmt: skip
        found.append(Member(member.path, facts, member.content, _STORED, member.size))
    return Archive(tuple(found), _TAR_FACTS, _part(content, 0, 0))


def is_tar(content: Content) -> bool:
    """Whether a content begins like a tar."""
    return content.read(257, 5) == b"ustar"


def _read_zip(content: Content) -> Archive | None:
    found = _directory(content)
    if found is None:
        return None
    count, start, size, shift = found
    directory = content.read(start, size)
    members = []
    at = used = 0
    first = start
    for _ in range(count):
        (
            signature, made_by, needed, flags, method, time, date, _, stored, plain,
            name_size, extra_size, comment_size, _, internal, external, offset,
        ) = _CENTRAL.unpack_from(directory, at)  # fmt: skip
        at += _CENTRAL.size
        name = directory[at : at + name_size]
        extra = directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        comment = directory[at - comment_size : at]
        plain, stored, offset = _large(extra, (plain, stored, offset))
        local, raw = _local(content, offset + shift, stored)
        used += stored
        # Members do not overlap; hostile ones may, so that comparing them would take forever.
        if signature != b"PK\1\2" or used > content.size:
            return None
        first = min(first, offset + shift)
        facts = (_time(date, time), external, internal, made_by, needed, flags, method, extra, comment, local)
        members.append(Member(name.decode("utf-8", "surrogateescape"), facts, raw, method, plain))
    return Archive(tuple(members), _ZIP_FACTS, _part(content, 0, first))


def _directory(content: Content) -> tuple[int, int, int, int] | None:
    """Return how many members there are, where their directory lies, and how far all offsets are to be shifted."""
    tail_start = max(content.size - _END.size - _COMMENT_MAX, 0)
    tail = content.read(tail_start)
    found = tail.rfind(b"PK\5\6")
    if found < 0:
        return None
    end = tail_start + found
    _, _, _, _, count, size, start, _ = _END.unpack_from(tail, found)
    if count == _MAX16 or _MAX32 in (size, start):
        signature, _, end, _ = _LOCATOR.unpack(content.read(end - _LOCATOR.size, _LOCATOR.size))
        if signature != b"PK\6\7":
            return None
        _, _, _, _, _, _, _, count, size, start = _END64.unpack(content.read(end, _END64.size))
    shift = end - size - start
    if count > _MEMBERS_MAX or size > _DIRECTORY_MAX or shift < 0:
        return None
    return count, start + shift, size, shift


def _local(content: Content, offset: int, stored: int) -> tuple[bytes, Content]:
    """Return what the header in front of a member says apart from its name, and the bytes behind it."""
    head = content.read(offset, _LOCAL.size)
    signature, _, _, _, _, _, _, _, _, name_size, extra_size = _LOCAL.unpack(head)
    start = offset + _LOCAL.size + name_size + extra_size
    if signature != b"PK\3\4" or start + stored > content.size:
        raise ValueError
    extra = content.read(start - extra_size, extra_size)
    # Its checksum and sizes are those of the content, which is compared itself.
    return head[4:14] + extra, _part(content, start, stored)


def _part(content: Content, start: int, size: int) -> Content:
    return Content(content.descriptor, content.offset + start, size)


def _large(extra: bytes, fields: tuple[int, int, int]) -> tuple[int, int, int]:
    """Replace the fields at their limit by their values in the zip64 extra field."""
    if _MAX32 not in fields:
        return fields
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == _ZIP64:
            values = iter(struct.unpack_from(f"<{size // 8}Q", extra, at + 4))
            plain, stored, offset = (next(values, field) if field == _MAX32 else field for field in fields)
            return plain, stored, offset
        at += 4 + size
    return fields


def _moment(decimal: str) -> str:
    if len(decimal) > _DIGITS_MAX:  # turning digits into a number takes quadratic time
        return decimal
    whole, point, fraction = decimal.partition(".")
    return f"{table.moment(int(whole))}{point}{fraction}"


def _time(date: int, time: int) -> str:
    year, month, day = 1980 + (date >> 9), date >> 5 & 15, date & 31
    return f"{year}-{month:02}-{day:02} {time >> 11:02}:{time >> 5 & 63:02}:{(time & 31) * 2:02}"
