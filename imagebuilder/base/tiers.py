"""The tiers of a base as layers."""

from pathlib import Path

from buildpacks.api import LayerSpec
from imagebuilder.base.pins import BasePins


def layer_specs(pins: BasePins, *, scratch: Path) -> tuple[LayerSpec, ...]:
    """Describe one layer for each tier that has packages."""
    raise NotImplementedError
