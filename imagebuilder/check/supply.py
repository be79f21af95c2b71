"""Supplies: all that a build needs from outside, in the cache before it starts, so that it can do without a network."""

from imagebuilder import build as pipeline
from imagebuilder import buildroot
from imagebuilder.base.pins import BasePins
from imagebuilder.cache import Cache
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest
from imagebuilder.suppliers import suppliers
from layers import scratch
from layers.digest import Digest


def bring(request: BuildRequest, progress: Progress) -> tuple[Digest, ...]:
    """Pin what is not pinned, fetch what is not in the cache, and return all files that the build will ask for.

    Raises what a build raises in these phases.
    """
    cache = Cache(request.cache_dir)
    with cache.in_use(), scratch.folder(cache.root / "scratch") as unpacked:
        supplied = suppliers(request, cache, progress)
        plan = pipeline.detect(request, progress)
        pins = pipeline.pinned(request, plan, supplied, progress)
        inherited = supplied.images.inherited(pins.base)
        supplied.images.fetch(inherited)
        results = pipeline.run_buildpacks(request, plan, pins, supplied, unpacked=unpacked)
        run = pipeline.run_configuration(request, plan, pins, results, inherited)
        specs = pipeline.describe_layers(request, pins, results, run, unpacked=unpacked, progress=progress)
        sources = {source.digest: source for spec in specs for source in spec.sources}
        if isinstance(pins.base, BasePins) and (pins.builds or request.native):
            sources |= {source.digest: source for source in buildroot.sources(pins.base)}
        supplied.fetch(tuple(sources.values()), pins.base)
        base = (
            ()
            if isinstance(pins.base, BasePins)
            else (pins.base.config, *(each.descriptor for each in pins.base.layers))
        )
        return (*sources, *(blob.digest for blob in base))
