"""Layers: entries written as a tar, compressed, hashed twice and stored, in one pass."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from layers import compress, digest, tar
from layers.blobs import BlobStore
from layers.chunks import Chunks
from layers.compress import Compression
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.entry import Entry
from layers.values import dataclass


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
    compression: Compression = "gzip",
    chunks: Chunks | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Layer:
    """Write entries, in any order, as a layer. An error leaves nothing in the store.

    The bytes are the same with and without `chunks` that were made before.
    The memory it takes depends on the number of entries, not on their sizes. Raises IntegrityError if a content is not
    what its archive or RECORD promised or if entries contradict each other, StorageError if a source file changed
    while it was read or the store cannot be written, CancelledError soon after `cancelled` says yes.
    """
    hasher = digest.sha256()
    pieces = tar.pieces(tar.ordered(entries))
    with closing(compress.compress(pieces, compression, hasher=hasher, chunks=chunks)) as written:
        blob = store.write(compress.media_type(compression), _unless(cancelled, written))
    return Layer(blob, Digest.from_hasher(hasher), created_by)


def _unless(cancelled: Callable[[], bool], chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if cancelled():
            from concurrent.futures import CancelledError  # 8 ms that few builds need

            raise CancelledError
        yield chunk
