"""Contents: what an entry refers to, read in chunks and checked while it is read.

Memory does not depend on the size of a content. The check of a content ends with its last chunk: a caller that goes
on to the end has the whole or an error, one that stops earlier knows nothing.
"""

import os
import zlib  # noqa: TID251 raw deflate streams of archives are inflated here and nowhere else
from collections.abc import Iterator
from pathlib import Path

import deflate  # noqa: TID251 its crc32 is ten times faster than that of zlib

from layers import digest
from layers.digest import Hasher
from layers.entry import Checksum, Content, Deflated, SourceFile, Stored
from layers.errors import IntegrityError, StorageError

Stamp = tuple[int, int, int, int, int]

_CHUNK = 1 << 20
_RAW_CHUNK = 256 << 10


def stamp(status: os.stat_result) -> Stamp:
    """Return what changes when a file changes: (device, inode, size, mtime_ns, ctime_ns), as a SourceFile has it."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Reader:
    """Reads contents; the last archive stays open until `close`, since the contents of one follow each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor = -1

    def close(self) -> None:
        """Close the archive that is open, if there is one."""
        if self._path is not None:
            os.close(self._descriptor)
            self._path = None

    def read(self, content: Content) -> Iterator[bytes]:
        """Yield a content in chunks of at most 1 MiB.

        Raises IntegrityError IB513 if a piece of an archive is not what the archive or RECORD promised, and
        StorageError IB602 if a source file changed since it was listed.
        """
        match content:
            case bytes():
                yield content
            case SourceFile():
                yield from _source_file(content)
            case Stored():
                yield from self._stored(content)
            case Deflated():
                for _, plain in self.inflate(content):
                    yield plain

    def inflate(self, content: Deflated) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs: compressed bytes, and plain bytes made from what has come so far; either may be empty.

        Raises IntegrityError IB513 unless the stream ends exactly at `compressed_size` and gives exactly `size` bytes
        with the promised hashes.
        """
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        check = _Check(content)
        for raw in self._run(content.file, content.offset, content.compressed_size):
            rest, passed = raw, raw
            while True:
                try:
                    plain = inflater.decompress(rest, _CHUNK)
                except zlib.error as error:
                    raise check.failed("its compressed bytes are damaged") from error
                check.update(plain)
                yield passed, plain
                rest, passed = inflater.unconsumed_tail, b""
                if not rest and len(plain) < _CHUNK:
                    break
        if not inflater.eof or inflater.unused_data:
            raise check.failed("its compressed bytes do not end where they should")
        check.finish()

    def _stored(self, content: Stored) -> Iterator[bytes]:
        check = _Check(content)
        for chunk in self._run(content.file, content.offset, content.size):
            check.update(chunk)
            yield chunk
        check.finish()

    def _run(self, path: Path, offset: int, size: int) -> Iterator[bytes]:
        end = offset + size
        while offset < end:
            chunk = os.pread(self._opened(path), min(_RAW_CHUNK, end - offset), offset)
            if not chunk:
                return  # the check of the content finds out that it is too short
            offset += len(chunk)
            yield chunk

    def _opened(self, path: Path) -> int:
        if path != self._path:
            self.close()
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._path = path
        return self._descriptor


class _Check:
    """Counts and hashes a content that an archive describes."""

    def __init__(self, content: Stored | Deflated) -> None:
        self._content = content
        self._size = 0
        self._crc32 = 0
        self._hasher = _hasher(content.checksum) if content.checksum else None

    def update(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._content.size:
            raise self.failed(f"it has more than the promised {self._content.size} bytes")
        if self._content.crc32 is not None:
            self._crc32 = deflate.crc32(chunk, self._crc32)
        if self._hasher:
            self._hasher.update(chunk)

    def finish(self) -> None:
        if self._size != self._content.size:
            raise self.failed(f"it has {self._size} bytes where {self._content.size} were promised")
        if self._content.crc32 not in (None, self._crc32):
            raise self.failed("its bytes are not those its CRC-32 promised")
        checksum = self._content.checksum
        if self._hasher and checksum and self._hasher.digest() != checksum.value:
            raise self.failed(f"its bytes are not those its {checksum.algorithm} promised")

    def failed(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"{self._content.name or 'a file'} in {self._content.file.name} is damaged: {what}",
            hint="the archive is not what its author published; download it again or report it to its project",
            code="IB513",
        )


def _hasher(checksum: Checksum) -> Hasher:
    running = digest.hasher(checksum.algorithm)
    if running is None:
        raise IntegrityError(
            f"cannot check a hash of the kind {checksum.algorithm!r}",
            hint="only sha256, sha384 and sha512 are accepted",
            code="IB513",
        )
    return running


def _source_file(source: SourceFile) -> Iterator[bytes]:
    """Yield a file that nothing may touch meanwhile; it is opened without following a link."""
    try:
        descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(source.path, error.strerror or "it is gone") from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        left = source.size
        while stamp(os.fstat(descriptor)) == source.stamp:
            chunk = file.read(_CHUNK)
            left -= len(chunk)
            if not chunk:
                break
            yield chunk
        if left or stamp(os.fstat(descriptor)) != source.stamp:
            raise _unreadable(source.path, "it changed while it was read")


def _unreadable(path: Path, reason: str) -> StorageError:
    return StorageError(
        f"cannot read {path}: {reason}",
        hint="let nothing else write to the folder during a build, and see that every file in it is readable",
        code="IB602",
    )
