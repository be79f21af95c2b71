"""The tar of a stored layer, whatever compresses it: read as a stream, in bounded memory, and checked at its end."""

import zlib  # noqa: TID251 layers are read back here; compressing belongs to layers.compress
from collections.abc import Iterable, Iterator

from layers import digest, unzstd
from layers.descriptor import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.layer import Layer

_CHUNK = 1 << 20
# RFC 8878 section 3.1.1.1.2 asks every decoder for 8 MiB and lets it refuse more.
_LARGEST_WINDOW = 8 << 20
_GZIP = 16 + zlib.MAX_WBITS


def tar(layer: Layer, stored: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the tar of a layer from its stored bytes, in chunks. The last one comes only if the diff_id is right.

    Raises IntegrityError IB656 for damaged bytes, another diff_id or a media type that is no layer's.
    """
    hasher = digest.sha256()
    held = b""
    for chunk in _plain(layer, stored):
        hasher.update(chunk)
        if held:
            yield held
        held = chunk
    if Digest.from_hasher(hasher) != layer.diff_id:
        raise _damaged(layer, f"its tar is {Digest.from_hasher(hasher)} and should be {layer.diff_id}")
    if held:
        yield held


def _plain(layer: Layer, stored: Iterable[bytes]) -> Iterator[bytes]:
    match layer.descriptor.media_type:
        case media_type if media_type == LAYER_TAR:
            yield from stored
        case media_type if media_type == LAYER_GZIP:
            yield from _gunzip(layer, stored)
        case media_type if media_type == LAYER_ZSTD:
            yield from _unzstd(layer, stored)
        case media_type:
            raise _damaged(layer, f"{media_type!r} is not a layer that can be read")


def _gunzip(layer: Layer, stored: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    try:
        for chunk in stored:
            rest = chunk
            while rest:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                yield member.decompress(rest, _CHUNK)
                rest = member.unused_data if member.eof else member.unconsumed_tail
        yield member.flush()
    except zlib.error as error:
        raise _damaged(layer, str(error)) from error
    if not member.eof:
        raise _damaged(layer, "it ends too early")


def _unzstd(layer: Layer, stored: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from unzstd.plain(stored, window=_LARGEST_WINDOW)
    except IntegrityError as error:
        raise _damaged(layer, error.message) from error


def _damaged(layer: Layer, what: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read layer {layer.descriptor.digest}: {what}",
        hint="the image is damaged or is not what it claims to be; build or copy it again",
        code="IB656",
    )
