"""Saved images: the archives that `docker save` and `podman save` write, and Kaniko, Jib and crane in their form.

`manifest.json` (Docker image specification 1.2) names the config and the layers of each image in the archive. There is
no manifest of a registry: an image is known by the digest of its config.
"""

import posixpath
from functools import partial
from typing import TypeGuard

from imagebuilder import documents, image
from imagebuilder.documents import Document, malformed
from imagebuilder.image import Archive, Place
from layers.descriptor import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD
from layers.digest import Digest, sha256
from layers.expression import expression
from reproducibility.images import StoredImage, StoredLayer, Subject

CONFIG = "application/vnd.docker.container.image.v1+json"

_NAMED_BY_DIGEST = expression(r"(?:sha256:)?([0-9a-f]{64})(?:\.json)?")
_MAGIC = {b"\x1f\x8b": LAYER_GZIP, b"\x28\xb5\x2f\xfd": LAYER_ZSTD}


def is_saved(place: Place) -> TypeGuard[Archive]:
    """Say whether a place is such an archive, and no layout; newer engines write what is both."""
    return isinstance(place, Archive) and "manifest.json" in place.members and "oci-layout" not in place.members


def read(reference: str, archive: Archive) -> Subject:
    """Read the image in an archive.

    Raises UsageError IB655 if there are several, IntegrityError IB654 if the archive is not as engines write it.
    """
    listed = documents.parse_list(archive.file("manifest.json"), "manifest.json")
    named = {each.text("Config"): each for each in listed}
    if len(named) != 1:
        names = sorted({name for each in listed for name in each.texts("RepoTags")})
        raise image.no_image(f"there are {len(named)} images in {reference!r}", tuple(names))
    ((path, described),) = named.items()
    content = b"".join(archive.read(path, limit=image.LARGEST_DOCUMENT))
    digest = Digest.of(content).value
    promised = _NAMED_BY_DIGEST.fullmatch(posixpath.basename(path))
    if promised and digest != f"sha256:{promised[1]}":
        raise malformed(f"{path} has the digest {digest}")
    config = documents.parse(content, path)
    stored = StoredImage(
        reference,
        str(documents.read_platform(config)),
        manifest_digest="",
        manifest={},
        config_digest=digest,
        config=config.fields,
        layers=_layers(archive, described, config),
    )
    return Subject(reference, digest, CONFIG, {}, (stored,))


def _layers(archive: Archive, described: Document, config: Document) -> tuple[StoredLayer, ...]:
    paths = described.texts("Layers")
    diff_ids = [Digest(text) for text in config.child("rootfs").texts("diff_ids")]
    if len(paths) != len(diff_ids):
        raise malformed(f"the archive has {len(paths)} layers, the config {len(diff_ids)}")
    names = image.created_by(config, len(paths))
    return tuple(_layer(archive, *each) for each in zip(names, paths, diff_ids, strict=True))


def _layer(archive: Archive, name: str, path: str, diff_id: Digest) -> StoredLayer:
    """Describe a layer. Engines write plain tars, which have the diff_id as their digest; others may compress them."""
    media_type = _media_type(archive, path)
    digest = diff_id if media_type == LAYER_TAR else _digest(archive, path)
    size = archive.members[path].size
    return StoredLayer(name, media_type, digest.value, diff_id.value, size, partial(archive.read, path, digest=digest))


def _media_type(archive: Archive, path: str) -> str:
    head = next(archive.read(path), b"")
    return next((media_type for magic, media_type in _MAGIC.items() if head.startswith(magic)), LAYER_TAR)


def _digest(archive: Archive, path: str) -> Digest:
    """Hash stored bytes: nothing in such an archive says what they should be."""
    hasher = sha256()
    for chunk in archive.read(path):
        hasher.update(chunk)
    return Digest.from_hasher(hasher)
