"""Contents: the bytes of a file of a layer, read where its tar was unpacked to."""

import os
from collections.abc import Iterator

from layers.values import dataclass

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes at `offset` of an open file. Reading does not move a position, so threads may share it."""

    descriptor: int
    offset: int
    size: int

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes from `start` on; all of it without arguments."""
        wanted = self.size - start if length is None else min(length, self.size - start)
        return os.pread(self.descriptor, max(wanted, 0), self.offset + start)

    def chunks(self) -> Iterator[bytes]:
        """Yield all of it, a megabyte at a time."""
        for start in range(0, self.size, _CHUNK):
            yield self.read(start, _CHUNK)
