"""A zstd stream as plain bytes: in bounded memory, and only if it ends where it says."""

from collections.abc import Iterable, Iterator

from layers.errors import IntegrityError

# What `zstd --ultra` needs, and what conda's packages are made with.
_WINDOW_MAX = 128 << 20
# A block gives at most 128 KiB and takes at least 4 bytes: what this many bytes give still fits in memory.
_PIECE = 4 << 10


def plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress one frame; IntegrityError IB557 if it is damaged, cut off, or followed by something."""
    import zstandard  # noqa: TID251 read only, and most builds meet nothing that is compressed so

    stream = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX).decompressobj()
    try:
        for chunk in chunks:
            for at in range(0, len(chunk), _PIECE):
                if stream.eof:
                    raise _damaged("something follows its end")
                yield stream.decompress(chunk[at : at + _PIECE])
    except zstandard.ZstdError as error:
        raise _damaged(str(error)) from error
    if not stream.eof or stream.unused_data:
        raise _damaged("it does not end where it should")


def _damaged(reason: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read a zstd stream: {reason}", hint="the file is damaged; fetch it again from its origin", code="IB557"
    )
