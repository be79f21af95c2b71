"""Early uploads: a layer that is made goes to the registry while others are still made.

Blobs that no manifest names are nothing to a registry, so a build that fails later has done no harm there. What ends a
build ends its uploads too, without waiting for a registry that does not answer: the threads die with the process.
"""

import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from imagebuilder import destinations, reference
from imagebuilder.image import blobs_of
from imagebuilder.progress import Progress
from imagebuilder.reference import Reference
from imagebuilder.request import BuildRequest
from layers.blobs import BlobStore
from layers.descriptor import Descriptor
from layers.digest import Digest

if TYPE_CHECKING:  # the client takes 25 ms, which a build that pushes nothing must not pay
    from concurrent.futures import Future

    from imagebuilder.push import Sender
    from imagebuilder.registry.client import Repository, Uploaded

# As when everything is pushed at once.
_THREADS = 4
_PATIENCE_S = 1.0


class EarlyUploads:
    """Blobs that are on their way to the repository `name`, which is opened for the first of them."""

    def __init__(self, name: Reference, request: BuildRequest, store: BlobStore, progress: Progress) -> None:
        self.name = name
        self._request = request
        self._store = store
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._opened = ExitStack()
        self._sender: Sender | None = None
        self._fates: dict[Digest, Future[Uploaded]] = {}
        self._waiting: queue.SimpleQueue[Descriptor | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def repository(self) -> "Repository":
        """The repository, open."""
        return self._open().repository

    @property
    def begun(self) -> bool:
        """Say whether anything was sent."""
        return bool(self._fates)

    def send(self, blob: Descriptor) -> None:
        """Begin to send a blob of the store; returns at once."""
        from concurrent.futures import Future  # 8 ms that a build that makes nothing is not worth

        with self._lock:
            if blob.digest in self._fates:
                return
            self._fates[blob.digest] = Future()
            if len(self._threads) < _THREADS:
                self._threads.append(threading.Thread(target=self._work, daemon=True))
                self._threads[-1].start()
        self._waiting.put(blob)

    def fate(self, blob: Descriptor) -> "Future[Uploaded] | None":
        """Return what becomes of a blob; None if it was not sent."""
        return self._fates.get(blob.digest)

    def close(self) -> None:
        """End what is still under way, and close the repository unless it does not answer."""
        self._stopped.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        if not any(thread.is_alive() for thread in self._threads):
            self._opened.close()

    def _open(self) -> "Sender":
        from imagebuilder import remote  # see above
        from imagebuilder.push import Sender
        from imagebuilder.registry.client import open_repository

        with self._lock:
            if self._sender is None:
                settings = remote.settings_of(self._request, self._progress)
                repository = self._opened.enter_context(open_repository(self.name, settings=settings, push=True))
                self._sender = Sender(repository, blobs_of(self._store), self._progress, self._stopped)
            return self._sender

    def _work(self) -> None:
        while blob := self._waiting.get():
            fate = self._fates[blob.digest]
            if self._stopped.is_set():
                fate.cancel()
                continue
            try:
                fate.set_result(self._open().send(blob))
            except BaseException as error:  # noqa: BLE001 it is for whoever asks what became of the blob
                fate.set_exception(error)


@contextmanager
def uploads(request: BuildRequest, store: BlobStore, progress: Progress) -> Iterator[EarlyUploads | None]:
    """Yield what sends blobs early to the first repository of a build that pushes; None for one that does not."""
    if not request.push:
        yield None
        return
    names = [reference.parse(tag) for tag in request.tags]
    for name in names:
        destinations.check_target(name)
    going = EarlyUploads(names[0], request, store, progress)
    try:
        yield going
    finally:
        going.close()
