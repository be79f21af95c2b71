"""Layers: entries written as a tar, compressed, hashed twice and stored, in one pass."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from layers.blobs import BlobStore
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.entry import Entry


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer whose bytes are in the store: it exists only after both digests are known.

    `descriptor.digest` is the hash of the stored (compressed) bytes, `diff_id` that of the tar.
    """

    descriptor: Descriptor
    diff_id: Digest
    created_by: str


def write_layer(
    store: BlobStore,
    entries: Iterable[Entry],
    *,
    created_by: str,
    compression: Literal["gzip", "zstd", "none"] = "gzip",
) -> Layer:
    """Write entries, in any order, as a layer. An error leaves nothing in the store.

    Raises IntegrityError if a content is not what its archive or RECORD promised or if entries contradict each other,
    StorageError if a source file changed while it was read or the store cannot be written.
    """
    raise NotImplementedError
