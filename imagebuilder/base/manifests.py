"""The manifest of one platform, and the layers it names, of whatever an image's name leads to."""

from typing import TYPE_CHECKING

from imagebuilder import documents
from imagebuilder.documents import LAYERS, Document, malformed
from imagebuilder.reference import Reference
from layers.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, Platform
from layers.digest import Digest
from layers.errors import BuildError
from layers.layer import Layer

if TYPE_CHECKING:  # the client takes 20 ms, which a build whose base is known must not pay
    from imagebuilder.registry.client import Repository

_DOCKER = "application/vnd.docker."
_INDEXES = (INDEX, f"{_DOCKER}distribution.manifest.list.v2+json")
_MANIFESTS = (MANIFEST, f"{_DOCKER}distribution.manifest.v2+json")
_CONFIGS = (CONFIG, f"{_DOCKER}container.image.v1+json")
_LARGEST_CONFIG = 4 << 20


def choose(repository: "Repository", source: Reference, platform: Platform) -> tuple[Descriptor, bytes]:
    """Return the manifest for a platform with its exact bytes, also out of an index.

    Raises BuildError IB251 if there is none for the platform, IB255 for what is no image.
    """
    found, content = repository.manifest(source.digest or source.tag)
    if found.media_type in _INDEXES:
        index = documents.parse(content, f"index of {source}")
        found, content = repository.manifest(_of_platform(index, platform, source))
    if found.media_type not in _MANIFESTS:
        raise unusable(str(source), f"it is of the type {found.media_type[:100]!r}")
    return found, content


def _of_platform(index: Document, platform: Platform, source: Reference) -> Digest:
    there = [
        (documents.read_platform(each.child("platform")), Digest(each.text("digest")))
        for each in index.children("manifests")
        if "platform" in each.fields
    ]
    fitting = [each for each in there if _fits(each[0], platform)]
    if not fitting:
        names = dict.fromkeys(str(each) for each, _ in there if each.os != "unknown")  # attestations
        raise _no_platform(str(source), ", ".join(names), platform)
    # The one that names no variant, or the usual one of arm64, before those for newer processors.
    return min(fitting, key=lambda each: (each[0].variant not in ("", "v8"), each[0].variant))[1]


def config(manifest: Document, name: str) -> Descriptor:
    """Return the descriptor of the config; BuildError IB255 for an artifact, which has another."""
    described = documents.descriptor(manifest.child("config"))
    if described.media_type not in _CONFIGS:
        raise unusable(name, f"its config is of the type {described.media_type[:100]!r}")
    if described.size > _LARGEST_CONFIG:
        raise manifest.wrong("config")
    return described


def check(config: Document, platform: Platform, name: str) -> None:
    """Refuse an image that says of itself that it is for another platform, or what no config may say."""
    run(config).mapping("Labels")
    there = documents.read_platform(config)
    if not _fits(there, platform):
        raise _no_platform(name, str(there), platform)


def layers(manifest: Document, config: Document, name: str) -> tuple[Layer, ...]:
    """Return the layers, from the bottom up, as they stand in an OCI manifest."""
    if "manifests" in manifest.fields:
        # CVE-2021-41190: one document that is a manifest to one reader and an index to another.
        raise malformed(f"the manifest of {name} has both `layers` and `manifests`")
    stored = [documents.descriptor(each) for each in manifest.children("layers")]
    diff_ids = [Digest(each) for each in config.child("rootfs").texts("diff_ids")]
    if not stored or len(stored) != len(diff_ids):
        raise malformed(f"the manifest of {name} has {len(stored)} layers, its config {len(diff_ids)}")
    for layer in stored:
        if layer.media_type not in LAYERS:
            raise unusable(name, f"a layer is of the type {layer.media_type[:100]!r}")
    return tuple(
        Layer(
            Descriptor(LAYERS[layer.media_type], layer.digest, layer.size, annotations=layer.annotations),
            diff_id,
            name,
        )
        for layer, diff_id in zip(stored, diff_ids, strict=True)
    )


def run(config: Document) -> Document:
    """Return how a config says the image runs; empty if it does not."""
    return config.child("config") if config.fields.get("config") else Document(f"{config.name}.config", {})


def unusable(name: str, why: str) -> BuildError:
    """Say that an image is of a kind that nothing can be built upon."""
    return BuildError(
        f"cannot build upon {name}: {why}", hint="choose an image of Linux with ordinary layers", code="IB255"
    )


def _fits(there: Platform, wanted: Platform) -> bool:
    return (there.os, there.architecture) == (wanted.os, wanted.architecture)


def _no_platform(name: str, there: str, wanted: Platform) -> BuildError:
    return BuildError(
        f"cannot build upon {name}: there is no image for {wanted}",
        details=(f"there is: {there or 'nothing'}",),
        hint="choose another base, or another --platform",
        code="IB251",
    )
