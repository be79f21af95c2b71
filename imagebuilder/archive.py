"""Archives: one tar that is both an OCI image layout and what `docker save` writes, so that every engine loads it.

The files of the layout (image-spec, image-layout.md) come with `manifest.json` (Docker image specification 1.2), which
names the same blobs; nothing is in it twice. Equal images with equal names are equal archives.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from imagebuilder import layout
from imagebuilder.image import Image
from imagebuilder.reference import Reference
from layers import blobs, canonical, entry, tar
from layers.blobs import BlobStore
from layers.canonical import Json
from layers.descriptor import Descriptor
from layers.entry import Checksum, Entry, Stored


def write_archive(image: Image, store: BlobStore, path: Path, *, names: Sequence[Reference]) -> None:
    """Write an archive, durably and at once: whoever reads `path` sees the old file or the whole new one.

    Its folder is made if it is missing, as that of a layout is.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise blobs.storage_error(error, path) from error
    with blobs.replaced(path) as file:
        for chunk in archive_chunks(image, store, names=names):
            file.write(chunk)


def archive_chunks(image: Image, store: BlobStore, *, names: Sequence[Reference]) -> Iterator[bytes]:
    """Yield the bytes of an archive; each blob is checked while it is read.

    Raises IntegrityError IB513 if a stored blob is damaged.
    """
    described = {
        "index.json": canonical.encode(layout.index([layout.named(image, name.tag, str(name)) for name in names])),
        "manifest.json": canonical.encode(_docker_manifest(image, names)),
        "oci-layout": canonical.encode(layout.MARKER),
    }
    stored = [_blob(store, blob) for blob in image.blobs]
    return tar.chunks(tar.ordered([*stored, *(entry.file(name, text) for name, text in described.items())]))


def _docker_manifest(image: Image, names: Sequence[Reference]) -> Json:
    return [
        {
            "Config": _path(image.config),
            "Layers": [_path(layer.descriptor) for layer in image.layers],
            "RepoTags": [str(name) for name in names],
        }
    ]


def _blob(store: BlobStore, blob: Descriptor) -> Entry:
    checksum = Checksum("sha256", bytes.fromhex(blob.digest.hex))
    return entry.file(_path(blob), Stored(store.path(blob.digest), 0, blob.size, checksum=checksum))


def _path(blob: Descriptor) -> str:
    return f"blobs/sha256/{blob.digest.hex}"
