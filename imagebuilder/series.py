"""Layers that are made of one folder again and again: what a layer has in common with the last one is copied."""

from collections.abc import Callable, Iterable

from imagebuilder.cache import Cache
from layers import compress, layer
from layers.canonical import Json
from layers.compress import Compression
from layers.entry import Entry
from layers.layer import Layer


def write_layer(
    cache: Cache,
    entries: Iterable[Entry],
    *,
    folder: str,
    created_by: str,
    compression: Compression,
    cancelled: Callable[[], bool] = lambda: False,
) -> Layer:
    """Write a layer as `layers.layer` does, but copy the chunks that the last one of this folder and name has, too.

    None are looked for if `folder` is empty; of a layer of one chunk none is kept.
    """
    key: dict[str, Json] = {"folder": folder, "layer": created_by, "compression": compress.identify(compression)}
    chunks = cache.find_chunks(key) if folder else None
    made = layer.write_layer(
        cache.store, entries, created_by=created_by, compression=compression, chunks=chunks, cancelled=cancelled
    )
    if chunks and len(chunks.made) > 1:
        cache.remember_chunks(key, made.descriptor.digest, chunks.made)
    return made
