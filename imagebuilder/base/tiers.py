"""The tiers of a base as layers: packages are unpacked side by side, and each tier yields what it adds to the root."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from buildpacks.api import Files, LayerSpec
from imagebuilder.base import system
from imagebuilder.base.pins import TIERS, BasePins, PinnedDeb
from imagebuilder.base.root import Root, unpack
from layers.canonical import Json
from layers.deb import Deb, read_deb
from layers.digest import Digest
from layers.entry import Entry
from layers.errors import IntegrityError

Warn = Callable[[str], None]

# Two cores unpack as fast as a disk takes it in.
_THREADS = 4


def layer_specs(pins: BasePins, *, scratch: Path, warn: Warn) -> tuple[LayerSpec, ...]:
    """Describe one layer for each tier that has packages.

    The packages are unpacked into the folder `scratch`, which has to last until the layers are written. A tier reads
    those below it too, since its linker cache covers them. `warn` is told of files that lose a set-user-ID right.
    """
    unpacked = _Unpacked(scratch)
    return tuple(_layer_spec(pins, number, unpacked, warn) for number, tier in enumerate(pins.tiers) if tier)


def _layer_spec(pins: BasePins, number: int, unpacked: "_Unpacked", warn: Warn) -> LayerSpec:
    tiers = pins.tiers[: number + 1]
    debs = tuple(deb for tier in tiers for deb in tier)
    key: dict[str, Json] = {
        "kind": "debian",
        "architecture": pins.architecture,
        "tiers": [[deb.to_json() for deb in tier] for tier in tiers],
    }

    def entries(files: Files) -> Iterable[Entry]:
        packages = unpacked.read(debs, files)
        root = Root()
        own: list[Entry] = []
        for at, tier in enumerate(tiers):
            own = _lay(root, pins, [(deb, packages[deb]) for deb in tier], warn if at == number else _ignore)
        folders = {folder.path: folder for entry in own for folder in root.parents(entry.path)}
        return [*own, *folders.values(), system.linker_cache(root)]

    sources = tuple(deb.source for deb in debs)
    return LayerSpec(f"debian:{pins.suite} {TIERS[number]}", key, entries, sources, pinned=True)


def root_entries(pins: BasePins, files: Files, *, scratch: Path) -> list[Entry]:
    """List the files of all tiers and of the packages for builds: a root in which something can be built.

    The packages are unpacked into the folder `scratch`, which has to last until the entries are written.
    """
    tiers = (*pins.tiers, pins.build)
    packages = _Unpacked(scratch).read((deb for tier in tiers for deb in tier), files)
    root = Root()
    for tier in tiers:
        _lay(root, pins, [(deb, packages[deb]) for deb in tier], _ignore)
    return [*root.entries.values(), system.linker_cache(root)]


def _lay(root: Root, pins: BasePins, debs: list[tuple[PinnedDeb, Deb]], warn: Warn) -> list[Entry]:
    """Lay a tier over those below it, and return what it adds. The first one finds nothing there."""
    own = [] if root.entries else list(system.skeleton(root, pins.architecture))
    for pinned, deb in debs:
        own += unpack(root, deb, warn)
        own += system.status(root, pinned.name, deb)
    own += system.completion(root, own, [deb for _, deb in debs])
    return own


def _ignore(_text: str) -> None:
    """Say nothing of a tier that is not the layer's own, nor of what is in no image."""


class _Unpacked:
    """The packages of all tiers, each read once: layers are made side by side, and share those of the lower tiers."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._lock = Lock()
        self._running: dict[Digest, Future[Deb]] = {}

    def read(self, debs: Iterable[PinnedDeb], files: Files) -> dict[PinnedDeb, Deb]:
        with ThreadPoolExecutor(_THREADS) as pool:
            largest_first = sorted(debs, key=lambda deb: -deb.size)
            futures = {deb: self._start(deb, files[deb.digest], pool) for deb in largest_first}
            return {deb: future.result() for deb, future in futures.items()}

    def _start(self, deb: PinnedDeb, path: Path, pool: ThreadPoolExecutor) -> Future[Deb]:
        with self._lock:
            if deb.digest not in self._running:
                self._running[deb.digest] = pool.submit(self._read, deb, path)
            return self._running[deb.digest]

    def _read(self, deb: PinnedDeb, path: Path) -> Deb:
        try:
            return read_deb(path, spool=self._scratch / f"{deb.digest.hex}.tar")
        except IntegrityError as error:
            raise IntegrityError(
                f"{deb.name} {deb.version}: {error.message}", hint=error.hint, code=error.code
            ) from error
