"""Subjects: whatever image somebody names, of any builder, opened so that it can be compared.

oci:DIR[:name]  archive:FILE  a path of either  docker:NAME  podman:NAME  registry.example.com/name[:tag][@sha256:…]
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from imagebuilder import documents, image, reference, remote, saved
from imagebuilder.documents import malformed
from imagebuilder.image import INDEXES, MANIFESTS, Blobs
from imagebuilder.registry.settings import RegistrySettings
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.values import dataclass
from reproducibility.images import StoredImage, StoredLayer, Subject

ENGINES = ("docker", "podman")

# Of one index: enough for every platform with its attestations, and an end to what a hostile one makes us ask for.
_MOST_CHILDREN = 200
_REQUESTS = 4  # at a time
# How BuildKit marks what lies beside the images of an index.
_REFERENCE_TYPE = "vnd.docker.reference.type"

_serial = count()


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
def open_subject(text: str, *, settings: RegistrySettings, scratch: Path) -> Iterator[Subject]:
    """Open an image or an index with every document; of layers nothing is read before it is asked for.

    Raises as `open_named` does, and IntegrityError IB654 for documents that are not as the specification says.
    """
    with open_named(text, settings=settings, scratch=scratch) as named:
        yield named.read()


@contextmanager
def open_named(text: str, *, settings: RegistrySettings, scratch: Path) -> Iterator[Named]:
    """Find what a name stands for; of a registry that is one request, what an engine holds is saved into `scratch`.

    What is read is good as long as the block lasts. Raises UsageError IB652 and IB655 for what names no image,
    RefusedError IB660, IB810 and IB811 for engines, and what the registry client raises.
    """
    kind, colon, name = text.partition(":")
    if colon and kind in ENGINES:
        with _from_engine(kind, name, settings, scratch) as path:
            yield _local(text, f"archive:{path}")
    elif image.is_local(text):
        yield _local(text, text)
    else:
        with remote.open_remote(reference.parse_source(text), settings) as (blobs, root):
            yield Named(text, root.digest.value, root.media_type, partial(_read, text, blobs, root))


@contextmanager
def _from_engine(engine: str, name: str, settings: RegistrySettings, scratch: Path) -> Iterator[Path]:
    from imagebuilder import daemon  # starts processes, which most comparisons do not need

    reference.parse_source(name)  # so that it can be nothing but a name to whoever it is given
    save = daemon.save_docker if engine == "docker" else daemon.save_podman
    path = scratch / f"saved-{next(_serial)}"
    try:
        save(name, path, environment=settings.environment)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _local(text: str, place: str) -> Named:
    opened, name = image.open_place(place)
    if saved.is_saved(opened):
        subject = saved.read(text, opened)
        return Named(text, subject.digest, subject.media_type, lambda: subject)
    root = image.find(opened, name, text)
    image.document(opened, root, "manifest")  # that a folder says it has an image is no proof
    return Named(text, root.digest.value, root.media_type, partial(_read, text, opened, root, opened.has))


def _read(
    text: str, place: Blobs, root: Descriptor, is_there: Callable[[Descriptor], bool] = lambda _child: True
) -> Subject:
    if root.media_type in MANIFESTS:
        single = _image(text, place, root)
        return Subject(text, root.digest.value, root.media_type, {}, (single,))
    children = [child for child in _children(place, root) if is_there(child)]
    if not children:
        raise malformed(f"{root.digest} names no image that is there")
    index = image.document(place, root, "index")
    with ThreadPoolExecutor(_REQUESTS) as pool:
        images = tuple(pool.map(partial(_image, text, place), children))
    return Subject(text, root.digest.value, root.media_type, index.fields, images)


def _children(place: Blobs, root: Descriptor) -> list[Descriptor]:
    """List the images that an index names, directly or by further indexes, whatever else they name."""
    found: dict[Digest, Descriptor] = {}
    indexes = [root]
    looked_at = 0
    for index in indexes:
        for child in _named(place, index):
            looked_at += 1
            if looked_at > _MOST_CHILDREN:
                raise malformed(f"{root.digest} names more than {_MOST_CHILDREN} manifests")
            if child.media_type in INDEXES:
                indexes.append(child)
            elif _is_image(child):
                found[child.digest] = child
    return list(found.values())


def _named(place: Blobs, described: Descriptor) -> list[Descriptor]:
    if described.media_type not in INDEXES:
        raise malformed(f"{described.digest} has the media type {described.media_type[:100]!r}")
    index = image.document(place, described, "index")
    if index.text("mediaType", described.media_type) != described.media_type or "layers" in index.fields:
        raise index.wrong("mediaType")
    return [documents.descriptor(child) for child in index.children("manifests")]


def _is_image(child: Descriptor) -> bool:
    unknown = child.platform is not None and child.platform.os == "unknown"
    return child.media_type in MANIFESTS and not unknown and _REFERENCE_TYPE not in child.annotations


def _image(text: str, place: Blobs, described: Descriptor) -> StoredImage:
    stored = image.read(text, place, described)
    return StoredImage(
        text,
        str(stored.image.platform),
        manifest_digest=stored.image.manifest.digest.value,
        manifest=stored.manifest.fields,
        config_digest=stored.image.config.digest.value,
        config=stored.config.fields,
        layers=tuple(
            StoredLayer(
                layer.created_by,
                layer.descriptor.media_type,
                layer.descriptor.digest.value,
                layer.diff_id.value,
                layer.descriptor.size,
                partial(place.open, layer.descriptor),
            )
            for layer in stored.image.layers
        ),
    )
