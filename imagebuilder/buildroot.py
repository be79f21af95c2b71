"""The root in which commands of a build run: the target's own files, and what only a build needs.

It is made once for a set of packages or the layers of an image, below CACHE/roots, and then only read. It needs no
rights to be made, and has the same files whoever makes it.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import imagebuilder
from buildpacks import selection, standalone
from buildpacks.api import Files, Interpreter, Source
from imagebuilder.base import overlay, tiers
from imagebuilder.base.pins import Base, ImagePins
from imagebuilder.cache import Cache
from imagebuilder.export import FORMAT
from imagebuilder.sandbox.box import EPOCH
from layers import canonical, scratch
from layers.blobs import storage_error
from layers.canonical import Json
from layers.digest import Digest
from layers.entry import Entry
from layers.unpack import unpack


def here() -> str:
    """Return the architecture of this machine, by the name of the OCI image specification."""
    machine = os.uname().machine
    return next((name for name, known in selection.MACHINES.items() if known == machine), machine)


def sources(base: Base) -> tuple[Source, ...]:
    """List what the files of a base are in: its packages, or its layers."""
    if isinstance(base, ImagePins):
        blobs = (layer.descriptor for layer in base.layers)
        return tuple(Source("layer", f"a layer of {base.name}", blob.digest, blob.size, base.name) for blob in blobs)
    return tuple(deb.source for tier in (*base.tiers, base.build) for deb in tier)


def root_key(base: Base, interpreter: Interpreter | None = None) -> Digest:
    """Hash everything that decides which files are in a root."""
    archive = interpreter.archive if interpreter else None
    return canonical.digest(
        {
            "kind": "root",
            "format": FORMAT,
            "release": imagebuilder.__version__,
            "architecture": base.architecture,
            **_content(base),
            **({"python": archive.digest.value} if archive else {}),
        }
    )


def _content(base: Base) -> dict[str, Json]:
    if isinstance(base, ImagePins):
        return {"layers": [layer.diff_id.value for layer in base.layers]}
    return {"packages": [[deb.to_json() for deb in tier] for tier in (*base.tiers, base.build)]}


def build_root(
    base: Base,
    cache: Cache,
    fetch: Callable[[Sequence[Source]], Files],
    interpreter: Interpreter | None = None,
) -> Path:
    """Return the folder with the files of a base, packages for builds included, and of a standalone interpreter.

    `fetch` brings packages, and layers into the store; it is not called if the folder is there. Two builds may make it
    at once: the first that is done decides, and both have made the same. The cache has to be in use, or `cache prune`
    could remove it.
    Raises what reading packages and layers raises, IntegrityError IB865 if they do not fit together, StorageError IB601
    if they cannot be written.
    """
    root = cache.root / "roots" / root_key(base, interpreter).hex
    if not root.is_dir():
        archives = [interpreter.archive] if interpreter and interpreter.archive else []
        files = fetch([*sources(base), *archives])
        with scratch.folder(cache.root / "scratch") as made:
            try:
                _make(_entries(base, cache, files, made), interpreter, files, made=made, root=root)
            except OSError as error:
                raise storage_error(error, root) from error
    return root


def _entries(base: Base, cache: Cache, files: Files, made: Path) -> list[Entry]:
    if isinstance(base, ImagePins):
        return overlay.files(base.layers, cache.store, spools=made)
    return tiers.root_entries(base, files, scratch=made)


def _make(entries: list[Entry], interpreter: Interpreter | None, files: Files, *, made: Path, root: Path) -> None:
    if interpreter and interpreter.archive:
        archive = files[interpreter.archive.digest]
        entries = [*entries, *standalone.entries(interpreter, archive, scratch=made, building=True)]
    unpack(entries, made / "root", time_s=EPOCH)
    os.sync()  # after a power cut the name must not be there without the bytes
    root.parent.mkdir(exist_ok=True)
    try:
        (made / "root").rename(root)
    except OSError:
        if not root.is_dir():  # another build was first
            raise
