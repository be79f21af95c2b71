"""The content-addressed store: an OCI image layout on disk (image-spec, image-layout.md), safe to kill and to share.

A blob becomes visible under its digest only after its bytes were hashed, counted, written and synced, so whatever is
named is whole. Downloads alone are not synced: what is there of them is hashed again before it is used. Two processes
that write the same blob write the same bytes: the later rename changes nothing.
"""

import errno
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from layers import canonical, digest
from layers.canonical import Json
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.errors import IntegrityError, StorageError
from layers.values import dataclass

_LAYOUT = {"imageLayoutVersion": "1.0.0"}
_CHUNK = 1 << 20
_AT_A_TIME = 1 << 18
_serial = itertools.count()
# What the names of unfinished files begin with: they are nobody's once the process that wrote them has ended.
PARTIAL = ".partial-"


class BlobWriter:
    """An open temporary file that is hashed and counted as it is written.

    Small chunks are gathered: to hash or write each would give the turn to another thread, and wait for it again.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = digest.sha256()
        self._gathered = bytearray()
        self.size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append a chunk."""
        self.size += len(chunk)
        if len(self._gathered) + len(chunk) < _AT_A_TIME:
            self._gathered += chunk
            return
        self.flush()
        self._pass_on(chunk)

    def flush(self) -> None:
        """Hash what is gathered, and give it to the file."""
        self._pass_on(memoryview(self._gathered))
        self._gathered = bytearray()

    @property
    def digest(self) -> Digest:
        """The digest of what has been written so far."""
        self.flush()
        return Digest.from_hasher(self._hasher)

    def _pass_on(self, chunk: bytes | memoryview) -> None:
        if chunk:
            self._hasher.update(chunk)
            self._file.write(chunk)


@dataclass(frozen=True, slots=True)
class BlobStore:
    """The blobs under `root/blobs/sha256`. The folder is made when the first blob is written."""

    root: Path

    def path(self, blob: Digest) -> Path:
        """Where a blob is, or would be; says nothing of whether it is there."""
        return self.root / "blobs" / "sha256" / blob.hex

    def has(self, blob: Digest, size: int | None = None) -> bool:
        """Say whether a blob is there and, if `size` is given, has that many bytes."""
        try:
            status = self.path(blob).stat()
        except OSError:
            return False
        return size is None or status.st_size == size

    @contextmanager
    def writer(
        self, expected: Digest | None = None, size: int | None = None, *, durable: bool = True
    ) -> Iterator[BlobWriter]:
        """Write a blob; it becomes visible when the block ends without an error.

        Its name is not forced to the disk: what a power cut takes is made again. Who must not lose any calls `settle`.
        One that is not `durable` may be damaged by a power cut: for what is hashed again before it is used.

        Raises IntegrityError IB503 if `expected` or `size` is given and the bytes differ, StorageError IB601 if the
        disk is full or not writable. In each case nothing is left under any digest.
        """
        with _reported(self.root):
            folder = self.root / "blobs" / "sha256"
            if not folder.is_dir():
                self.initialise()
            partial, file = _create_partial(folder)
            try:
                with file:
                    blob = BlobWriter(file)
                    yield blob
                    _check(blob, expected, size)
                    blob.flush()
                    file.flush()
                    if durable:
                        os.fsync(file.fileno())
                partial.chmod(0o444)
                partial.rename(self.path(blob.digest))
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)

    def write(self, media_type: str, chunks: Iterable[bytes | memoryview]) -> Descriptor:
        """Store a blob and return its descriptor."""
        with self.writer() as blob:
            for chunk in chunks:
                blob.write(chunk)
        return Descriptor(media_type, blob.digest, blob.size)

    def write_json(self, media_type: str, document: Json) -> Descriptor:
        """Store a document as canonical JSON."""
        return self.write(media_type, [canonical.encode(document)])

    def read(self, blob: Digest, *, limit: int = 4 << 20) -> bytes:
        """Return a whole small blob after checking it; more than `limit` bytes is an IntegrityError IB503."""
        return b"".join(self.open(blob, limit=limit))

    def open(self, blob: Digest, *, limit: int | None = None) -> Iterator[bytes]:
        """Yield a blob in chunks. The last one comes only if the whole was what the digest promised."""
        hasher = digest.sha256()
        held = b""
        size = 0
        with _reported(self.root), self.path(blob).open("rb") as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if limit is not None and size > limit:
                    raise _damaged(blob, f"it has more than {limit} bytes")
                hasher.update(chunk)
                if held:
                    yield held
                held = chunk
        if Digest.from_hasher(hasher) != blob:
            raise _damaged(blob, f"its bytes are {Digest.from_hasher(hasher)}")
        if held:
            yield held

    def verify(self, blob: Digest) -> Path:
        """Hash a stored blob again and return its path; IntegrityError IB503 if it was changed."""
        for _ in self.open(blob):
            pass
        return self.path(blob)

    def settle(self) -> None:
        """Make the names of all blobs survive a power cut: before something names them that survives it."""
        with _reported(self.root):
            sync_folder(self.root / "blobs" / "sha256")

    def initialise(self) -> None:
        """Make the folders and the `oci-layout` file. Harmless if they exist."""
        with _reported(self.root):
            (self.root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True, mode=0o700)
            marker = self.root / "oci-layout"
            if not marker.exists():
                write_file(marker, canonical.encode(_LAYOUT))


