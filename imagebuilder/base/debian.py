"""Debian: a package index becomes pins, pins become layers. No apt, no dpkg, no root, no maintainer scripts."""

from buildpacks.api import Interpreter, LayerSpec, Target
from imagebuilder.base.index import Download, PackageIndex, load_index
from imagebuilder.base.mirrors import Mirrors, candidates, find_mirrors
from imagebuilder.base.pins import BasePins, PinnedDeb
from layers.blobs import BlobStore

__all__ = [
    "BasePins",
    "Download",
    "Mirrors",
    "PackageIndex",
    "PinnedDeb",
    "candidates",
    "find_mirrors",
    "interpreters",
    "layer_specs",
    "load_index",
    "pin",
    "target",
]


def interpreters(index: PackageIndex) -> tuple[Interpreter, ...]:
    """Return the CPythons a suite has, newest first."""
    raise NotImplementedError


def target(source: PackageIndex | BasePins) -> Target:
    """Say what wheels have to fit: the platform and its glibc."""
    raise NotImplementedError


def pin(index: PackageIndex, *, interpreter: Interpreter | None, packages: tuple[str, ...]) -> BasePins:
    """Choose the newest packages: the base, the interpreter, those asked for, and all they depend on.

    Raises BuildError IB554 if the suite has no such package (the nearest names are in the hint), IB555 if one of its
    dependencies cannot be met.
    """
    raise NotImplementedError


def layer_specs(pins: BasePins, *, store: BlobStore) -> tuple[LayerSpec, ...]:
    """Describe one layer for each tier that has packages. Unpacked debs lie in the store's scratch files meanwhile."""
    raise NotImplementedError
