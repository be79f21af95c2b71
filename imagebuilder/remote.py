"""Remote blobs: those of a repository of a registry, and those of an image whose layers are partly elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from imagebuilder import image as images
from imagebuilder import parts as parts_of
from imagebuilder.image import INDEXES, MANIFESTS, Blobs, Content, Image
from imagebuilder.parts import Parts
from imagebuilder.progress import Progress
from imagebuilder.reference import Reference
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.request import BuildRequest
from layers.blobs import BlobStore
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.values import dataclass, field

if TYPE_CHECKING:  # the client takes 20 ms, which a build that pushes nothing must not pay
    from imagebuilder.registry.client import Repository


def settings_of(request: BuildRequest, progress: Progress) -> RegistrySettings:
    """Return how a build reaches registries."""
    return RegistrySettings(
        request.environment, request.insecure_registries, token_hosts=request.token_hosts, note=progress.note
    )


# Is told how many bytes have arrived; what it raises ends the transfer.
Advance = Callable[[int], object]


def bring(repository: "Repository", blob: Descriptor, store: BlobStore, advance: Advance) -> None:
    """Bring a blob of a repository into a store. Raises what the client and the store raise."""
    with store.writer(blob.digest, blob.size) as copy:
        for chunk in repository.blob(blob):
            copy.write(chunk)
            advance(len(chunk))


@dataclass(frozen=True, slots=True)
class RemoteBlobs:
    """The blobs of a repository, streamed and checked by its client. Documents that were read are kept."""

    repository: "Repository"
    read: dict[Digest, bytes] = field(default_factory=dict)

    def open(self, blob: Descriptor, *, limit: int | None = None) -> Iterator[bytes]:
        """Yield a blob or a manifest. Both are no longer than their descriptor says, so there is no other limit."""
        del limit
        if blob.media_type not in MANIFESTS + INDEXES:
            return self.repository.blob(blob)
        if blob.digest not in self.read:
            self.read[blob.digest] = self.repository.manifest(blob.digest)[1]
        return iter([self.read[blob.digest]])

    def content(self, blob: Descriptor) -> Content:
        """Return what streams a blob from its registry."""
        return lambda: self.repository.blob(blob)


@dataclass(frozen=True, slots=True)
class ScatteredBlobs:
    """The blobs of a store; what it does not have is in a repository."""

    store: BlobStore
    elsewhere: Mapping[Digest, "Repository"]

    def open(self, blob: Descriptor, *, limit: int | None = None) -> Iterator[bytes]:
        """Yield a blob."""
        return self._place(blob).open(blob, limit=limit)

    def content(self, blob: Descriptor) -> Content:
        """Return the file of a blob, or what streams it."""
        return self._place(blob).content(blob)

    def _place(self, blob: Descriptor) -> Blobs:
        repository = self.elsewhere.get(blob.digest)
        if repository is None or self.store.has(blob.digest, blob.size):
            return images.blobs_of(self.store)
        return RemoteBlobs(repository)


@contextmanager
def open_remote(name: Reference, settings: RegistrySettings) -> Iterator[tuple[RemoteBlobs, Descriptor]]:
    """Ask a registry what a name stands for: one request. Yields the blobs beside it and the descriptor."""
    from imagebuilder.registry.client import open_repository  # see above

    with open_repository(name, settings=settings) as repository:
        root, content = repository.manifest(name.digest or name.tag)
        yield RemoteBlobs(repository, {root.digest: content}), root


@contextmanager
def parts_of_image(image: Image, store: BlobStore, settings: RegistrySettings) -> Iterator[Parts]:
    """Yield the parts of an image of ours; repositories that have the rest of it are open meanwhile."""
    from imagebuilder.registry.client import open_repository  # see above

    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(open_repository(name, settings=settings)) for name in set(image.origins.values())
        }
        elsewhere = {digest: opened[name] for digest, name in image.origins.items()}
        yield parts_of.gather(image.manifest, ScatteredBlobs(store, elsewhere), image.origins)
