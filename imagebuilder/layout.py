"""OCI image layouts as outputs: an image is added to the folder, whatever else is in it stays.

Blobs are copied, not linked: the folder belongs to the user, who may change it, and a link would change the cache too
(docs/decisions/0041-outputs-are-copies.md). They come first and `index.json` last, at once, so that a reader of the
folder sees the old images or the new ones. What is there already, and undamaged, is not written again.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from imagebuilder import documents
from imagebuilder.cache import Cache
from imagebuilder.image import REF_NAME, Image
from imagebuilder.intact import Intact
from layers import blobs, canonical
from layers.blobs import PARTIAL, BlobStore, storage_error
from layers.canonical import Json
from layers.descriptor import INDEX, Descriptor
from layers.errors import IntegrityError, UsageError

MARKER = {"imageLayoutVersion": "1.0.0"}

# The full name under which containerd, and a Docker that stores images in it, import an image.
CONTAINERD_NAME = "io.containerd.image.name"
_CHUNK = 1 << 20
# Copies at a time: some hash while others wait for the disk.
_COPIES = 4
_OURS = {"blobs", "index.json", "oci-layout"}


def write_layout(
    image: Image, store: BlobStore, folder: Path, *, names: Sequence[str], cache: Cache | None = None
) -> None:
    """Add an image to a layout under these names; each takes the place of the image that had it.

    `cache` keeps in mind which blobs of the layout were whole.
    Raises as `add` does, IntegrityError IB503 if a blob of the store is damaged.
    """
    add(folder, image.blobs, partial(_copy, store), [named(image, name) for name in names], cache=cache)


def add(
    folder: Path,
    wanted: Sequence[Descriptor],
    copy: Callable[[BlobStore, Descriptor], None],
    manifests: Sequence[Mapping[str, Json]],
    *,
    cache: Cache | None = None,
) -> None:
    """Add to a layout: each blob by `copy`, then these named manifests to `index.json`.

    The folder is made if it is missing. Raises UsageError IB653 if it holds something else than a layout, StorageError
    IB601 if it cannot be written.
    """
    try:
        _claim(folder)
        with _locked(folder):
            _sweep(folder)
            target = BlobStore(folder)
            target.initialise()
            with ThreadPoolExecutor(_COPIES) as pool:
                intact = Intact(target, cache)
                there = list(pool.map(intact.has, wanted))
                missing = [blob for blob, whole in zip(wanted, there, strict=True) if not whole]
                list(pool.map(partial(copy, target), missing))
            if missing:
                target.settle()
            _name(folder / "index.json", manifests)
            intact.remember()
    except OSError as error:
        raise storage_error(error, folder) from error


def index(manifests: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Return an `index.json` document."""
    return {"manifests": manifests, "mediaType": INDEX, "schemaVersion": 2}


def named(image: Image, name: str, reference: str = "") -> dict[str, Json]:
    """Return an image's descriptor with its name in a layout (image-spec, annotations.md) and its full reference."""
    names = {REF_NAME: name} | ({CONTAINERD_NAME: reference} if reference else {})
    return {**image.manifest.to_json(), "annotations": names, "platform": image.platform.to_json()}


def _claim(folder: Path) -> None:
    """Make the folder, or see that it is a layout, an unfinished one, or empty."""
    if folder.exists() and not folder.is_dir():
        raise _not_a_layout(folder, "it is a file")
    if not (folder / "oci-layout").is_file() and folder.is_dir():
        found = sorted(path.name for path in folder.iterdir())
        others = [name for name in found if name not in _OURS and not name.startswith(PARTIAL)]
        if others:
            raise _not_a_layout(folder, f"it holds {others[0]!r}")
    for name in ("blobs", "blobs/sha256", "index.json", "oci-layout"):
        if (folder / name).is_symlink():  # what is written there would be elsewhere
            raise _not_a_layout(folder, f"{name!r} in it is a link")
    # BlobStore would make it for its owner alone; an output is as readable as the user's umask says.
    (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)


def _sweep(folder: Path) -> None:
    """Delete what killed builds left; no other writes here now."""
    for place in (folder, folder / "blobs" / "sha256"):
        for left in place.glob(f"{PARTIAL}*"):
            left.unlink()


def _copy(store: BlobStore, target: BlobStore, blob: Descriptor) -> None:
    try:
        with store.path(blob.digest).open("rb") as file, target.writer(blob.digest, blob.size) as copy:
            while chunk := file.read(_CHUNK):
                copy.write(chunk)
    except IntegrityError:
        store.verify(blob.digest)  # says that it is the stored blob that is damaged, and what to do
        raise


def _name(path: Path, manifests: Sequence[Mapping[str, Json]]) -> None:
    before = path.read_bytes() if path.exists() else b""
    names = [documents.Document("manifest", each).mapping("annotations").get(REF_NAME) for each in manifests]
    others: list[Mapping[str, Json]] = []
    if before:
        known = documents.parse(before, "index.json").children("manifests")
        others = [one.fields for one in known if one.mapping("annotations").get(REF_NAME) not in names]
    after = canonical.encode(index([*others, *manifests]))
    if after != before:
        blobs.write_file(path, after)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let builds that write to one folder add their images one after the other."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _not_a_layout(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"{str(folder)!r} is not an OCI layout: {why}",
        hint="name a folder that is empty, new, or was written as `oci:DIR` before",
        code="IB653",
    )
