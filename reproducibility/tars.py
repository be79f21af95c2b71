"""Listings of tars: every field of every header, as whoever wrote it left it.

Reads what Docker, BuildKit, buildah, kaniko, Jib, GNU tar, Go and Python write: v7, ustar, PAX (POSIX.1-2017, pax) and
GNU (tar manual, "Basic Tar Format"). What is unusual is a fact to compare, not an error; only what cannot be read is,
or what readers read differently and no builder writes: it could be the same here and not be the same there.
It has nothing in common with layers.tarball on purpose: an error in the one is found by the other.
"""

import struct
import sys
from collections.abc import Hashable
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from layers.errors import IntegrityError
from layers.expression import expression
from layers.values import dataclass, field
from reproducibility.content import Content
from reproducibility.listing import Listing, Member, Meta, Records, Style

_BLOCK = 512
_BUFFER = 32 << 10
# Far above real layers: a hostile one cannot fill the memory.
_MEMBERS_MAX = 1_000_000
_EXTENDED_MAX = 1 << 20
_EXTENDED_TOTAL = 128 << 20
_EXTENDED_COUNT = 16  # of one member
_PATH_MAX = 4096  # of Linux, and what bounds the work on paths of many parts
_KINDS = {
    b"\0": "file", b"0": "file", b"1": "hard link", b"2": "symbolic link", b"3": "character device",
    b"4": "block device", b"5": "folder", b"6": "pipe",
}  # fmt: skip
# These have no content. Go's and Python's readers ignore a size, GNU's does not.
_EMPTY = frozenset(("hard link", "symbolic link", "character device", "block device", "folder", "pipe"))
_USTAR = b"ustar\0"
_FORMS = {b"ustar\x0000": "ustar", b"ustar  \0": "gnu"}
_OCTAL = expression(rb"[0-7]*")
_DECIMAL = expression(rb"-?[0-9]{1,19}")
# What only a header can say that has no room for it.
_NAME, _SIZE_FIELD = 100, 8**11
# A part that leads upwards; a character of fewer bytes in more, some of which careless readers take for a slash.
_OUTSIDE = expression(
    rb"(?:^|/)\.\.(?:/|\Z)|[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}"
)
# Names as they are, which is all that libarchive and POSIX agree on.
_CHARSETS = (b"BINARY", b"ISO-IR 10646 2000 UTF-8")
# How sparse files were told before their map went into their content (GNU tar manual, "PAX 0").
_OLD_SPARSE = (b"GNU.sparse.map", b"GNU.sparse.offset", b"GNU.sparse.numbytes", b"GNU.sparse.numblocks")
_FRACTION = expression(rb"(-?[0-9]+)(?:\.|(\.[0-9]*[1-9]))0*")
_LEAD = expression(rb"(?:\.?/)*")
_PAX_FOLDER = expression(rb"@?PaxHeaders?(?:\.[0-9]+)?")
# Octal digits and what pads them become one character: what is left is how a number is written, not which one it is.
_SHAPE = bytes.maketrans(b"1234567 ", b"00000000")
_NUMBERS = ((0, 8), (8, 16), (16, 24), (24, 36), (36, 48), (48, 56))
_OF_ONE = {"path", "linkpath", "size"}
# Records that are fields of a member; all others stay with it.
_FIELDS = frozenset(("path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime"))


class _Header(NamedTuple):
    """The fields of one header, raw."""

    name: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    size: bytes
    mtime: bytes
    checksum: bytes
    type: bytes
    link: bytes
    magic: bytes
    uname: bytes
    gname: bytes
    major: bytes
    minor: bytes
    rest: bytes


_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s167s")


@dataclass(slots=True)
class _Extended:
    """What extended headers say of the next member, and how they look."""

    records: dict[str, bytes] = field(default_factory=dict)
    look: tuple[str, ...] = ()


def read(descriptor: int, size: int, *, most: int = _MEMBERS_MAX) -> Listing:
    """List the tar that an open file of `size` bytes holds. Raises IntegrityError IB800 if it cannot be read."""
    with open(descriptor, "rb", buffering=_BUFFER, closefd=False) as file:
        return _Reader(file, descriptor, size).listing(most)


def damaged(what: str) -> IntegrityError:
    """Say that the tar of a layer cannot be compared."""
    return IntegrityError(
        f"cannot read the tar of a layer: {what}",
        hint="it is damaged or hostile; compare its digest with the one at its origin",
        code="IB800",
    )


