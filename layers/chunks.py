"""Chunks of a layer that was made before: those that are the same again are copied, and not compressed."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from layers.digest import Digest
from layers.values import dataclass

# Of a layer of more than 4 GB the rest is compressed each time: what is known of chunks takes memory.
MOST = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where the compressed bytes of a chunk lie in a blob, and the digests of its plain and its compressed bytes."""

    plain: Digest
    compressed: Digest
    start: int
    size: int


class Chunks:
    """Chunks of a blob that was made before, and in `made` those of the one that is made with their help.

    Only bytes that are those which were noted are taken from the blob: it may be damaged or gone.
    """

    def __init__(self, blob: Path, noted: Iterable[Chunk]) -> None:
        self.made: list[Chunk] = []
        self._blob = blob
        self._noted = {chunk.plain: chunk for chunk in noted}
        self._size = 0

    def compress(self, plain: bytes, anew: Callable[[bytes], bytes]) -> tuple[bytes, Chunk]:
        """Return the compressed bytes of a chunk as `anew` makes them, and what is known of it; in any thread."""
        digest = Digest.of(plain)
        if chunk := self._noted.get(digest):
            copied = self._copied(chunk)
            if copied is not None:
                return copied, chunk
        compressed = anew(plain)
        return compressed, Chunk(digest, Digest.of(compressed), 0, len(compressed))

    def note(self, size: int, chunk: Chunk | None) -> None:
        """Note what comes next in the blob that is made: so many bytes, a chunk or something else."""
        if chunk and len(self.made) < MOST:
            self.made.append(Chunk(chunk.plain, chunk.compressed, self._size, size))
        self._size += size

    def _copied(self, chunk: Chunk) -> bytes | None:
        try:
            descriptor = os.open(self._blob, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            copied = os.pread(descriptor, chunk.size, chunk.start)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return copied if Digest.of(copied) == chunk.compressed else None
