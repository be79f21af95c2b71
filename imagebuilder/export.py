"""The config and the manifest of an image: canonical JSON of nothing but its layers and its run configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from buildpacks.api import Process
from imagebuilder.image import Image
from layers.blobs import BlobStore
from layers.descriptor import Platform
from layers.layer import Layer

FORMAT = "1"


@dataclass(frozen=True, slots=True)
class RunConfiguration:
    """How the image runs and what it says of itself. All of it is in the config digest, but for `annotations`.

    `processes` are merged already; `default` is one of them. `env` is complete (see `merge_env`). `labels` are the
    user's and the buildpacks'; they win over ours. `inputs` is the digest of the lock the image was made from.
    `base_name` and `base_digest` describe the base; the first `base_layers` layers belong to it. `annotations` go into
    the manifest only: the compressor's id belongs there, so that the config digest does not depend on compression.
    """

    title: str
    default: Process
    processes: tuple[Process, ...]
    env: Mapping[str, str]
    created: str
    buildpacks: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    inputs: str = ""
    base_name: str = ""
    base_digest: str = ""
    base_layers: int = 0
    user: str = "65532:65532"
    working_dir: str = "/workspace"


def merge_env(*environments: Mapping[str, str]) -> dict[str, str]:
    """Lay environments over the defaults of every image: a later one wins, but its PATH is put in front."""
    raise NotImplementedError


def export(store: BlobStore, layers: Sequence[Layer], run: RunConfiguration, *, platform: Platform) -> Image:
    """Write the config and the manifest into the store that has the layers."""
    raise NotImplementedError
