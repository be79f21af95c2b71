"""A Debian package as entries (deb(5)): an ar archive that holds a version, a control archive and a data archive."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from layers import gunzip, tarball, unzstd, xz
from layers.bounded import at_most
from layers.entry import Entry, Kind, Stored
from layers.errors import IntegrityError
from layers.values import dataclass

_CHUNK = 1 << 20
_CONTROL_MAX = 32 << 20
# Debian's largest packages unpack to some 3 GB.
_DATA_MAX = 16 << 30


@dataclass(frozen=True, slots=True)
class Deb:
    """A package: what it says of itself (`control`, `md5sums`, `postinst` …), and its files as slices of the spool."""

    control: Mapping[str, bytes]
    entries: tuple[Entry, ...]


def read_deb(path: Path, *, spool: Path) -> Deb:
    """Read a package. Its data archive is decompressed into the file `spool`, which has to outlive the entries.

    Raises IntegrityError IB557 if the package is damaged, IB558 if an archive in it is.
    """
    with path.open("rb") as file:
        if file.read(8) != b"!<arch>\n" or b"".join(_member(file, "debian-binary").chunks()) != b"2.0\n":
            raise _damaged("it is not of version 2.0")
        control = b"".join(at_most(_CONTROL_MAX, _member(file, "control.tar").plain(), _damaged))
        with spool.open("wb") as data:
            for chunk in at_most(_DATA_MAX, _member(file, "data.tar").plain(), _damaged):
                data.write(chunk)
        if file.read(1):
            raise _damaged("something follows its data")
    with spool.open("rb") as data:
        entries = tuple(_entry(member, spool) for member in tarball.members(data))
    files = _files(control)
    if "control" not in files:
        raise _damaged("it does not say what it is")
    return Deb(files, entries)


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of the ar archive, to be read before the next one."""

    file: BinaryIO
    name: str
    size: int

    def read(self, size: int) -> bytes:
        chunk = self.file.read(size)
        if len(chunk) != size:
            raise _damaged("it is cut off")
        return chunk

    def chunks(self) -> Iterator[bytes]:
        for offset in range(0, self.size, _CHUNK):
            yield self.read(min(_CHUNK, self.size - offset))
        if self.size % 2 and self.file.read(1) not in (b"\n", b""):
            raise _damaged("its padding is malformed")

    def plain(self) -> Iterator[bytes]:
        match self.name.partition(".tar")[2]:
            case "":
                return self.chunks()
            case ".xz":
                return xz.plain(self.chunks())
            case ".gz":
                return gunzip.plain(self.chunks())
            case ".zst":
                return unzstd.plain(self.chunks())
            case _:
                raise _damaged(f"{self.name!r} is not compressed in a way that can be read")


def _member(file: BinaryIO, name: str) -> _Member:
    """Read the header of the next member, whose name has to begin with `name`."""
    header = file.read(60)
    found = header[:16].rstrip(b" ").removesuffix(b"/").decode("ascii", "replace")
    size = header[48:58].rstrip(b" ")
    if len(header) != 60 or header[58:] != b"`\n" or not size.isdigit():
        raise _damaged("a header is malformed")
    if found != name and not (name.endswith(".tar") and found.startswith(f"{name}.")):
        raise _damaged(f"it has {found!r} where {name!r} should be")
    return _Member(file, found, int(size))


def _entry(member: tarball.Member, spool: Path) -> Entry:
    content = Stored(spool, member.offset, member.size) if member.size else b""
    mode = 0o777 if member.kind is Kind.SYMLINK else member.mode
    return Entry(member.path, member.kind, mode, member.uid, member.gid, content, member.target)


def _files(control: bytes) -> dict[str, bytes]:
    archive = tarball.Forward([control])
    return {
        member.path: control[member.offset : member.offset + member.size]
        for member in tarball.members(archive)
        if member.kind is Kind.FILE
    }


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read a Debian package: {what}", hint="it is damaged; fetch it again from its origin", code="IB557"
    )
