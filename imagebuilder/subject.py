"""Subjects: whatever image somebody names, of any builder, opened so that it can be compared.

oci:DIR[:name]  archive:FILE  a path of either  docker:NAME  podman:NAME  registry.example.com/name[:tag][@sha256:…]
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.registry.settings import RegistrySettings
from reproducibility.images import Subject


@dataclass(frozen=True, slots=True)
class Named:
    """What a name stands for: the digest of its first document, which was read and checked, and nothing below it."""

    reference: str
    digest: str
    media_type: str
    read: Callable[[], Subject]

    def unread(self) -> Subject:
        """Return the subject without what it holds: enough to say that it is the same as another."""
        return Subject(self.reference, self.digest, self.media_type, {}, ())


@contextmanager
def open_named(text: str, *, settings: RegistrySettings, scratch: Path) -> Iterator[Named]:
    """Find what a name stands for; of a registry that is one request."""
    raise NotImplementedError


@contextmanager
def open_subject(text: str, *, settings: RegistrySettings, scratch: Path) -> Iterator[Subject]:
    """Open an image or an index with every document; of layers nothing is read before it is asked for.

    What an engine holds is saved into `scratch` first. The subject is good as long as the block lasts.
    """
    with open_named(text, settings=settings, scratch=scratch) as named:
        yield named.read()
