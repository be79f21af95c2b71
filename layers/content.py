"""Contents: what an entry refers to, read in chunks and checked while it is read.

Memory does not depend on the size of a content. The check of a content ends with its last chunk: a caller that goes
on to the end has the whole or an error, one that stops earlier knows nothing.

What is small enough is inflated at once by libdeflate, three times as fast as zlib does it; all else, and all that
libdeflate does not take for whole, goes through zlib, which also finds the words for what is wrong
(docs/decisions/0203-inflated-at-once.md).
"""

import os
import struct
import threading
import zlib  # noqa: TID251 raw deflate streams of archives are inflated here and nowhere else
from collections.abc import Iterable, Iterator
from pathlib import Path

import deflate  # noqa: TID251 it inflates three times as fast as zlib, and its crc32 is ten times faster

from layers import digest
from layers.digest import Hasher
from layers.entry import Checksum, Content, Deflated, SourceFile, Stored
from layers.errors import IntegrityError, StorageError

Stamp = tuple[int, int, int, int, int]

# RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system.
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
# How coarse the times of files are, at most: those of kernels that count a hundred ticks a second, and those of file
# systems that count in seconds or in two, which are round.
_TICK_NS = 20_000_000
_COARSE_NS = 2_000_000_000
_ROUND_NS = 10_000_000
_CHUNK = 1 << 20
_RAW_CHUNK = 256 << 10
# Contents that are smaller are read together with what follows them: each read gives other threads their turn.
_WINDOW = 64 << 10
# Contents up to this size are inflated at once, but of those of more than a chunk one at a time: it bounds the memory.
_LARGE = 8 << 20
_one_is_large = threading.Lock()


def stamp(status: os.stat_result) -> Stamp:
    """Return what changes when a file changes: (device, inode, size, mtime_ns, ctime_ns), as a SourceFile has it."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def is_settled(changed_ns: int, seen_ns: int) -> bool:
    """Say whether another change of a file, after it was seen, would give it another time of its last change."""
    return changed_ns < seen_ns - (_COARSE_NS if changed_ns % _ROUND_NS == 0 else _TICK_NS)


class Reader:
    """Reads contents; the last archive stays open until `close`, since the contents of one follow each other."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor = -1
        self._window = (0, b"")

    def close(self) -> None:
        """Close the archive that is open, if there is one."""
        if self._path is not None:
            os.close(self._descriptor)
            self._path = None

    def read(self, content: Content) -> Iterable[bytes]:
        """Return a content in chunks of at most 1 MiB.

        Raises, at once or between chunks, IntegrityError IB513 if a piece of an archive is not what the archive or
        RECORD promised, and StorageError IB602 if a source file changed since it was listed.
        """
        match content:
            case bytes():
                return (content,)
            case SourceFile():
                return _source_file(content)
            case Stored():
                return self._stored(content)
            case Deflated():
                return (plain for _, plain in self.inflate(content))

    def inflate(self, content: Deflated) -> Iterable[tuple[bytes, bytes]]:
        """Return pairs: compressed bytes, and plain bytes made from what has come so far; either may be empty.

        Raises IntegrityError IB513 unless the stream ends exactly at `compressed_size` and gives exactly `size` bytes
        with the promised hashes.
        """
        size = max(content.size, content.compressed_size)
        if not content.size or size > _LARGE:  # of nothing at all deflate.py does not look at the stream
            return self._streamed(content)
        if size > _CHUNK:
            return self._large(content)
        whole = self._at_once(content)
        return (whole,) if whole else self._streamed(content)

    def _at_once(self, content: Deflated) -> tuple[bytes, bytes] | None:
        """Return the compressed bytes and the plain ones; None if they are not as promised.

        libdeflate is given a gzip member, so it checks size and CRC-32. What follows the end of the stream it takes for
        these two; as they stand nowhere else in the member than at its end, that is where the stream ends.
        """
        promised = struct.pack("<LL", content.crc32, content.size)
        raw = self._whole(content.file, content.offset, content.compressed_size)
        member = b"".join((GZIP_HEADER, raw, promised))
        if member.find(promised) != len(member) - len(promised):
            return None
        try:
            plain = bytes(deflate.gzip_decompress(member, content.size))
        except deflate.DeflateError:
            return None
        if content.checksum:
            hasher = _hasher(content.checksum)
            hasher.update(plain)
            if hasher.digest() != content.checksum.value:
                return None
        return raw, plain

    def _large(self, content: Deflated) -> Iterator[tuple[bytes, bytes]]:
        """Inflate at once, in chunks, unless another thread holds as much already."""
        whole = None
        if _one_is_large.acquire(blocking=False):
            try:
                if whole := self._at_once(content):
                    raw, plain = whole
                    for start in range(0, len(plain), _CHUNK):
                        yield raw, plain[start : start + _CHUNK]
                        raw = b""
            finally:
                _one_is_large.release()
        if whole is None:
            yield from self._streamed(content)

    def _streamed(self, content: Deflated) -> Iterator[tuple[bytes, bytes]]:
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

    def _whole(self, path: Path, offset: int, size: int) -> bytes:
        """Return bytes of a file; fewer if it is too short."""
        if size > _WINDOW // 4:
            return b"".join(self._run(path, offset, size))
        descriptor = self._opened(path)
        begin, window = self._window
        if not begin <= offset <= begin + len(window) - size:
            begin, window = offset, os.pread(descriptor, _WINDOW, offset)
            self._window = begin, window
        return window[offset - begin : offset - begin + size]

    def _opened(self, path: Path) -> int:
        if path is not self._path and path != self._path:
            self.close()
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._path = path
            self._window = 0, b""
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
        # The names of folders are joined as text: a Path for each file would take as long as to read a small one.
        place = os.path.join(source.folder, source.name)  # noqa: PTH118
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(source.path, error.strerror or "it is gone") from error
    try:
        left = source.size
        while left and stamp(os.fstat(descriptor)) == source.stamp:
            chunk = os.read(descriptor, min(left, _CHUNK))
            left -= len(chunk)
            if not chunk:
                break
            yield chunk
        if left or stamp(os.fstat(descriptor)) != source.stamp:
            raise _unreadable(source.path, "it changed while it was read")
    finally:
        os.close(descriptor)


def _unreadable(path: Path, reason: str) -> StorageError:
    return StorageError(
        f"cannot read {path}: {reason}",
        hint="let nothing else write to the folder during a build, and see that every file in it is readable",
        code="IB602",
    )
