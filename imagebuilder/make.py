"""Layers made from their descriptions: looked up by key, or fetched for, written and remembered, side by side."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from buildpacks.api import Files, LayerSpec, Source
from imagebuilder.cache import Cache
from imagebuilder.export import FORMAT
from imagebuilder.progress import Progress
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
        with progress.step("layers") as step, ThreadPoolExecutor(self.workers) as pool:
            heaviest_first = sorted(range(len(specs)), key=lambda at: -_weight(specs[at]))
            running = {at: pool.submit(self._write_one, specs[at], files) for at in heaviest_first}
            try:
                layers = [running[at].result() for at in range(len(specs))]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            size = sum(layer.descriptor.size for layer in layers)
            step.finish(f"{len(layers)} made, {size / 1e6:.1f} MB compressed")
        return layers

    def _write_one(self, spec: LayerSpec, files: Files) -> Layer:
        own = {source.digest: files[source.digest] for source in spec.sources}
        layer = write_layer(self.cache.store, spec.entries(own), created_by=spec.name, compression=self.compression)
        if spec.key:
            self.cache.remember(self._key(spec), layer)
        return layer

    def _key(self, spec: LayerSpec) -> dict[str, Json]:
        return {"format": FORMAT, "compression": self.compression, "layer": spec.key}


def _weight(spec: LayerSpec) -> int:
    return sum(source.size or 0 for source in spec.sources)
