"""A gzip stream as plain bytes: in bounded memory, and only if it ends where it says."""

import zlib  # noqa: TID251 read only: what is written with gzip is written by layers.compress
from collections.abc import Iterable, Iterator

from layers.errors import IntegrityError

_CHUNK = 1 << 20


def plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress one member; IntegrityError IB557 if it is damaged, cut off, or followed by something."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    rest = b""
    try:
        for chunk in chunks:
            rest += chunk
            while rest and not stream.eof:
                yield stream.decompress(rest, _CHUNK)
                rest = stream.unconsumed_tail
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if not stream.eof or stream.unused_data or rest:
        raise _damaged("something follows its end" if stream.eof else "it is cut off")


def _damaged(reason: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read a gzip stream: {reason}", hint="the file is damaged; fetch it again from its origin", code="IB557"
    )
