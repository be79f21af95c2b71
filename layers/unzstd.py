"""A zstd stream as plain bytes: in bounded memory, and only if its last frame is whole."""

from collections.abc import Iterable, Iterator

from layers.errors import IntegrityError

# What `zstd --ultra` needs, and what conda's packages are made with.
_WINDOW_MAX = 128 << 20
# A block gives at most 128 KiB and takes at least 4 bytes: what this many bytes give still fits in memory.
_PIECE = 1 << 10
_CHUNK = 1 << 20


def plain(chunks: Iterable[bytes], *, window: int = _WINDOW_MAX) -> Iterator[bytes]:
    """Decompress frames until the end; IntegrityError IB557 if one is damaged, cut off, or wants a larger window."""
    import zstandard  # noqa: TID251 read only, and most builds meet nothing that is compressed so

    decompressor = zstandard.ZstdDecompressor(max_window_size=window)
    frame = decompressor.decompressobj()
    try:
        for piece in _pieces(chunks):
            rest = piece
            while rest:
                if frame.eof:
                    frame = decompressor.decompressobj()
                plain = frame.decompress(rest)
                yield from (plain[at : at + _CHUNK] for at in range(0, len(plain), _CHUNK))
                rest = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise _damaged(str(error)) from error
    if not frame.eof:
        raise _damaged("it is cut off")


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return (chunk[at : at + _PIECE] for chunk in chunks for at in range(0, len(chunk), _PIECE))


def _damaged(reason: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read a zstd stream: {reason}", hint="the file is damaged; fetch it again from its origin", code="IB557"
    )
