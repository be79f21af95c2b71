"""Layers laid out in a folder: what an image has beside the packages of its base, and where a sandbox has it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from imagebuilder.sandbox.box import EPOCH
from layers import decompress, tarball
from layers.blobs import BlobStore
from layers.entry import Entry, Kind, Stored
from layers.layer import Layer
from layers.unpack import unpack


def lay_out(layers: Sequence[Layer], store: BlobStore, *, spools: Path, folder: Path) -> None:
    """Unpack layers that we have made, the lowest first, into a folder that is made.

    `spools` is a folder for their tars. Raises IntegrityError IB656 if the store has other bytes than those of a layer.
    """
    found: dict[str, Entry] = {}
    for number, layer in enumerate(layers):
        spool = spools / f"{number}.tar"
        with spool.open("wb") as file:
            for chunk in decompress.tar(layer, store.open(layer.descriptor.digest)):
                file.write(chunk)
        with spool.open("rb") as tar:
            found |= {member.path: _entry(member, spool) for member in tarball.members(tar)}
    unpack(found.values(), folder, time_s=EPOCH)


def mounted(folder: Path, root: Path, below: str = "") -> Iterator[tuple[str, Path]]:
    """Yield what of the folder has to be mounted, and where, so that a root has all of it: as little as will do."""
    for path in sorted(folder.iterdir()):
        there = root / path.name
        if _is_folder(path) and _is_folder(there):
            yield from mounted(path, there, f"{below}/{path.name}")
        else:
            yield f"{below}/{path.name}", path


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _entry(member: tarball.Member, spool: Path) -> Entry:
    content = Stored(spool, member.offset, member.size, name=member.path) if member.kind is Kind.FILE else b""
    return Entry(member.path, member.kind, member.mode, target=member.target, content=content)
