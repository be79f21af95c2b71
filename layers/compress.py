"""Compression: tar bytes become the bytes of a blob, the same on every host.

The output is part of output format 1: it depends on the entries alone, never on write sizes, threads or the host's own
libraries. `gzip` keeps the deflate streams of the larger members of wheels, so that they are inflated once (for the
diff_id and their checks) and never compressed; docs/decisions/0002-compression.md says how the numbers were chosen.
"""

import os
import struct
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

import deflate  # noqa: TID251 this is the module that compresses

from layers import descriptor
from layers.chunks import Chunk, Chunks
from layers.content import GZIP_HEADER, Reader
from layers.digest import Digest, Hasher
from layers.entry import Content, Deflated
from layers.errors import IntegrityError
from layers.values import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Future

Compression = Literal["gzip", "zstd", "none"]

# A member of a wheel of at least this size keeps its own deflate stream.
KEPT = 64 << 10
# Chunks that are compressed at a time, and that wait to be written in their order: no matter of the result.
_AT_A_TIME = min(4, os.cpu_count() or 1)
_WAITING = 3 + _AT_A_TIME


@dataclass(frozen=True, slots=True)
class _Format:
    """How one kind of layer is compressed: `chunk` bytes of tar at a time; `proof` is what known bytes must become."""

    id: str
    media_type: str
    chunk: int
    compress: Callable[[bytes], bytes]
    proof: str


@dataclass(frozen=True, slots=True)
class _Part:
    """Bytes of the tar, and those of the blob if they are known: else the former are compressed, on their own."""

    plain: bytes
    compressed: bytes | None = None


# What there is of a part: the bytes of the blob, and what is known of them if they are a chunk to be found again.
_Stored = tuple[bytes, Chunk | None]


def compress(
    tar: Iterable[Content], compression: Compression, *, hasher: Hasher, chunks: Chunks | None = None
) -> Generator[bytes, None, None]:
    """Yield the bytes of a blob made of the pieces of a tar; `hasher` is fed the tar itself.

    Of a blob of several chunks, those that `chunks` know are taken from there, and all are noted in them.

    Raises IntegrityError IB515 if the compressor gives other bytes than output format 1 wants, and what reading a
    content raises.
    """
    form = _FORMATS[compression]
    _prove(form)
    with closing(Reader()) as reader:
        parts = _parts(tar, reader, form.chunk, kept=KEPT if compression == "gzip" else None)
        with closing(_in_order(parts, _compressor(form, chunks), hasher)) as in_order:
            for stored, chunk in in_order:
                if chunks:
                    chunks.note(len(stored), chunk)
                yield stored


def _compressor(form: _Format, chunks: Chunks | None) -> Callable[[bytes], _Stored]:
    if chunks is None:
        return lambda plain: (form.compress(plain), None)
    return lambda plain: chunks.compress(plain, form.compress)


def identify(compression: Compression) -> str:
    """Return the compressor's name, version and parameters: what a blob's digest depends on besides its diff_id."""
    return _FORMATS[compression].id


def media_type(compression: Compression) -> str:
    """Return the media type of a layer compressed this way."""
    return _FORMATS[compression].media_type


def _parts(tar: Iterable[Content], reader: Reader, size: int, *, kept: int | None) -> Iterator[_Part]:
    """Cut a tar into chunks of `size` bytes and, between them, streams of members that have at least `kept` bytes."""
    pending: list[bytes] = []
    missing = size
    for piece in tar:
        if kept is not None and isinstance(piece, Deflated) and piece.size >= kept:
            if pending:
                yield _Part(b"".join(pending))
                pending, missing = [], size
            yield from _kept(piece, reader)
            continue
        for read in reader.read(piece):
            rest = read
            while len(rest) >= missing:
                pending.append(rest[:missing])
                rest = rest[missing:]
                yield _Part(b"".join(pending))
                pending, missing = [], size
            if rest:
                pending.append(rest)
                missing -= len(rest)
    if pending:
        yield _Part(b"".join(pending))


