"""Bzip2 streams as plain bytes: in bounded memory, and only if the last one ends where the file does."""

import bz2  # noqa: TID251 read only: no layer is written as bzip2
from collections.abc import Iterable, Iterator

from layers.errors import IntegrityError

_CHUNK = 1 << 20


def plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress streams that follow each other (parallel compressors write several).

    Raises IntegrityError IB557 if one is damaged or cut off.
    """
    stream = bz2.BZ2Decompressor()
    try:
        for chunk in chunks:
            rest = chunk
            while rest or not (stream.needs_input or stream.eof):
                if stream.eof:
                    stream = bz2.BZ2Decompressor()
                yield stream.decompress(rest, _CHUNK)
                rest = stream.unused_data
    except (OSError, ValueError) as error:
        raise _damaged(str(error)) from error
    if not stream.eof:
        raise _damaged("it is cut off")


def _damaged(reason: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read a bzip2 stream: {reason}",
        hint="the file is damaged; fetch it again from its origin",
        code="IB557",
    )
