"""Differences of documents: index, manifest and config, field by field, each with its cause."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from layers.canonical import Json
from reproducibility import fields
from reproducibility.difference import Difference, Part
from reproducibility.fields import Field
from reproducibility.images import StoredImage, Subject
from reproducibility.unpack import compression

_OCI = "org.opencontainers.image."
_PLATFORM = frozenset(("architecture", "os", "variant", "os.version", "os.features"))
# What `docker commit` and Docker's old builder say of the container that they made the image from.
_CONTAINER = frozenset(("container", "container_config", "docker_version", "id", "parent"))
_CONTAINER_CONFIG = frozenset((
    "Hostname", "Domainname", "Image", "MacAddress", "Tty", "OpenStdin", "StdinOnce", "AttachStdin", "AttachStdout",
    "AttachStderr",
))  # fmt: skip
_LABELS = {f"{_OCI}created": "created", f"{_OCI}base.digest": "base", f"{_OCI}base.name": "base"}
# Labels that only name what differs elsewhere.
_NAMING = ("dev.imagebuilder.inputs", "io.buildpacks.lifecycle.metadata")
_REFERENCE = "vnd.docker.reference."
_ATTESTATION = "attestation"

# A key of CAUSES, and whether the field only follows from something else.
Cause = tuple[str, bool]
CauseOf = Callable[[tuple[str, ...]], Cause]
Child = tuple[int, Mapping[str, Json]]


def image_differences(left: StoredImage, right: StoredImage) -> Iterator[Difference]:
    """Compare the manifests and configs of two images; a manifest that an engine did not keep is not compared."""
    if left.manifest and right.manifest and left.manifest_digest != right.manifest_digest:
        pairs = zip(left.layers, right.layers, strict=False)
        kinds = any(compression(one.media_type) != compression(other.media_type) for one, other in pairs)
        cause = partial(_manifest_cause, recompressed=kinds)
        yield from _document("manifest", left.manifest, right.manifest, cause) or _rewritten("manifest")
    if left.config_digest != right.config_digest:
        yield from _document("config", left.config, right.config, _config_cause) or _rewritten("config")


def index_differences(left: Subject, right: Subject) -> Iterator[Difference]:
    """Compare two indexes, or an index with an image. Platforms that one side lacks are left to the caller."""
    if left.index and right.index:
        others = [{key: value for key, value in side.index.items() if key != "manifests"} for side in (left, right)]
        children = _children(left.index), _children(right.index)
        found = _document("index", others[0], others[1], _manifest_cause)
        found += _child_differences(*children)
        yield from found or (_rewritten("index") if children[0].keys() == children[1].keys() else [])
    elif left.index or right.index:
        kinds = ["an index" if side.index else "an image" for side in (left, right)]
        yield Difference("index", "", "kind", kinds[0], kinds[1], "media-type")


def _document(part: Part, left: Mapping[str, Json], right: Mapping[str, Json], cause: CauseOf) -> list[Difference]:
    return [_difference(part, field.path, field, cause(field.keys)) for field in fields.differing(left, right)]


def _rewritten(part: Part) -> list[Difference]:
    note = "the same values, written otherwise"
    return [Difference(part, "", "format", "", "", "set-order", note=note)]


def _difference(part: Part, path: str, field: Field, cause: Cause) -> Difference:
    return Difference(part, path, field.aspect, field.left, field.right, cause[0], follows=cause[1])


def _child_differences(left: dict[str, Child], right: dict[str, Child]) -> Iterator[Difference]:
    shared = [name for name in left if name in right]
    if shared != [name for name in right if name in left]:
        yield Difference("index", "manifests", "order", ", ".join(left), ", ".join(right), "set-order")
    for name in shared:
        position, child = left[name]
        for field in fields.differing(child, right[name][1]):
            path = f"manifests[{position}].{field.path}"
            attested = _ATTESTATION, field.path != "digest"
            cause = attested if name.startswith(_ATTESTATION) else _descriptor_cause(field.keys)
            yield _difference("index", path, field, cause)
    for name in sorted(left.keys() ^ right.keys()):
        if name.startswith(_ATTESTATION):
            digests = [str(side[name][1].get("digest")) if name in side else "" for side in (left, right)]
            yield Difference("index", name, "presence", digests[0], digests[1], _ATTESTATION)


def _children(index: Mapping[str, Json]) -> dict[str, Child]:
    """Return what an index names, with its position, by what it is: an image of a platform or the attestation of one.

    An attestation says so by an annotation (BuildKit) and has the platform `unknown/unknown`.
    """
    listed = index.get("manifests")
    children = [child for child in listed if isinstance(child, Mapping)] if isinstance(listed, list | tuple) else []
    platforms = {str(child.get("digest")): _platform(child) for child in children}
    named: dict[str, Child] = {}
    seen = Counter[str]()
    for position, child in enumerate(children):
        name = _platform(child)
        annotations = child.get("annotations")
        if isinstance(annotations, Mapping) and f"{_REFERENCE}type" in annotations:
            of = str(annotations.get(f"{_REFERENCE}digest"))
            name = f"{_ATTESTATION} of {platforms.get(of, name)}"
        elif name.startswith("unknown/"):
            name = f"{_ATTESTATION} of {name}"
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} #{seen[name]}"] = position, child
    return named


def _platform(child: Mapping[str, Json]) -> str:
    platform = child.get("platform")
    if not isinstance(platform, Mapping):
        return "no platform"
    return "/".join(str(platform[key]) for key in ("os", "architecture", "variant") if platform.get(key))


def _manifest_cause(keys: tuple[str, ...], *, recompressed: bool = False) -> Cause:
    match keys[0]:
        case "layers" if len(keys) < 3:
            return "derived", True
        case "layers":
            return _descriptor_cause(keys[2:], recompressed=recompressed)
        case "config" if len(keys) > 1:
            return _descriptor_cause(keys[1:])
        case _:
            return _descriptor_cause(keys)


def _descriptor_cause(keys: tuple[str, ...], *, recompressed: bool = False) -> Cause:
    match keys[0]:
        case "digest" | "size":
            return "derived", True
        case "mediaType" if recompressed:
            return "compression", True
        case "mediaType" | "schemaVersion" | "artifactType":
            return "media-type", False
        case "annotations":
            return _label_cause(keys[1:])
        case "platform":
            return "platform", False
        case _:
            return "config-field", False


def _config_cause(keys: tuple[str, ...]) -> Cause:
    match keys:
        case ("created",):
            return "created", False
        case ("history", *_):
            return "history", False
        case ("rootfs", "diff_ids", *_):
            return "derived", True
        case ("config", "Labels", *name):
            return _label_cause(tuple(name))
        case ("config", "Env", "[PYTHON_VERSION]"):
            return "interpreter", False
        case ("config", name, *_) if name in _CONTAINER_CONFIG:
            return "container", False
        case (name, *_) if name in _CONTAINER:
            return "container", False
        case (name, *_) if name in _PLATFORM:
            return "platform", False
        case _:
            return "config-field", False


def _label_cause(keys: tuple[str, ...]) -> Cause:
    name = keys[0] if keys else ""
    return _LABELS.get(name, "label"), name in _NAMING