def _kept(content: Deflated, reader: Reader) -> Iterator[_Part]:
    header = GZIP_HEADER
    for raw, plain in reader.inflate(content):
        yield _Part(plain, header + raw)
        header = b""
    yield _Part(b"", _gzip_trailer(content.crc32, content.size))


def _in_order(
    parts: Iterable[_Part], compress: Callable[[bytes], _Stored], hasher: Hasher
) -> Generator[_Stored, None, None]:
    """Hash parts in a second thread, one after the other, and compress them in others, while this one reads on.

    A single one is done at once.
    """
    left = iter(parts)
    first = list(islice(left, 2))
    if len(first) < 2:
        for part in first:
            hasher.update(part.plain)
            yield compress(part.plain) if part.compressed is None else (part.compressed, None)
        return
    from concurrent.futures import ThreadPoolExecutor  # 8 ms that a small layer is not worth

    with ThreadPoolExecutor(1) as hashing, ThreadPoolExecutor(_AT_A_TIME) as compressing:
        waiting: deque[tuple[Future[None], _Stored | Future[_Stored]]] = deque()
        for part in chain(first, left):
            known = part.compressed
            stored = compressing.submit(compress, part.plain) if known is None else (known, None)
            waiting.append((hashing.submit(hasher.update, part.plain), stored))
            if len(waiting) > _WAITING:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _result(hashed: "Future[None]", stored: "_Stored | Future[_Stored]") -> _Stored:
    hashed.result()
    return stored if isinstance(stored, tuple) else stored.result()


def _gzip(chunk: bytes) -> bytes:
    """Return a gzip member. Its header is ours: that of a library may depend on the level or the system."""
    compressed = deflate.deflate_compress(chunk, 6)
    return b"".join((GZIP_HEADER, compressed, _gzip_trailer(deflate.crc32(chunk), len(chunk))))


def _gzip_trailer(crc32: int, size: int) -> bytes:
    return struct.pack("<LL", crc32, size & 0xFFFFFFFF)


def _zstd(chunk: bytes) -> bytes:
    """Return a zstd frame; a fresh compressor for each, so that none depends on the one before."""
    import zstandard  # noqa: TID251 this is the module that compresses; only those who ask for zstd pay for it

    return zstandard.ZstdCompressor(level=3).compress(chunk)


def _none(chunk: bytes) -> bytes:
    return chunk


_FORMATS: Mapping[Compression, _Format] = {
    "gzip": _Format(
        id=f"gzip-deflate-0.9.0-level6-chunk1m-kept{KEPT >> 10}k",
        media_type=descriptor.LAYER_GZIP,
        chunk=1 << 20,
        compress=_gzip,
        proof="sha256:00071afb43bb92a96687132415fd52275c973773208e65ad7888d29a1c772aa8",
    ),
    "zstd": _Format(
        id="zstd-zstandard-0.25.0-level3-frame4m",
        media_type=descriptor.LAYER_ZSTD,
        chunk=4 << 20,
        compress=_zstd,
        proof="sha256:1fb6d2dc0cbb132d9d1e8ed1035304d48f09c054dfe661551af5fce981a31604",
    ),
    "none": _Format(
        id="none",
        media_type=descriptor.LAYER_TAR,
        chunk=1 << 20,
        compress=_none,
        proof="sha256:94fa29d8602498fc6ec7c101140d35dd4dcf4c27904f67498884edc9cd71fad0",
    ),
}


@cache
def _prove(form: _Format) -> None:
    """Compress known bytes before the first layer: another version of a library would give other digests."""
    result = Digest.of(form.compress(known_bytes()))
    if result.value != form.proof:
        raise IntegrityError(
            f"the compressor of this installation is not {form.id}",
            details=(f"expected {form.proof}", f"got      {result}"),
            hint="reinstall imagebuilder with the versions of `deflate` and `zstandard` that it asks for",
            code="IB515",
        )


def known_bytes() -> bytes:
    """Return 64 KiB with text, numbers and repetitions: the input of the known-answer test."""
    lines = (b"%d %x layers/%d/module.py\n" % (n, n * n * 2654435761 % 4294967291, n % 97) for n in range(3000))
    return b"".join(lines)[: 64 << 10]
