"""An xz stream as plain bytes: in bounded memory, and only if it ends where it says."""

import lzma  # noqa: TID251 read only: no layer is written as xz
from collections.abc import Iterable, Iterator

from layers.errors import IntegrityError

_CHUNK = 1 << 20
# What `xz -9` needs is 65 MiB (xz(1), the table of presets).
_MEMORY_MAX = 256 << 20


def plain(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Decompress one stream; IntegrityError IB557 if it is damaged, cut off, or followed by something."""
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_MAX)
    try:
        for chunk in chunks:
            yield stream.decompress(chunk, _CHUNK)
            while not stream.needs_input and not stream.eof:
                yield stream.decompress(b"", _CHUNK)
    except (lzma.LZMAError, EOFError) as error:
        raise _damaged(str(error)) from error
    if not stream.eof or stream.unused_data:
        raise _damaged("something follows its end" if stream.eof else "it is cut off")


def _damaged(reason: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read an xz stream: {reason}", hint="the file is damaged; fetch it again from its origin", code="IB557"
    )
