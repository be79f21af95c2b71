"""The outcome of a build: what was made, where it went, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagebuilder.push import Pushed
from layers.canonical import Json
from layers.descriptor import Platform
from layers.digest import Digest


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
class BuildOutcome:
    """A finished build. `outputs` are written as on the command line (`oci:dist/shop.oci`), the first one counts.

    What was pushed comes before them all: `pushed`, by repository.
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