class _Reader:
    def __init__(self, file: BinaryIO, descriptor: int, size: int) -> None:
        self._file = file
        self._descriptor = descriptor
        self._size = size
        self._metas: dict[Hashable, Meta] = {}
        self._records: dict[Records, Records] = {}
        self._common: dict[str, bytes] = {}
        self._defaults: dict[str, bytes] = {}
        self._extended_left = _EXTENDED_TOTAL

    def listing(self, most: int) -> Listing:
        members: dict[str, Member] = {}
        earlier: dict[str, list[Member]] = {}
        extended = _Extended()
        at = count = 0
        while block := self._block(at):
            header = _Header._make(_LAYOUT.unpack(block))
            if header.type in b"xXgLK":
                at = self._take(extended, header, at + _BLOCK)
                continue
            member = self._member(block, header, extended, at + _BLOCK)
            extended = _Extended()
            count += 1
            if count > most:
                raise damaged(f"it has more than {most} members")
            if member.path in members:
                earlier.setdefault(member.path, []).append(members.pop(member.path))
            members[member.path] = member
            at = _padded(member.offset + member.size)
        tail = Content(self._descriptor, min(at, self._size), max(self._size - at, 0))
        if any(chunk.count(0) != len(chunk) for chunk in tail.chunks()):
            raise damaged("something follows its end, which only some readers see")
        return Listing(members, earlier, tuple(sorted(self._common.items())), tail)

    def _block(self, at: int) -> bytes:
        """Return the header at a position; nothing at the end of the archive."""
        self._file.seek(at)
        block = self._file.read(_BLOCK)
        if not block.strip(b"\0"):
            return b""
        if len(block) < _BLOCK:
            raise damaged("it is cut off in a header")
        promised, total = _number(block[148:156]), sum(block) - sum(block[148:156]) + 8 * 0x20
        # Old writers summed signed characters.
        if promised != total and promised != total - 256 * sum(byte > 0x7F for byte in block):
            raise damaged(f"the checksum of the header at byte {at} is wrong")
        return block

    def _take(self, extended: _Extended, header: _Header, start: int) -> int:
        """Read an extended header; return where the next one begins."""
        size = _number(header.size)
        self._extended_left -= size + _BLOCK
        if not 0 <= size <= _EXTENDED_MAX or self._extended_left < 0 or len(extended.look) == _EXTENDED_COUNT:
            raise damaged(f"an extended header of {size} bytes, or too many of them")
        self._file.seek(start)
        content = self._file.read(size)
        if len(content) < size:
            raise damaged("it is cut off in an extended header")
        kind = header.type.decode()
        if any(look.startswith(kind) for look in extended.look):
            raise damaged("two extended headers of one kind describe a member")
        if header.type == b"g":
            if extended.look or _pax(content).keys() & _OF_ONE:
                raise damaged("an extended header describes all members where it should describe one")
            self._common.update(_pax(content))
            self._defaults = {key: value for key, value in self._common.items() if key in _FIELDS}
        elif header.type in b"xX":
            records = _pax(content)
            folder = _PAX_FOLDER.search(header.name)
            extended.look += (f"{kind} {folder[0].decode() if folder else '-'} {','.join(records)}",)
            extended.records.update(records)
        else:
            extended.look += (kind,)
            extended.records["path" if kind == "L" else "linkpath"] = content.rstrip(b"\0")
        return _padded(start + size)

    def _member(self, block: bytes, header: _Header, extended: _Extended, start: int) -> Member:
        records = self._defaults | extended.records if self._defaults else extended.records
        name = _name(block, header, records)
        if header.type not in _KINDS or not name or _OUTSIDE.search(name):
            raise damaged(
                f"{_text(name)!r} of the type {header.type!r}: no builder writes it, and readers disagree on it"
            )
        lead = _lead(name)
        meta = self._meta(block, header, records, _style(block, header, name, lead, extended.look))
        size = _size(header, records)
        if meta.kind in _EMPTY and size:
            raise damaged(f"{_text(name)!r} has a size, which some readers skip and others do not")
        if not 0 <= size <= self._size - start:
            raise damaged(f"it is cut off in {_text(name)!r}")
        link = b""
        if meta.kind.endswith(" link"):
            link = records.get("linkpath", header.link.partition(b"\0")[0])
            link = link[_lead(link) :] if meta.kind == "hard link" else link
        if max(len(name), len(link)) > _PATH_MAX:
            raise damaged(f"a path of {max(len(name), len(link))} bytes")
        mtime = records.get("mtime")
        others = tuple(
            sorted((sys.intern(key), value) for key, value in extended.records.items() if key not in _FIELDS)
        )
        return Member(
            path=_text(name[lead:].rstrip(b"/")) or ".",
            meta=meta,
            mtime=_seconds(mtime) if mtime is not None else str(_number(header.mtime)),
            link=_text(link),
            records=self._records.setdefault(others, others),
            descriptor=self._descriptor,
            offset=start,
            size=size,
        )

    def _meta(self, block: bytes, header: _Header, records: dict[str, bytes], style: Style) -> Meta:
        owner = tuple(sorted((key, records[key]) for key in ("uid", "gid", "uname", "gname") if key in records))
        key = (block[100:124], block[265:345], style, owner)
        meta = self._metas.get(key)
        if meta is None:
            meta = self._metas[key] = _new_meta(header, dict(owner), style)
        return meta


