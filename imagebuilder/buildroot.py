"""The root in which commands of a build run: the target's own files, and what only a build needs.

It is made once for a set of packages, below CACHE/roots, and then only read. It needs no rights to be made, and has the
same files whoever makes it.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import imagebuilder
from buildpacks import selection, standalone
from buildpacks.api import Files, Interpreter, Source
from imagebuilder.base import tiers
from imagebuilder.base.pins import BasePins, PinnedDeb
from imagebuilder.cache import Cache
from imagebuilder.export import FORMAT
from imagebuilder.sandbox.box import EPOCH
from layers import canonical, scratch
from layers.blobs import storage_error
from layers.digest import Digest
from layers.unpack import unpack


def here() -> str:
    """Return the architecture of this machine, by the name of the OCI image specification."""
    machine = os.uname().machine
    return next((name for name, known in selection.MACHINES.items() if known == machine), machine)


def packages(pins: BasePins) -> tuple[PinnedDeb, ...]:
    """List the packages whose files are in a root."""
    return tuple(deb for tier in (*pins.tiers, pins.build) for deb in tier)


def root_key(pins: BasePins, interpreter: Interpreter | None = None) -> Digest:
    """Hash everything that decides which files are in a root."""
    archive = interpreter.archive if interpreter else None
    return canonical.digest(
        {
            "kind": "root",
            "format": FORMAT,
            "release": imagebuilder.__version__,
            "architecture": pins.architecture,
            "packages": [[deb.to_json() for deb in tier] for tier in (*pins.tiers, pins.build)],
            **({"python": archive.digest.value} if archive else {}),
        }
    )


def build_root(
    pins: BasePins,
    cache: Cache,
    fetch: Callable[[Sequence[Source]], Files],
    interpreter: Interpreter | None = None,
) -> Path:
    """Return the folder with the files of all packages, those for builds included, and of a standalone interpreter.

    `fetch` brings the packages; it is not called if the folder is there. Two builds may make it at once: the first that
    is done decides, and both have made the same. The cache has to be in use, or `cache prune` could remove it.
    Raises what reading packages raises, IntegrityError IB865 if they do not fit together, StorageError IB601 if they
    cannot be written.
    """
    root = cache.root / "roots" / root_key(pins, interpreter).hex
    if not root.is_dir():
        archives = [interpreter.archive] if interpreter and interpreter.archive else []
        files = fetch([*(deb.source for deb in packages(pins)), *archives])
        with scratch.folder(cache.root / "scratch") as made:
            try:
                _make(pins, interpreter, files, made=made, root=root)
            except OSError as error:
                raise storage_error(error, root) from error
    return root


def _make(pins: BasePins, interpreter: Interpreter | None, files: Files, *, made: Path, root: Path) -> None:
    entries = tiers.root_entries(pins, files, scratch=made)
    if interpreter and interpreter.archive:
        archive = files[interpreter.archive.digest]
        entries += standalone.entries(interpreter, archive, scratch=made, building=True)
    unpack(entries, made / "root", time_s=EPOCH)
    os.sync()  # after a power cut the name must not be there without the bytes
    root.parent.mkdir(exist_ok=True)
    try:
        (made / "root").rename(root)
    except OSError:
        if not root.is_dir():  # another build was first
            raise
