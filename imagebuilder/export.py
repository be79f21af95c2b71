"""The config and the manifest of an image: canonical JSON of nothing but its layers and its run configuration.

No version of this program is in them: an upgrade that makes the same bytes makes the same digest. What decides the
bytes is the output format and the inputs; both are recorded (docs/decisions/0040-what-the-image-says-of-itself.md).
"""

import datetime as dt  # noqa: TID251 checks that a date exists; reads no clock
from collections.abc import Mapping, Sequence

from buildpacks.api import Process
from buildpacks.app import WORKSPACE
from imagebuilder.image import Image
from layers import canonical, decompress
from layers.blobs import BlobStore
from layers.canonical import Json
from layers.descriptor import CONFIG, LAYER_TAR, MANIFEST, Descriptor, Platform
from layers.errors import UsageError
from layers.expression import expression
from layers.layer import Layer
from layers.values import dataclass, field, replace

FORMAT = "1"

_OCI = "org.opencontainers.image."
_DEFAULT_ENV = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
_CREATED = expression(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_ENV_NAME = expression(r"[^=\0]+")


@dataclass(frozen=True, slots=True)
class RunConfiguration:
    """How the image runs and what it says of itself. All of it is in the config digest, but for `annotations`.

    `processes` are merged already; `default` is one of them. `env` is complete (see `merge_env`). `created` is
    RFC 3339 in UTC, without fractions. `buildpacks` maps an id to a version, empty for our own. `labels` are the
    buildpacks' and the user's; they win over ours. `inputs` is the digest of what the image was made from. `base_name`
    and `base_digest` describe the base; the first `base_layers` layers belong to it. `base_config` is the config of a
    base image: its history and labels come before ours, and what is not known here stays as it is. `annotations` go
    into the manifest only: what depends on compression (the compressor's id) belongs there, so that the config digest
    does not depend on it.
    Raises UsageError IB651 for a time or a variable that no image can have.
    """

    title: str
    default: Process
    processes: tuple[Process, ...]
    env: Mapping[str, str]
    created: str
    buildpacks: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    inputs: str = ""
    base_name: str = ""
    base_digest: str = ""
    base_layers: int = 0
    base_config: Mapping[str, Json] = field(default_factory=dict)
    user: str = "65532:65532"
    working_dir: str = f"/{WORKSPACE}"

    def __post_init__(self) -> None:
        if not _is_time(self.created):
            raise UsageError(
                f"not a time in UTC: {self.created!r}", hint="write it as 2026-01-31T12:00:00Z", code="IB651"
            )
        for name, value in self.env.items():
            if not _ENV_NAME.fullmatch(name) or "\0" in value:
                raise UsageError(
                    f"not an environment variable: {name!r}",
                    hint="a name is not empty and has no `=`; no variable can hold a zero byte",
                    code="IB651",
                )


def merge_env(*environments: Mapping[str, str], base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Lay environments over the defaults of every image: a later one wins, but its PATH is put in front.

    `base` is what a base image sets: it takes the place of defaults, and knows whether there are certificates.
    """
    merged = dict(_DEFAULT_ENV)
    if base is not None:
        del merged["SSL_CERT_FILE"]
        merged |= base
    for environment in environments:
        path = merged["PATH"]
        merged |= environment
        if "PATH" in environment:
            merged["PATH"] = f"{environment['PATH']}:{path}"
    return merged


def export(store: BlobStore, layers: Sequence[Layer], run: RunConfiguration, *, platform: Platform) -> Image:
    """Write the config and the manifest into the store that has the layers. Only the platform's image is made."""
    labels = _labels(layers, run)
    config = store.write(CONFIG, [_encode(_config(layers, run, labels, platform=platform))])
    annotations = {key: value for key, value in labels.items() if key.startswith((_OCI, "dev.imagebuilder."))}
    manifest = _manifest(config, layers, annotations | dict(run.annotations))
    return Image(store.write(MANIFEST, [_encode(manifest)]), config, tuple(layers), platform)


def uncompressed(image: Image, store: BlobStore) -> Image:
    """Return the image with plain tars as layers, for an engine that reads nothing else. Its config is the same."""
    layers = tuple(_plain(layer, store) for layer in image.layers)
    return replace(image, manifest=store.write_json(MANIFEST, _manifest(image.config, layers, {})), layers=layers)


def _plain(layer: Layer, store: BlobStore) -> Layer:
    if layer.descriptor.media_type == LAYER_TAR:
        return layer
    path = store.path(layer.diff_id)
    if not store.has(layer.diff_id):
        with store.writer(layer.diff_id) as blob:
            for chunk in decompress.tar(layer, store.open(layer.descriptor.digest)):
                blob.write(chunk)
    return replace(layer, descriptor=Descriptor(LAYER_TAR, layer.diff_id, path.stat().st_size))


def _manifest(config: Descriptor, layers: Sequence[Layer], annotations: Mapping[str, str]) -> dict[str, Json]:
    return {
        **({"annotations": annotations} if annotations else {}),
        "config": config.to_json(),
        "layers": [layer.descriptor.to_json() for layer in layers],
        "mediaType": MANIFEST,
        "schemaVersion": 2,
    }


def _config(
    layers: Sequence[Layer], run: RunConfiguration, labels: Mapping[str, str], *, platform: Platform
) -> dict[str, Json]:
    inherited = _object(run.base_config.get("config"))
    return {
        **run.base_config,
        **platform.to_json(),
        "config": {
            # Arguments of the base's own command are none of ours.
            **{key: value for key, value in inherited.items() if key != "Cmd"},
            "Entrypoint": run.default.command,
            "Env": [f"{name}={run.env[name]}" for name in sorted(run.env)],
            "Labels": {**_object(inherited.get("Labels")), **labels},
            "StopSignal": run.default.stop_signal,
            "User": run.user,
            "WorkingDir": run.working_dir,
        },
        "created": run.created,
        "history": _history(layers, run),
        "rootfs": {"diff_ids": [layer.diff_id.value for layer in layers], "type": "layers"},
    }


def _history(layers: Sequence[Layer], run: RunConfiguration) -> list[Json]:
    """Return the base's history, if it tells of each of its layers, and ours."""
    steps = run.base_config.get("history")
    inherited = list(steps) if isinstance(steps, Sequence) and not isinstance(steps, str) else []
    full = sum(_object(step).get("empty_layer") is not True for step in inherited) == run.base_layers
    told = inherited if full and run.base_config else []
    own = layers[run.base_layers if told else 0 :]
    return [*told, *({"created": run.created, "created_by": layer.created_by} for layer in own)]


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _labels(layers: Sequence[Layer], run: RunConfiguration) -> dict[str, str]:
    ours = {
        f"{_OCI}title": run.title,
        f"{_OCI}created": run.created,
        f"{_OCI}base.name": run.base_name,
        f"{_OCI}base.digest": run.base_digest,
        "dev.imagebuilder.format": FORMAT,
        "dev.imagebuilder.inputs": run.inputs,
    }
    known = {key: value for key, value in ours.items() if value}
    return known | _buildpacks_labels(layers, run) | dict(run.labels)


def _buildpacks_labels(layers: Sequence[Layer], run: RunConfiguration) -> dict[str, str]:
    """Return the labels that `pack inspect` and kpack read (CNB platform specification, "Labels").

    The version of our buildpacks is the output format: they have no other that an image may depend on.
    """
    top_layer = layers[run.base_layers - 1].diff_id.value if run.base_layers else ""
    versions = {id_: version or FORMAT for id_, version in run.buildpacks.items()}
    documents: dict[str, Json] = {
        "build.metadata": {
            "buildpacks": [{"homepage": "", "id": id_, "version": version} for id_, version in versions.items()],
            "launcher": {"source": {"git": {"commit": "", "repository": ""}}, "version": ""},
            "processes": [
                {"args": [], "buildpackID": "", "command": process.command, "direct": True, "type": process.type}
                for process in run.processes
            ],
        },
        "lifecycle.metadata": {
            "buildpacks": [{"key": id_, "layers": {}, "version": version} for id_, version in versions.items()],
            "runImage": {"image": run.base_name, "reference": run.base_digest, "topLayer": top_layer},
        },
        "project.metadata": {},
        "rebasable": bool(run.base_layers),
    }
    return {
        f"io.buildpacks.{name}": canonical.encode(document).decode("utf-8", "surrogateescape")
        for name, document in documents.items()
    }


def _encode(document: Json) -> bytes:
    encoded = canonical.encode(document)
    try:
        encoded.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"not UTF-8: {encoded[max(error.start - 40, 0) : error.end]!r}",
            hint="names, labels, variables and commands of an image are UTF-8",
            code="IB651",
        ) from error
    return encoded


def _is_time(text: str) -> bool:
    try:
        return bool(_CREATED.fullmatch(text) and dt.datetime.fromisoformat(text))
    except ValueError:
        return False