def _style(block: bytes, header: _Header, name: bytes, lead: int, extended: tuple[str, ...]) -> Style:
    ustar = header.magic[:6] == _USTAR
    return Style(
        type=header.type,
        magic=header.magic,
        numbers=_shape(block[100:156]),
        mode=_number(header.mode) & ~0o7777,
        device=b"" if header.type in b"34" else header.major + header.minor,
        prefix=ustar and block[345] > 0,
        leading=name[:lead],
        trailing=b"/" if name[lead:].endswith(b"/") else b"",
        extended=extended,
        rest=block[500 if ustar else 345 :].rstrip(b"\0"),
    )


def _new_meta(header: _Header, owner: dict[str, bytes], style: Style) -> Meta:
    kind = _KINDS.get(header.type, f"type {header.type!r}")
    device = kind.endswith("device")
    pax = any(one[0] in "xX" for one in style.extended)
    return Meta(
        kind="folder" if kind == "file" and style.trailing else kind,
        mode=_number(header.mode) & 0o7777,
        uid=_decimal(owner["uid"]) if "uid" in owner else _number(header.uid),
        gid=_decimal(owner["gid"]) if "gid" in owner else _number(header.gid),
        uname=_text(owner.get("uname", header.uname)),
        gname=_text(owner.get("gname", header.gname)),
        device=f"{_number(header.major)}:{_number(header.minor)}" if device else "",
        form="pax" if pax else _FORMS.get(header.magic, "v7"),
        style=style,
    )


def _name(block: bytes, header: _Header, records: dict[str, bytes]) -> bytes:
    own = header.name.partition(b"\0")[0]
    if header.magic[:6] == _USTAR and block[345]:
        own = block[345:500].partition(b"\0")[0] + b"/" + own
        if len(own) < _NAME:
            raise damaged(f"the name {_text(own)!r} is in two parts without need")
    if b"/../" in b"/" + own:
        raise damaged(f"{_text(own)!r} is no name for a file below its root")
    return records.get("GNU.sparse.name", records.get("path", own))


def _size(header: _Header, records: dict[str, bytes]) -> int:
    size = _number(header.size)
    if "size" not in records:
        return size
    other = _decimal(records["size"])
    if size != other < _SIZE_FIELD:
        raise damaged(f"a member has two sizes, {size} and {other}")
    return other


def _lead(name: bytes) -> int:
    """Count the characters that lead a path without being part of it: `./` and `/`."""
    match = _LEAD.match(name)
    return match.end() if match else 0


def _pax(content: bytes) -> dict[str, bytes]:
    """Read PAX records (`LENGTH KEY=VALUE` and a line feed); of those with one key the last counts."""
    records = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 20)
        length = content[at : max(space, at)]
        end = at + int(length) if length.isdigit() else at
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if not space + 2 < end <= len(content) or content[end - 1] != 0x0A or not equals or b"\0" in key:
            raise damaged("an extended header is malformed")
        if key in (b"path", b"linkpath") and (b"\0" in value or key.decode() in records):
            raise damaged(f"an extended header gives a name twice or in part: {value[:100]!r}")
        if key in _OLD_SPARSE or (key == b"hdrcharset" and value not in _CHARSETS):
            raise damaged(f"an extended header says that {_text(key)!r} is {value[:100]!r}, as few readers understand")
        records[_text(key)] = value
        at = end
    return records


def _shape(numbers: bytes) -> bytes:
    """Return how the numbers of a header are written; base-256 values are told by their first byte alone."""
    if numbers.isascii():
        return numbers.translate(_SHAPE)
    return b" ".join(
        b"base-256" if numbers[start] > 0x7F else numbers[start:end].translate(_SHAPE) for start, end in _NUMBERS
    )


@lru_cache(maxsize=1 << 14)
def _number(number: bytes) -> int:
    """Read octal digits, or GNU's base-256: the first bit is set, the second one is the sign."""
    if number[0] & 0x80:
        return int.from_bytes(bytes([number[0] & 0x7F]) + number[1:] if not number[0] & 0x40 else number, signed=True)
    digits = number.strip(b" \0")
    if not _OCTAL.fullmatch(digits):
        raise damaged(f"{number!r} is no number")
    return int(digits or b"0", 8)


def _decimal(number: bytes) -> int:
    if not _DECIMAL.fullmatch(number):
        raise damaged(f"{number[:100]!r} is no number")
    return int(number)


def _seconds(number: bytes) -> str:
    match = _FRACTION.fullmatch(number)
    return _text(match[1] + (match[2] or b"") if match else number)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
