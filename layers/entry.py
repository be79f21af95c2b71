"""Entries: files that are not yet bytes.

An Entry has no mtime, no user or group name and no inode facts, so nothing of the host can be in it. Its content is
bytes, a source file, or a piece of an archive on disk; it is read once, when the layer is written, and checked then.
"""

from enum import Enum
from pathlib import Path

from layers.errors import IntegrityError
from layers.values import dataclass

# Longest path, and name in it, that Linux takes (limits.h).
_PATH_MAX = 4096
_NAME_MAX = 255
# What makes parts unsafe. Engines take a name that begins so for a whiteout, which deletes files of the layers below
# (image-spec, layer.md).
_NO_NAMES = frozenset((b"", b".", b".."))
_WHITEOUT = b"/.wh."
# Largest owner that a ustar header holds.
_OWNER_MAX = 0o7777777


class Kind(Enum):
    """What an entry is; the value is the type flag of its ustar header (POSIX.1-2017, pax, ustar Interchange)."""

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    DIRECTORY = b"5"


@dataclass(frozen=True, slots=True)
class Checksum:
    """A hash the content must have, named as in RECORD: algorithm and raw value."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source tree. `stamp`: (device, inode, size, mtime_ns, ctime_ns) when listed; a change is an error.

    A folder is one value for all its files: of a hundred thousand, their paths would take most of the memory.
    """

    folder: Path
    name: str
    size: int
    stamp: tuple[int, int, int, int, int]

    @property
    def path(self) -> Path:
        """Where it is on disk."""
        return self.folder / self.name


@dataclass(frozen=True, slots=True)
class Stored:
    """A run of `size` plain bytes at `offset` of a verified file on disk. `name` is what messages call it."""

    file: Path
    offset: int
    size: int
    crc32: int | None = None
    checksum: Checksum | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Deflated:
    """A raw deflate stream (RFC 1951) of `compressed_size` bytes at `offset`, which inflates to `size` bytes."""

    file: Path
    offset: int
    compressed_size: int
    size: int
    crc32: int
    checksum: Checksum | None = None
    name: str = ""


Content = bytes | SourceFile | Stored | Deflated


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory or link of a layer.

    `path` is relative to the root of the image, without a leading or trailing slash; bytes that are not UTF-8 are
    surrogate-escaped. `mode` holds permission bits only (at most 0o7777). `target` is the verbatim text of a symbolic
    link, or the path in the image of a hard link's first name.
    Raises IntegrityError IB502 for a path that could leave the root or that no file system could hold, and for an
    owner that a tar header could not.
    """

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    content: Content = b""
    target: str = ""

    def __post_init__(self) -> None:
        check_path(self.path)
        if self.kind is Kind.HARDLINK:
            check_path(self.target)
        owned = 0 <= self.uid <= _OWNER_MAX and 0 <= self.gid <= _OWNER_MAX
        linked = self.kind in (Kind.SYMLINK, Kind.HARDLINK)
        if not (owned and 0 <= self.mode <= 0o7777 and linked == bool(self.target)) or "\0" in self.target:
            raise _unsafe(self.path)

    @property
    def path_bytes(self) -> bytes:
        """The path as it stands in the tar, and as entries are sorted."""
        return self.path.encode("utf-8", "surrogateescape")

    @property
    def size(self) -> int:
        """Size of the content in bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.size


def directory(path: str, mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> Entry:
    """Make a directory entry."""
    return Entry(path, Kind.DIRECTORY, mode, uid, gid)


def file(path: str, content: Content, *, executable: bool = False) -> Entry:
    """Make a file entry owned by root: 0755 or 0644, as every file of a source tree or a wheel."""
    return Entry(path, Kind.FILE, 0o755 if executable else 0o644, content=content)


def symlink(path: str, target: str) -> Entry:
    """Make a symbolic link whose text is `target`."""
    return Entry(path, Kind.SYMLINK, 0o777, target=target)


def check_path(path: str) -> None:
    """Raise IntegrityError IB502 unless `path` is relative, normalised and something Linux can hold."""
    encoded = path.encode("utf-8", "surrogateescape")
    # No regular expression: it would look at every byte, for one file in two microseconds.
    names = encoded.split(b"/")
    if (
        len(encoded) > _PATH_MAX
        or b"\0" in encoded
        or not _NO_NAMES.isdisjoint(names)
        or encoded.startswith(_WHITEOUT[1:])
        or _WHITEOUT in encoded
        or (len(encoded) > _NAME_MAX and max(map(len, names)) > _NAME_MAX)
    ):
        raise _unsafe(path)


def _unsafe(path: str) -> IntegrityError:
    return IntegrityError(
        f"not a safe path for an image: {path[:200]!r}",
        hint="the archive or folder it comes from is damaged or hostile; do not use it",
        code="IB502",
    )
