"""Unpacked layers: the tar of each layer that matters, checked, once, in a file that goes with its process."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType

from layers import decompress, digest
from layers.blobs import storage_error
from layers.descriptor import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD, Descriptor
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.layer import Layer
from layers.values import dataclass
from reproducibility import gzip_header, tars
from reproducibility.images import StoredLayer
from reproducibility.listing import Listing

_MEDIA_TYPES = {"tar": LAYER_TAR, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}
# Where the header of a gzip stream has ended at the latest; real ones have a few dozen bytes.
_HEADER_MAX = 64 << 10
# Layers are gigabytes at most and compress to a tenth at best; a hostile one could fill the disk.
_UNPACKED_MAX = 64 << 30
_SUSPICIOUS = 1 << 30
_RATIO_MAX = 100


@dataclass(frozen=True, slots=True)
class Compressed:
    """How a layer is stored: the header of its gzip stream, if it is one, and the digest of what follows it."""

    header: bytes
    body: Digest


class Unpacker:
    """Unpacks layers into a folder, each one once however often it is asked for. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._listings: dict[tuple[str, str], Listing] = {}
        self._compressed: dict[str, Compressed] = {}
        self._serial = count()

    def __enter__(self) -> "Unpacker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def listing(self, layer: StoredLayer) -> Listing:
        """Unpack a layer and list what it holds.

        Raises IntegrityError IB800 if its tar cannot be read, IB801 if it is a bomb, IB656 if it is not what its
        digests promise; StorageError IB601 if there is no room for it.
        """
        key = layer.digest, layer.diff_id
        if key not in self._listings:
            self._listings[key] = self._unpack(layer)
        return self._listings[key]

    def compressed(self, layer: StoredLayer) -> Compressed:
        """Read a layer to its end, checking that it is what it claims to be, and say how it is stored."""
        if layer.digest not in self._compressed:
            stored = _Observed(layer.stored())
            for _ in _tar(layer, stored):
                pass
            self._compressed[layer.digest] = stored.result()
        return self._compressed[layer.digest]

    def prepare(self, left: Sequence[StoredLayer], right: Sequence[StoredLayer]) -> None:
        """Unpack the layers of both sides, at any time one of each."""
        from concurrent.futures import ThreadPoolExecutor  # images that are the same never come here

        shared = {layer.digest for layer in left}
        sides = (left, [layer for layer in right if layer.digest not in shared])
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(lambda side: list(map(self.listing, side)), side) for side in sides]:
                done.result()

    def _unpack(self, layer: StoredLayer) -> Listing:
        stored = _Observed(layer.stored())
        path = self._folder / f"tar-{next(self._serial)}"
        chunks = _tar(layer, stored)
        try:
            file = self._open.enter_context(path.open("x+b"))
            path.unlink()
            for chunk in chunks:
                file.write(chunk)
            file.flush()
        except OSError as error:
            raise storage_error(error, self._folder) from error
        self._compressed[layer.digest] = stored.result()
        return tars.read(file.fileno(), file.tell())


class _Observed:
    """Stored bytes on their way to the decompressor."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._start: bytes | None = b""
        self._header = b""
        self._body = digest.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._observe(chunk)
            yield chunk

    def result(self) -> Compressed:
        """Say what was seen, at the end."""
        self._body.update(self._start or b"")
        return Compressed(self._header, Digest.from_hasher(self._body))

    def _observe(self, chunk: bytes) -> None:
        if self._start is None:
            self._body.update(chunk)
            return
        self._start += chunk
        end = gzip_header.length(self._start)
        if end or len(self._start) > _HEADER_MAX:
            self._header = self._start[:end]
            self._body.update(self._start[end:])
            self._start = None


def compression(media_type: str) -> str:
    """Return how layers of a media type are compressed: `gzip`, `zstd`, `tar` if not at all, else the type itself."""
    kind = media_type.replace(".", "+").rpartition("+")[2]
    return kind if kind in _MEDIA_TYPES else media_type


def _tar(layer: StoredLayer, stored: Iterable[bytes]) -> Iterator[bytes]:
    media_type = _MEDIA_TYPES.get(compression(layer.media_type), layer.media_type)
    known = Layer(Descriptor(media_type, Digest(layer.digest), layer.size), Digest(layer.diff_id), layer.name)
    most = max(_SUSPICIOUS, min(layer.size * _RATIO_MAX, _UNPACKED_MAX))
    total = 0
    for chunk in decompress.tar(known, stored):
        total += len(chunk)
        if total > most:
            raise IntegrityError(
                f"refused layer {layer.digest}: {layer.size} bytes unpack to more than {most}",
                hint="it is made to fill disks; no layer of a real image is packed so tightly",
                code="IB801",
            )
        yield chunk
