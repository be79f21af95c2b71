"""The outcome of a build or a push: what was made, where it went, and what it cost."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imagebuilder import text
from layers.canonical import Json
from layers.descriptor import Descriptor, Platform
from layers.digest import Digest
from layers.values import dataclass, field

if TYPE_CHECKING:  # the registry client takes 25 ms, and few builds push
    from imagebuilder.reference import Reference
    from imagebuilder.registry.client import Uploaded


@dataclass(frozen=True, slots=True)
class LayerOutcome:
    """A layer of the image. `cached`: taken from the cache; `reason` says why it was not, or what it holds."""

    name: str
    digest: Digest
    diff_id: Digest
    size: int
    cached: bool
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the layer as `--json` shows it."""
        return {
            "name": self.name,
            "digest": self.digest.value,
            "diff_id": self.diff_id.value,
            "size": self.size,
            "cached": self.cached,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push to one repository came to. `tags` are those that it set; the others named the image already."""

    repository: str
    tags: tuple[str, ...]
    blobs: tuple[tuple[Descriptor, "Uploaded"], ...]

    @property
    def size(self) -> int:
        """Bytes of the blobs that were uploaded."""
        return sum(blob.size for blob, fate in self.blobs if fate == "uploaded")

    def count(self, fate: "Uploaded") -> int:
        """Count the blobs that met a fate."""
        return sum(1 for _, each in self.blobs if each == fate)

    def to_json(self) -> dict[str, Json]:
        """Return the push as `--json` shows it."""
        return {
            "repository": self.repository,
            "tags_set": self.tags,
            "uploaded": self.count("uploaded"),
            "present": self.count("present"),
            "mounted": self.count("mounted"),
            "uploaded_size": self.size,
        }

    def __str__(self) -> str:
        if not self.tags:
            return f"{self.repository} unchanged"
        uploaded = f"{self.count('uploaded')} uploaded ({text.size(self.size)})"
        counts = f"{uploaded}, {self.count('present')} present, {self.count('mounted')} mounted"
        return f"{self.repository}:{', :'.join(self.tags)}  {counts}"


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """A finished build. `outputs` are written as on the command line (`oci:dist/shop.oci`), the first one counts.

    What was pushed comes before them all: `pushed`, by repository.
    `origins` are the repositories that have layers which need not be here.
    `timings` are seconds by step; they are shown, and never reach the image.
    """

    name: str
    platform: Platform
    manifest_digest: Digest
    config_digest: Digest
    layers: tuple[LayerOutcome, ...]
    outputs: tuple[str, ...]
    tags: tuple[str, ...] = ()
    pushed: tuple[Pushed, ...] = ()
    warnings: tuple[str, ...] = ()
    origins: Mapping[Digest, "Reference"] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The one line of stdout: the first repository, else the first output, and the digest of the manifest."""
        return f"{self.pushed[0].repository if self.pushed else self.outputs[0]}@{self.manifest_digest}"

    @property
    def size(self) -> int:
        """Size of all layers as stored, in bytes."""
        return sum(layer.size for layer in self.layers)

    def to_json(self) -> dict[str, Json]:
        """Return the document of `--json` and `--metadata-file`."""
        return {
            "schema": 1,
            "reference": self.reference,
            "name": self.name,
            "tags": self.tags,
            "outputs": self.outputs,
            "pushed": [each.to_json() for each in self.pushed],
            "platform": str(self.platform),
            "manifest_digest": self.manifest_digest.value,
            "config_digest": self.config_digest.value,
            "size": self.size,
            "layers": [layer.to_json() for layer in self.layers],
            "warnings": self.warnings,
            "timings": {step: round(seconds, 3) for step, seconds in self.timings.items()},
        }
