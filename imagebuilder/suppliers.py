"""Suppliers: all that a build asks of the outside, made from its request.

What asks is imported when it is first needed: a build that makes nothing new needs none of it.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from buildpacks.api import Files, Interpreter, Source
from buildpacks.services import Compiler, Listings
from imagebuilder import destinations, libraries, python_builds, remote
from imagebuilder.base import mirrors as debian_mirrors
from imagebuilder.base.image import BaseImages
from imagebuilder.base.mirrors import Mirrors
from imagebuilder.base.pins import Base, BasePins, ImagePins
from imagebuilder.cache import Cache
from imagebuilder.conda import Channels, RattlerSolver
from imagebuilder.progress import Progress
from imagebuilder.python_builds import PythonBuilds
from imagebuilder.request import BuildRequest
from imagebuilder.sources.folders import Folders
from layers.blobs import BlobStore
from layers.digest import Digest
from layers.values import dataclass, replace

if TYPE_CHECKING:
    from imagebuilder.base.index import PackageIndex
    from imagebuilder.fetch import Arrived, Downloader
    from imagebuilder.resolver import UvResolver
    from imagebuilder.sources.builder import SourceBuilder
    from imagebuilder.sources.git import Repositories

# Debian's list of all files of a suite has some 12 MB.
_CONTENTS_MAX = 128 << 20


class Fetch(Protocol):
    """Brings files of a base and of packages to disk, checked; `arrived` is told of each that is there."""

    def __call__(self, sources: Sequence[Source], base: Base | None, arrived: "Arrived" = ..., /) -> Files:
        """Return where they are."""


@dataclass(frozen=True, slots=True)
class Suppliers:
    """The base's package index (read on the first call) or images, a resolver of requirements, and files by their hash.

    `pythons` are the standalone builds of CPython. `fetch` is given the base that debs among the files are of, None if
    there are none; layers of a base it only brings into the store. `packages_with` says which packages of the suite
    have libraries. `scratch` is where a folder for what is unpacked can be made. `builder` builds wheels from source
    for a base and an interpreter in it; `conda` chooses among the packages of conda channels. `compiler` compiles
    modules for them, below a folder that it is given. `forget` lets go of the index, which takes 60 MB, when everything
    is pinned. `listings` are None if nothing is to be taken of earlier builds.
    """

    index: Callable[[], "PackageIndex"]
    forget: Callable[[], None]
    images: BaseImages
    pythons: PythonBuilds
    resolver: Callable[[], "UvResolver"]
    fetch: Fetch
    packages_with: libraries.Lookup
    scratch: Path
    builder: Callable[[Base, Interpreter], "SourceBuilder"]
    compiler: Callable[[Base, Interpreter | None, Path], Compiler]
    conda: RattlerSolver
    listings: Listings | None


def suppliers(request: BuildRequest, cache: Cache, progress: Progress) -> Suppliers:
    """Choose mirrors and indexes as configured. Nothing is asked before it is needed."""
    mirrors = debian_mirrors.find_mirrors(
        mirror=request.debian_mirror, snapshot=request.debian_snapshot, keyring=request.debian_keyring
    )
    if request.debian_expired:
        mirrors = replace(mirrors, check_age=False)
    downloader = functools.cache(functools.partial(_downloader, request))

    def get(url: str, limit: int) -> bytes:
        return downloader().get(url, limit)

    pythons = python_builds.find(request.python_mirror, request.environment, get)
    channels = Channels(request.app, request.conda_channel_alias, request.environment)
    images = BaseImages(cache, remote.settings_of(request, progress), progress, offline=request.offline)

    def fetch(sources: Sequence[Source], base: Base | None, arrived: "Arrived" = lambda _files: None) -> Files:
        snapshot = base.snapshot if isinstance(base, BasePins) else ""

        def locate(source: Source) -> tuple[str, ...]:
            if source.kind == "python":
                return pythons.candidates(source)
            if source.kind == "conda":
                return channels.candidates(source, request.platform)
            return debian_mirrors.candidates(source, mirrors=mirrors, snapshot=snapshot)

        finder = replace(downloader(), locate=locate, bring=lambda source: _repositories(request, cache).bring(source))
        if isinstance(base, ImagePins) and any(source.kind == "layer" for source in sources):
            images.bring_layers(base)
            sources = [source for source in sources if source.kind != "layer"]
        return _fetched(finder, sources, cache.store, progress, arrived)

    index = functools.cache(functools.partial(_index, request, mirrors, get, progress))
    packages_with = functools.partial(_packages_with, request, mirrors, downloader, cache.store, progress)
    return Suppliers(
        index,
        index.cache_clear,
        images,
        pythons,
        functools.cache(lambda: _resolver(request, downloader(), cache)),
        fetch,
        packages_with,
        cache.root / "scratch",
        _builder(request, cache, progress, fetch, packages_with),
        _compiler(cache, fetch),
        RattlerSolver(channels, get, cache.root / "scratch"),
        cache if request.use_cache else None,
    )


def _downloader(request: BuildRequest) -> "Downloader":
    from imagebuilder import index
    from imagebuilder.fetch import Downloader

    home = destinations.home(request.environment) or Path("/")  # what engines give a user that nobody knows
    return Downloader(
        index.load(request.app, request.environment, home=home, prefix=Path("/")),
        offline=request.offline,
        environment=request.environment,
    )


def _fetched(
    finder: "Downloader", sources: Sequence[Source], store: BlobStore, progress: Progress, arrived: "Arrived"
) -> Files:
    missing = [source for source in sources if not store.has(source.digest)]
    if not missing:
        return finder.fetch_all(sources, store, arrived=arrived)
    with progress.step("fetch", total=sum(source.size or 0 for source in missing)) as step:
        files = finder.fetch_all(sources, store, on_progress=lambda _source, size: step.advance(size), arrived=arrived)
        step.finish(f"{len(missing)} files, {step.done / 1e6:.1f} MB")
        return files


def _index(
    request: BuildRequest, mirrors: Mirrors, download: Callable[[str, int], bytes], progress: Progress
) -> "PackageIndex":
    from imagebuilder.base.index import load_index

    suite = request.base.removeprefix("debian:")
    with progress.step("index") as step:
        found = load_index(suite, request.platform.architecture, mirrors=mirrors, download=download)
        step.finish(f"debian {suite} as of {found.snapshot}")
        return found


def _repositories(request: BuildRequest, cache: Cache) -> "Repositories":
    from imagebuilder.sources.git import Repositories  # few applications name a repository

    return Repositories(cache.store, cache.root / "scratch", request.environment, offline=request.offline)


def _resolver(request: BuildRequest, downloader: "Downloader", cache: Cache) -> "UvResolver":
    from imagebuilder.resolver import UvResolver

    return UvResolver(
        downloader,
        cache.root / "uv",
        repositories=lambda address: _repositories(request, cache).fetch(address),
        archives=lambda address: downloader.keep(address, cache.store),
    )


def _packages_with(
    request: BuildRequest,
    mirrors: Mirrors,
    downloader: Callable[[], "Downloader"],
    store: BlobStore,
    progress: Progress,
    names: Collection[str],
) -> Mapping[str, Sequence[str]]:
    from imagebuilder.base import contents  # few wheels need what is not there

    suite = request.base.removeprefix("debian:")
    with progress.step("libraries") as step:
        found = contents.packages_with(
            names,
            suite,
            request.platform.architecture,
            mirrors=mirrors,
            download=downloader().get,
            keep=functools.partial(_keep, store),
        )
        step.finish(f"{len(names)} looked up in the list of files of debian {suite}")
        return found


def _keep(store: BlobStore, digest: Digest, get: Callable[[], bytes]) -> bytes:
    """Return a document from the store, where it is put if it is not there."""
    if not store.has(digest):
        with store.writer(digest) as blob:
            blob.write(get())
    return store.read(digest, limit=_CONTENTS_MAX)


def _builder(
    request: BuildRequest,
    cache: Cache,
    progress: Progress,
    fetch: Callable[[Sequence[Source], Base | None], Files],
    packages_with: libraries.Lookup,
) -> Callable[[Base, Interpreter], "SourceBuilder"]:
    """Return what makes builders; what one of them has built, none of them builds again."""
    built: dict[Digest, Path] = {}
    folders, project_version = Folders(request.app), request.settings.get("project-version")

    def builder(base: Base, interpreter: Interpreter) -> "SourceBuilder":
        from imagebuilder.sources.builder import SourceBuilder

        return SourceBuilder(
            base,
            interpreter,
            target=base.target,
            cache=cache,
            fetch=lambda sources: fetch(sources, base),
            progress=progress,
            use_cache=request.use_cache,
            folders=folders,
            project_version=project_version.value if project_version else "",
            packages_with=packages_with,
            built=built,
        )

    return builder


def _compiler(
    cache: Cache, fetch: Callable[[Sequence[Source], Base | None], Files]
) -> Callable[[Base, Interpreter | None, Path], Compiler]:
    """Return what makes compilers; to make one raises what `inside.runnable` raises."""

    def compiler(base: Base, interpreter: Interpreter | None, scratch: Path) -> Compiler:
        from imagebuilder.inside import bytecode  # few builds make bytecode

        return bytecode.compiler(
            base, interpreter, cache=cache, fetch=lambda sources: fetch(sources, base), scratch=scratch
        )

    return compiler
