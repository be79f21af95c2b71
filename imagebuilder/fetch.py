"""Downloads: files known by their hash, from wherever they are, into the store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from buildpacks.api import Files, Source
from imagebuilder.index import IndexSettings
from layers.blobs import BlobStore


@dataclass(frozen=True)
class Downloader:
    """How files are asked for. `locate` gives the addresses to try for a source of kind `deb`."""

    index: IndexSettings = IndexSettings()
    offline: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    locate: Callable[[Source], tuple[str, ...]] = lambda _source: ()

    def get(self, url: str, limit: int) -> bytes:
        """Return a document of at most `limit` bytes. Raises BuildError IB703 if there is none at this address."""
        raise NotImplementedError

    def fetch_all(
        self,
        sources: Sequence[Source],
        store: BlobStore,
        *,
        workers: int = 4,
        on_progress: Callable[[Source, int], None] = lambda _source, _size: None,
    ) -> Files:
        """Bring files into the store, in parallel, and return where they are; what is there already is hashed again.

        `on_progress` is called from several threads with the number of bytes that arrived.
        """
        raise NotImplementedError