def write_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a small file: a reader sees the old content or the new, never a part.

    One that is not `durable` may be damaged by a power cut: for what says itself whether it is whole.
    """
    with replaced(path, durable=durable) as file:
        file.write(content)


def require_replaceable(path: Path) -> None:
    """Raise now what `replaced` would raise after the work whose outcome is to be written there: StorageError IB601."""
    with _reported(path):
        _refuse_devices(path)
        partial, file = _create_partial(Path(os.path.realpath(path)).parent)
        file.close()
        partial.unlink()


@contextmanager
def replaced(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Replace a file, durably, by what is written in the block; an error in it leaves the old file as it was.

    A link stays and leads to the new file. StorageError IB601 if it cannot be written, or is no file: to put a file in
    the place of `/dev/null` would be the end of more than this build.
    """
    with _reported(path):
        _refuse_devices(path)
        path = Path(os.path.realpath(path))
        partial, file = _create_partial(path.parent)
        try:
            with file:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            partial.rename(path)
            if durable:
                sync_folder(path.parent)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _refuse_devices(path: Path) -> None:
    """Refuse what is no file, and names of open streams: the file behind `/dev/stdout` is another's to replace."""
    folder = Path(os.path.realpath(path.parent))
    if (path.exists() and not path.is_file()) or folder == Path("/dev") or folder.is_relative_to("/proc"):
        raise OSError(errno.EINVAL, "it is no file", str(path))


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_partial(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        partial = folder / f"{PARTIAL}{os.getpid()}-{next(_serial)}"
        with suppress(FileExistsError):
            return partial, partial.open("xb")


def _check(blob: BlobWriter, expected: Digest | None, size: int | None) -> None:
    if size is not None and blob.size != size:
        raise IntegrityError(
            f"expected {size} bytes and got {blob.size}",
            hint="the source serves something else than was pinned; pin again with `imagebuilder lock --upgrade`",
            code="IB503",
        )
    if expected is not None and blob.digest != expected:
        raise IntegrityError(
            "the bytes are not what their hash promised",
            details=(f"expected {expected}", f"got      {blob.digest}"),
            hint="the source serves something else than was pinned; pin again with `imagebuilder lock --upgrade`",
            code="IB503",
        )


def _damaged(blob: Digest, what: str) -> IntegrityError:
    return IntegrityError(
        f"stored blob {blob} is damaged: {what}",
        hint="run `imagebuilder cache verify`; if it is not the cache that is damaged, build or copy the image again",
        code="IB503",
    )


@contextmanager
def _reported(place: Path) -> Iterator[None]:
    """Turn an error of the operating system into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, place) from error


def storage_error(error: OSError, place: Path) -> StorageError:
    """Say what the operating system refused, where, and what helps. Names of ours that nobody gave are not shown."""
    full, closed = "free some space", "make it writable"
    reason, remedy = {
        errno.ENOSPC: ("the disk is full", full),
        errno.EDQUOT: ("the disk quota is used up", full),
        errno.EROFS: ("the file system is read-only", closed),
        errno.EACCES: ("permission denied", closed),
        errno.EPERM: ("permission denied", closed),
        errno.ENOENT: ("no such file or folder", "create its folder"),
    }.get(error.errno or 0, (error.strerror or str(error), "see what is there"))
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    shown = place if not name or Path(name).name.startswith(PARTIAL) else name
    return StorageError(
        f"cannot use {shown}: {reason}",
        hint=f"{remedy}, or choose another place with the flag for it, as --cache-dir or --output",
        code="IB601",
    )
