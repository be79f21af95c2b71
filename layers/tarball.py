"""A tar archive as its members: one strict pass over the headers, contents left where they are.

Reads ustar, GNU long names and PAX headers (POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format"), which is what
dpkg, GNU tar, Go and Python write. Whatever two readers could understand differently is refused, not guessed: a name
that leaves the root or passes through a link, a name twice, a record twice, devices, sparse files.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from layers import entry
from layers.entry import Kind
from layers.errors import IntegrityError
from layers.expression import expression
from layers.values import dataclass

_BLOCK = 512
_ZERO = bytes(_BLOCK)
_CHUNK = 1 << 20
# Far above real archives: a layer of a large base image has 100,000 members, an extended header a few hundred bytes.
_MEMBERS_MAX = 1_000_000
_EXTENDED_MAX = 64 << 10
_SIZE_MAX = 64 << 30
# What fits into the fields of a header; only what does not may be told in another way.
_NAME, _SIZE_FIELD = 100, 8**11
# How archives name the folder they were made from.
_ROOT = (b".", b"./", b"/")
_OCTAL = expression(rb" *([0-7]+)[ \0]*|[ \0]*")
_DECIMAL = expression(rb"[0-9]{1,18}")
_PAX_RECORD = expression(rb"([1-9][0-9]{0,4}) ([^=\0]+)=")
_KINDS = {b"\0": Kind.FILE, **{kind.value: kind for kind in Kind}}
# Character devices, block devices and pipes.
_SPECIAL = (b"3", b"4", b"6")
# The mark of a file that a layer deletes, and of one that is known by its own name (image-spec, layer.md, "Whiteouts").
_WHITEOUT = expression(r"(?:(?<=/)|^)\.wh\.(?:\.wh\.)?(?=[^/]*$)")
# Facts of the machine where the archive was made; extended attributes, which no Entry has.
_IGNORED = expression(r"[amc]time|[ug]name|comment|SCHILY\..*|LIBARCHIVE\..*")
# How names are to be read: here always as bytes. Go writes any bytes without a word.
_CHARSETS = (b"BINARY", b"ISO-IR 10646 2000 UTF-8")
# A character of fewer bytes in more: a reader that does not look closely takes some of them for a slash.
_OVERLONG = expression(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}")


class Stream(Protocol):
    """What is read: a file on disk, or `Forward` over chunks. `seek` is called with later positions only."""

    def read(self, size: int, /) -> bytes:
        """Return that many bytes; fewer only at the end."""

    def tell(self) -> int:
        """Return the position."""

    def seek(self, position: int, /) -> int:
        """Go to a position."""


class Forward:
    """Chunks as a stream that can only go forward, so that an archive is read while it is decompressed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Return that many bytes; fewer only at the end."""
        parts = []
        missing = size
        while missing and (self._held or self._next()):
            parts.append(self._held[:missing])
            self._held = self._held[missing:]
            missing -= len(parts[-1])
        self._position += size - missing
        return b"".join(parts)

    def tell(self) -> int:
        """Return how many bytes were passed."""
        return self._position

    def seek(self, position: int, /) -> int:
        """Pass over bytes until a position, or the end."""
        while self._position < position and self.read(min(_CHUNK, position - self._position)):
            pass
        return self._position

    def _next(self) -> bool:
        self._held = next((chunk for chunk in self._chunks if chunk), b"")
        return bool(self._held)


@dataclass(frozen=True, slots=True)
class Member:
    """A member: `path` without leading `./` or trailing slash, and where in the archive its `size` bytes begin.

    `target` is the verbatim text of a symbolic link, or the path of the earlier member that a hard link names.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    offset: int
    size: int
    target: str


def members(archive: Stream, *, layer: bool = False) -> Iterator[Member]:
    """Read an archive from its start to its end; the root's own entry is left out.

    A caller that wants the contents in one pass reads `size` bytes before it asks for the next member. A `layer` of an
    image may also hold whiteouts, which are members under their marked names, and special files, which are left out.
    Raises IntegrityError IB558 for anything that is not as it should be, at last if the archive is cut off.
    """
    names = _Names()
    extended: dict[str, bytes] = {}
    extends = b""
    for _ in range(_MEMBERS_MAX):
        block = _read(archive, _BLOCK)
        if block == _ZERO:
            return _finish(archive, extended)
        header = _Header(block)
        if header.type in b"xgLK":
            if header.type in extends or (header.type == b"g" and extends):
                raise damaged("its extended headers do not follow each other as they should")
            extends += header.type.strip(b"g")
            _extend(extended, header.type, _read_padded(archive, header.size))
            continue
        if layer and header.type in _SPECIAL and not header.size:
            extended, extends = {}, b""
            continue
        member = _member(header, extended, archive.tell(), layer=layer)
        extended, extends = {}, b""
        if member.path:
            names.add(member)
            yield member
        archive.seek(member.offset + _padded(member.size))
    raise damaged(f"it has more than {_MEMBERS_MAX} members")


def damaged(what: str) -> IntegrityError:
    """Say that an archive is not one that can be used safely."""
    return IntegrityError(
        f"refused a tar archive: {what}", hint="it is damaged or hostile; fetch it again from its origin", code="IB558"
    )


class _Header:
    """The fields of one 512-byte header."""

    def __init__(self, block: bytes) -> None:
        if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * 0x20:
            raise damaged("a header's checksum is wrong")
        magic = block[257:265]
        if magic not in (b"ustar\x0000", b"ustar  \0"):
            raise damaged(f"a header is neither POSIX nor GNU: {magic!r}")
        self.type = block[156:157]
        self.mode = _number(block[100:108])
        self.uid = _number(block[108:116])
        self.gid = _number(block[116:124])
        self.size = _number(block[124:136])
        self.target = _text(block[157:257])
        self.name = _text(block[:100])
        prefix = _text(block[345:500]) if magic == b"ustar\x0000" else b""
        if prefix:
            self.name = prefix + b"/" + self.name
            if len(self.name) < _NAME:
                raise damaged(f"the name {_decode(self.name)!r} is in two parts without need")


