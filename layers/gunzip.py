"""A gzip stream as plain bytes: in bounded memory, and only if it ends where it says."""

import zlib  # noqa: TID251 read only: compressing belongs to layers.compress
from collections.abc import Iterable, Iterator

from layers.errors import IntegrityError

_CHUNK = 1 << 20


def plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress one stream; IntegrityError IB557 if it is damaged, cut off, or followed by something."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            rest = chunk
            while rest and not stream.eof:
                yield stream.decompress(rest, _CHUNK)
                rest = stream.unconsumed_tail
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if not stream.eof or stream.unused_data:
        raise _damaged("it does not end where it should")


def _damaged(reason: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read a gzip stream: {reason}", hint="the file is damaged; fetch it again from its origin", code="IB557"
    )
