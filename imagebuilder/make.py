"""Layers made from their descriptions: looked up by key, or fetched for, written and remembered, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import imagebuilder
from buildpacks.api import Files, LayerSpec, Source
from imagebuilder import together
from imagebuilder.cache import Cache
from imagebuilder.export import FORMAT
from imagebuilder.progress import Progress, Step
from imagebuilder.together import GivenUp
from layers import compress
from layers.canonical import Json
from layers.layer import Layer, write_layer

Compression = Literal["gzip", "zstd", "none"]


@dataclass(frozen=True, slots=True)
class MadeLayer:
    """A layer, and whether it was there already."""

    layer: Layer
    cached: bool


@dataclass(frozen=True, slots=True)
class Workshop:
    """What layers are made with. `fetch` returns files on disk whose hashes were checked."""

    cache: Cache
    fetch: Callable[[Sequence[Source]], Files]
    compression: Compression
    workers: int
    use_cache: bool = True

    def make(self, specs: Sequence[LayerSpec], progress: Progress) -> tuple[MadeLayer, ...]:
        """Return a layer for each description, in the same order, whatever finishes first."""
        found = [self._find(spec) for spec in specs]
        missing = [spec for spec, layer in zip(specs, found, strict=True) if layer is None]
        made = iter(self._write(missing, progress) if missing else ())
        return tuple(MadeLayer(layer, cached=True) if layer else MadeLayer(next(made), cached=False) for layer in found)

    def _find(self, spec: LayerSpec) -> Layer | None:
        layer = self.cache.find(self._key(spec)) if spec.key and self.use_cache else None
        return replace(layer, created_by=spec.name) if layer else None

    def _write(self, specs: Sequence[LayerSpec], progress: Progress) -> list[Layer]:
        wanted = {source.digest: source for spec in specs for source in spec.sources}
        files = self.fetch(tuple(wanted.values())) if wanted else {}
        with progress.step("layers", total=sum(map(_weight, specs))) as step:
            layers = together.run(
                lambda spec, given_up: self._write_one(spec, files, step, given_up),
                specs,
                workers=self.workers,
                weight=_weight,
            )
            size = sum(layer.descriptor.size for layer in layers)
            step.finish(f"{len(layers)} made, {size / 1e6:.1f} MB compressed")
        return layers

    def _write_one(self, spec: LayerSpec, files: Files, step: Step, given_up: GivenUp) -> Layer:
        own = {source.digest: files[source.digest] for source in spec.sources}
        layer = write_layer(
            self.cache.store,
            spec.entries(own),
            created_by=spec.name,
            compression=self.compression,
            cancelled=given_up,
        )
        if spec.key:
            self.cache.remember(self._key(spec), layer)
        step.advance(_weight(spec))
        return layer

    def _key(self, spec: LayerSpec) -> dict[str, Json]:
        """Name all that decides a layer's bytes: its inputs, the compressor, and the release that puts it together."""
        return {
            "format": FORMAT,
            "release": imagebuilder.__version__,
            "compression": compress.identify(self.compression),
            "layer": spec.key,
        }


def _weight(spec: LayerSpec) -> int:
    """Guess how much work a layer is, in bytes of its sources."""
    return sum(source.size or 0 for source in spec.sources)
