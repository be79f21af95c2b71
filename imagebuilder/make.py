"""Layers made from their descriptions: looked up by key, or fetched for, written and remembered, side by side.

A layer is made as soon as the files are there that it is made of, while those of others are still fetched.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import imagebuilder
from buildpacks.api import Files, LayerSpec, Source
from imagebuilder.cache import Cache
from imagebuilder.early import EarlyUploads
from imagebuilder.export import FORMAT
from imagebuilder.progress import Progress, Step
from imagebuilder.reference import Reference
from imagebuilder.series import write_layer
from imagebuilder.together import GivenUp, Queue
from layers import compress
from layers.canonical import Json
from layers.compress import Compression
from layers.digest import Digest
from layers.layer import Layer
from layers.values import dataclass, replace

if TYPE_CHECKING:
    from imagebuilder.fetch import Arrived


@dataclass(frozen=True, slots=True)
class MadeLayer:
    """A layer, and whether it was there already; `origin` is the repository that has it, if the store need not.

    `claimed`: that it is what comes of its inputs is only what a shared cache says.
    """

    layer: Layer
    cached: bool
    origin: Reference | None = None
    claimed: bool = False


# Finds layers that need not be made; None for those that it does not know.
Finder = Callable[[Sequence[LayerSpec]], Sequence[MadeLayer | None]]


class Fetch(Protocol):
    """Bringing files to disk and checking their hashes; `arrived` is told of each that is there."""

    def __call__(self, sources: Sequence[Source], arrived: "Arrived" = ..., /) -> Files:
        """Return where they are."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What layers are made with. Those that are made are sent `early`, if there is where to.

    `elsewhere` are asked, one after the other, for layers that are not in the cache.
    """

    cache: Cache
    fetch: Fetch
    compression: Compression
    workers: int
    use_cache: bool = True
    elsewhere: Sequence[Finder] = ()
    early: EarlyUploads | None = None

    def make(self, specs: Sequence[LayerSpec], progress: Progress) -> tuple[MadeLayer, ...]:
        """Return a layer for each description, in the same order, whatever finishes first."""
        made: dict[int, MadeLayer] = {}
        ways: Sequence[Finder] = (self._find_all, *self.elsewhere, lambda missing: self._write(missing, progress))
        for way in ways:
            missing = [at for at in range(len(specs)) if at not in made]
            if missing:
                found = way([specs[at] for at in missing])
                made |= {at: each for at, each in zip(missing, found, strict=True) if each}
        return tuple(made[at] for at in range(len(specs)))

    def _find_all(self, specs: Sequence[LayerSpec]) -> Sequence[MadeLayer | None]:
        return [self._find(spec) for spec in specs]

    def _find(self, spec: LayerSpec) -> MadeLayer | None:
        layer = self.cache.find(key(spec, self.compression)) if spec.key and self.use_cache else None
        return MadeLayer(replace(layer, created_by=spec.name), cached=True) if layer else None

    def _write(self, described: Sequence[LayerSpec], progress: Progress) -> Sequence[MadeLayer]:
        specs = [spec.lighter() if spec.lighter else spec for spec in described]
        wanted = {source.digest: source for spec in specs for source in spec.sources}
        files: dict[Digest, Path] = {}

        def supply(arrived: Callable[[Iterable[Digest]], None]) -> None:
            def take(found: Files) -> None:
                files.update(found)
                arrived(found)

            if wanted:
                self.fetch(tuple(wanted.values()), take)

        with progress.step("layers", total=sum(map(_weight, specs))) as step:
            queue = Queue(
                lambda spec, given_up: self._write_one(spec, files, step, given_up),
                specs,
                workers=self.workers,
                weight=_weight,
                needs=lambda spec: [source.digest for source in spec.sources],
            )
            layers = queue.run(supply)
            size = sum(layer.descriptor.size for layer in layers)
            step.finish(f"{len(layers)} made, {size / 1e6:.1f} MB compressed")
        return [MadeLayer(layer, cached=False) for layer in layers]

    def _write_one(self, spec: LayerSpec, files: Files, step: Step, given_up: GivenUp) -> Layer:
        own = {source.digest: files[source.digest] for source in spec.sources}
        layer = write_layer(
            self.cache,
            spec.entries(own),
            folder=spec.local if self.use_cache else "",
            created_by=spec.name,
            compression=self.compression,
            cancelled=given_up,
        )
        if spec.key:
            self.cache.remember(key(spec, self.compression), layer)
        if self.early:
            self.early.send(layer.descriptor)
        step.advance(_weight(spec))
        return layer


def key(spec: LayerSpec, compression: Compression) -> dict[str, Json]:
    """Name all that decides a layer's bytes: its inputs, the compressor, and the release that puts it together."""
    return {
        "format": FORMAT,
        "release": imagebuilder.__version__,
        "compression": compress.identify(compression),
        "layer": spec.key,
    }


def _weight(spec: LayerSpec) -> int:
    """Guess how much work a layer is, in bytes of its sources."""
    return sum(source.size or 0 for source in spec.sources)
