"""The registry client: manifests and blobs of one repository, each byte checked on its way in and out."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from imagebuilder.reference import Reference
from imagebuilder.registry.settings import RegistrySettings
from layers.descriptor import Descriptor
from layers.digest import Digest

Uploaded = Literal["present", "mounted", "uploaded"]
# Where the bytes of a blob are: a file, or a function that gives them from the beginning, each time it is called.
Source = Path | Callable[[], Iterable[bytes]]


def open_repository(reference: Reference, *, settings: RegistrySettings, push: bool = False) -> "Repository":
    """Open the repository of a reference; asks nothing yet. `push` asks for both rights with the first token."""
    return Repository(reference, settings=settings, push=push)


class Repository:
    """One repository of a registry. Safe to use from threads: connections and tokens are shared by them."""

    def __init__(self, reference: Reference, *, settings: RegistrySettings, push: bool) -> None:
        self.reference = reference
        self._settings = settings
        self._push = push

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connections."""

    def head(self, tag: str | Digest) -> Descriptor | None:
        """Ask what a tag or a digest stands for; None if the registry does not have it."""
        raise NotImplementedError

    def manifest(self, tag: str | Digest) -> tuple[Descriptor, bytes]:
        """Return a manifest or an index and its exact bytes (at most 4 MiB), verified.

        The descriptor's media type is what Content-Type and the document itself agree on.
        """
        raise NotImplementedError

    def has_blob(self, blob: Digest) -> bool:
        """Say whether the repository has a blob."""
        raise NotImplementedError

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob; the last chunk comes only if the whole was what the descriptor promised.

        A broken connection is resumed where it broke. Addresses in the descriptor are not looked at.
        """
        raise NotImplementedError

    def push_blob(
        self,
        descriptor: Descriptor,
        source: Source,
        *,
        mount_from: str = "",
        on_progress: Callable[[int], object] = lambda _size: None,
    ) -> Uploaded:
        """Bring a blob into the repository unless it is there; `mount_from` is a repository that has it.

        `on_progress` is told how many bytes were sent; a negative number if some must be sent again.
        """
        raise NotImplementedError

    def push_manifest(self, descriptor: Descriptor, content: bytes, tag: str) -> None:
        """Put the exact bytes of a manifest or an index under a tag, or under its own digest if `tag` is empty."""
        raise NotImplementedError