class _Names:
    """The names so far: none twice, none below a file or a link, no hard link to what is not a file."""

    def __init__(self) -> None:
        self._folders = {""}
        self._others: dict[str, Kind] = {}
        self._seen: set[str] = set()

    def add(self, member: Member) -> None:
        if member.path in self._seen:
            raise damaged(f"{member.path!r} is in it twice")
        self._seen.add(member.path)
        self._add_parents(member.path)
        if member.kind is Kind.DIRECTORY:
            self._folders.add(member.path)
            return
        if member.path in self._folders:
            raise damaged(f"{member.path!r} is a folder and something else")
        if member.kind is Kind.HARDLINK and self._others.get(member.target) not in (Kind.FILE, Kind.HARDLINK):
            raise damaged(f"{member.path!r} is a hard link to {member.target!r}, which is no file before it")
        self._others[member.path] = member.kind

    def _add_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        while parent not in self._folders:
            if parent in self._others:
                break
            self._folders.add(parent)
            parent = parent.rpartition("/")[0]
        if parent in self._others:
            raise damaged(f"{path!r} lies below {parent!r}, which is no folder")


def _member(header: _Header, extended: dict[str, bytes], offset: int, *, layer: bool) -> Member:
    kind = _KINDS.get(header.type)
    name = extended.get("path", header.name)
    if name is not header.name and b"/../" in b"/" + header.name:
        raise damaged(f"{_decode(name)!r} has a second name, {_decode(header.name)!r}")
    if kind is None:
        raise damaged(f"{_decode(name)!r} is a device, a pipe or of another unusual type {header.type!r}")
    size = int(extended.get("size", header.size))
    if size != header.size and size < _SIZE_FIELD:
        raise damaged(f"{_decode(name)!r} has two sizes, {header.size} and {size}")
    if size > _SIZE_MAX or (size and kind is not Kind.FILE):
        raise damaged(f"{_decode(name)!r} cannot have {size} bytes")
    if kind is Kind.FILE and name.endswith(b"/"):
        raise damaged(f"{_decode(name)!r} is a file with the name of a folder")
    target = extended.get("linkpath", header.target) if kind in (Kind.SYMLINK, Kind.HARDLINK) else b""
    return Member(
        path="" if kind is Kind.DIRECTORY and name in _ROOT else _path(name, layer=layer),
        kind=kind,
        mode=header.mode & 0o7777,
        uid=int(extended.get("uid", header.uid)),
        gid=int(extended.get("gid", header.gid)),
        offset=offset,
        size=size,
        target=_path(target) if kind is Kind.HARDLINK else _decode(target),
    )


def _path(name: bytes, *, layer: bool = False) -> str:
    path = _decode(name).removeprefix("./").removesuffix("/")
    try:
        entry.check_path(_WHITEOUT.sub("", path) if layer else path)
    except IntegrityError as error:
        raise damaged(f"{path[:200]!r} is no name for a file below its root") from error
    if _OVERLONG.search(name):
        raise damaged(f"{path[:200]!r} is not in any encoding")
    return path


def _extend(extended: dict[str, bytes], kind: bytes, content: bytes) -> None:
    """Take in an extended header: it describes the next member (`g`: all that follow, so only what is ignored)."""
    if kind in b"LK":
        records = [("path" if kind == b"L" else "linkpath", content.rstrip(b"\0"))]
    else:
        records = _pax_records(content)
    for key, value in records:
        if _IGNORED.fullmatch(key) or (key == "hdrcharset" and value in _CHARSETS):
            continue
        if key in extended or key not in ("path", "linkpath", "size", "uid", "gid") or kind == b"g":
            raise damaged(f"an extended header says {key!r} twice, or it is not understood")
        if not value or b"\0" in value or (key not in ("path", "linkpath") and not _DECIMAL.fullmatch(value)):
            raise damaged(f"an extended header says {key!r} is {value[:100]!r}")
        extended[key] = value


def _pax_records(content: bytes) -> list[tuple[str, bytes]]:
    records = []
    while content:
        match = _PAX_RECORD.match(content)
        length = int(match[1]) if match else 0
        if match is None or not match.end() < length <= len(content) or content[length - 1 : length] != b"\n":
            raise damaged("an extended header is malformed")
        records.append((_decode(match[2]), content[match.end() : length - 1]))
        content = content[length:]
    return records


def _read_padded(archive: Stream, size: int) -> bytes:
    if size > _EXTENDED_MAX:
        raise damaged(f"an extended header of {size} bytes")
    return _read(archive, _padded(size))[:size]


def _finish(archive: Stream, extended: dict[str, bytes]) -> None:
    """The second block of zeros, and nothing but padding behind it."""
    if extended or _read(archive, _BLOCK) != _ZERO:
        raise damaged("its end is malformed")
    while chunk := archive.read(_CHUNK):
        if chunk.count(0) != len(chunk):
            raise damaged("something follows its end")


def _read(archive: Stream, size: int) -> bytes:
    block = archive.read(size)
    if len(block) != size:
        raise damaged("it is cut off")
    return block


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """Read octal digits, or GNU's base-256 (the first bit set) for what does not fit them."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise damaged(f"{field!r} is no number")
    return int(match[1] or b"0", 8)
