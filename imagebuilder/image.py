"""Images: what export made, or what is read back, checked, from a layout or an archive."""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from imagebuilder import documents
from imagebuilder.documents import LAYERS, Document, malformed
from imagebuilder.reference import Reference
from layers import content, decompress, tarball
from layers.blobs import BlobStore, storage_error
from layers.canonical import Json
from layers.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, Platform
from layers.digest import Digest
from layers.entry import Checksum, Kind, Stored
from layers.errors import IntegrityError, UsageError
from layers.expression import expression
from layers.layer import Layer
from layers.values import dataclass, field, replace

_DOCKER = "application/vnd.docker."
MANIFESTS = (MANIFEST, f"{_DOCKER}distribution.manifest.v2+json")
INDEXES = (INDEX, f"{_DOCKER}distribution.manifest.list.v2+json")
_CONFIGS = (CONFIG, f"{_DOCKER}container.image.v1+json")

# What begins as paths do; and what ends as our outputs do, unless a registry stands in front of it.
_LIKE_A_PATH = expression(r"[./~].*|(?![^/]*[.:][^/]*/).*\.(oci|tar)")

REF_NAME = "org.opencontainers.image.ref.name"

# What registries take at least for a manifest (distribution-spec, "Pushing Manifests"); nothing larger is read.
LARGEST_DOCUMENT = 4 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose blobs are all in one store, but for those that have an origin: layers of a base image.

    `origins` names, for each of them, the repository that has it; whoever needs the bytes gets them there.
    `manifest.digest` is the manifest digest, `config.digest` the config digest (Docker's image id); neither is ever
    called just "the digest". An index digest exists only where an index names images of several platforms.
    """

    manifest: Descriptor
    config: Descriptor
    layers: tuple[Layer, ...]
    platform: Platform
    origins: Mapping[Digest, Reference] = field(default_factory=dict)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Every blob once, in the order in which they may be written: nothing before what it names."""
        named = {blob.digest: blob for blob in (*(layer.descriptor for layer in self.layers), self.config)}
        return (*named.values(), self.manifest)


# The bytes of a blob, unchecked: a file, or what yields them from the first one, as often as it is called.
Content = Path | Callable[[], Iterable[bytes]]


class Blobs(Protocol):
    """Where the blobs of an image are: a layout on disk, the one in an archive, or a repository of a registry."""

    def open(self, blob: Descriptor, *, limit: int | None = None) -> Iterator[bytes]:
        """Yield a blob; the last chunk comes only if the whole was what the digest promised."""

    def content(self, blob: Descriptor) -> Content:
        """Return the bytes of a blob for somebody who checks them."""


class Place(Blobs, Protocol):
    """A layout on disk, or the one in an archive."""

    def has(self, blob: Descriptor) -> bool:
        """Say whether a blob is there; engines save an index without the images that they do not have."""

    def file(self, name: str) -> bytes:
        """Return a small file beside the blobs; empty if it is missing."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that was read back: where it is, its documents, and the values they describe."""

    reference: str
    place: Blobs
    image: Image
    manifest: Document
    config: Document

    def files(self, layer: Layer) -> Iterator[tarball.Member]:
        """Yield what a layer holds, in its order. The end comes only if the layer is what its digests promised."""
        stored = self.place.open(layer.descriptor)
        media_type = LAYERS[layer.descriptor.media_type]
        named = replace(layer, descriptor=replace(layer.descriptor, media_type=media_type))
        return tarball.members(tarball.Forward(decompress.tar(named, stored)), layer=True)

    def to_json(self) -> dict[str, Json]:
        """Return the document of `inspect --json`."""
        run = self.config.child("config", {})
        return {
            "reference": f"{self.reference}@{self.image.manifest.digest}",
            "manifest_digest": self.image.manifest.digest.value,
            "config_digest": self.image.config.digest.value,
            "platform": str(self.image.platform),
            "created": self.config.text("created", ""),
            "size": sum(layer.descriptor.size for layer in self.image.layers),
            "user": run.text("User", ""),
            "working_dir": run.text("WorkingDir", ""),
            "entrypoint": run.texts("Entrypoint"),
            "command": run.texts("Cmd"),
            "env": run.texts("Env"),
            "stop_signal": run.text("StopSignal", ""),
            "labels": run.mapping("Labels"),
            "annotations": self.manifest.mapping("annotations"),
            "layers": [_layer_json(layer) for layer in self.image.layers],
        }


def open_image(reference: str) -> StoredImage:
    """Read `oci:DIR[:name]`, `archive:FILE`, or the path of a layout or an archive.

    Every document is read whole and checked against its digest; layers are only looked at when asked for.
    Raises UsageError IB655 if there is no such image, IntegrityError IB654 if it is not a valid one.
    """
    place, named = locate(reference)
    return read(reference, place, named)


def blobs_of(store: BlobStore) -> Blobs:
    """Return the blobs of a store, which is a layout too."""
    return _Layout(store.root)


def is_local(text: str) -> bool:
    """Say whether something names a layout or an archive, and not an image of a registry.

    It says so, or is a path, or can hardly be anything else than a path that is not there.
    """
    kind, colon, _ = text.partition(":")
    return bool(colon and kind in ("oci", "archive")) or Path(text).exists() or bool(_LIKE_A_PATH.fullmatch(text))


def locate(reference: str) -> tuple[Place, Descriptor]:
    """Find what `oci:DIR[:name]`, `archive:FILE` or a path names: its place, and what `index.json` says of it.

    Raises as `open_image` does.
    """
    place, name = open_place(reference)
    return place, find(place, name, reference)


def open_place(reference: str) -> tuple[Place, str]:
    """Open the folder or the file of what `oci:DIR[:name]`, `archive:FILE` or a path names; return the name, too.

    Raises UsageError IB655 if there is neither.
    """
    kind, colon, rest = reference.partition(":")
    path, name = Path(rest if colon and kind in ("oci", "archive") else reference), ""
    if kind == "oci" and not path.is_dir() and ":" in rest:
        folder, _, name = rest.rpartition(":")
        path = Path(folder)
    if path.is_dir():
        return _Layout(path), name
    if path.is_file():
        return _archive(path), name
    raise no_image(f"there is no image at {reference!r}", ())


def find(place: Place, name: str, reference: str) -> Descriptor:
    """Return what the index of a layout says of the image of this name; without one, of the only image."""
    marker = documents.parse(place.file("oci-layout") or b"{}", "oci-layout")
    if marker.text("imageLayoutVersion", "") != "1.0.0":
        raise malformed(f"{reference!r} is no OCI image layout of version 1.0.0")
    return _choose(documents.parse(place.file("index.json"), "index.json"), name, reference)


def read(reference: str, place: Blobs, named: Descriptor) -> StoredImage:
    """Read the image whose manifest `named` describes. Raises IntegrityError IB654 if it is not a valid one."""
    if named.media_type not in MANIFESTS:
        raise malformed(f"{reference!r} holds {named.media_type[:100]!r} and not the image of one platform")
    manifest = document(place, named, "manifest")
    if manifest.number("schemaVersion") != 2 or manifest.text("mediaType", MANIFEST) != named.media_type:
        raise manifest.wrong("mediaType")
    if "manifests" in manifest.fields:
        # CVE-2021-41190: one document that is a manifest to one reader and an index to another.
        raise malformed("the manifest has both `layers` and `manifests`")
    described = documents.descriptor(manifest.child("config"))
    if described.media_type not in _CONFIGS:
        raise manifest.wrong("config")
    config = document(place, described, "config")
    # Without the name and the platform that the index adds: the descriptor that export returned.
    plain = replace(named, annotations={}, platform=None)
    image = Image(plain, described, _layers(manifest, config), documents.read_platform(config))
    return StoredImage(reference, place, image, manifest, config)


def document(place: Blobs, described: Descriptor, name: str) -> Document:
    """Read a manifest, an index or a config; `name` is its name in errors. IntegrityError IB654 if it is none."""
    if described.size > LARGEST_DOCUMENT:
        raise malformed(f"the {name} has {described.size} bytes")
    text = b"".join(place.open(described, limit=LARGEST_DOCUMENT))
    if len(text) != described.size:
        raise malformed(f"the {name} has {len(text)} bytes and should have {described.size}")
    return documents.parse(text, name)


def _layers(manifest: Document, config: Document) -> tuple[Layer, ...]:
    stored = [documents.descriptor(child) for child in manifest.children("layers")]
    diff_ids = [Digest(text) for text in config.child("rootfs").texts("diff_ids")]
    if len(stored) != len(diff_ids):
        raise malformed(f"the manifest has {len(stored)} layers, the config {len(diff_ids)}")
    for number, layer in enumerate(stored):
        if layer.media_type not in LAYERS:
            raise malformed(f"layer {number} has the media type {layer.media_type[:100]!r}")
    return tuple(map(Layer, stored, diff_ids, created_by(config, len(stored))))


def created_by(config: Document, layers: int) -> Sequence[str]:
    """Return what the history says of each layer; nothing if it does not tell of each."""
    steps = [step for step in config.children("history") if step.fields.get("empty_layer") is not True]
    return [step.text("created_by", "") for step in steps] if len(steps) == layers else [""] * layers


def _choose(index: Document, name: str, reference: str) -> Descriptor:
    manifests = [documents.descriptor(child) for child in index.children("manifests")]
    names = tuple(sorted({found.annotations.get(REF_NAME, "") for found in manifests} - {""}))
    chosen = {found.digest: found for found in manifests if not name or found.annotations.get(REF_NAME) == name}
    if not chosen:
        raise no_image(f"there is no image {name!r} in {reference!r}", names)
    if len(chosen) > 1:
        raise no_image(f"there are {len(chosen)} images in {reference!r}", names)
    return next(iter(chosen.values()))


def no_image(what: str, names: tuple[str, ...]) -> UsageError:
    """Make the error for an image that is not there; `names` are those that are."""
    return UsageError(
        what,
        details=(f"names: {', '.join(names)}",) if names else (),
        hint="write `oci:DIR`, `oci:DIR:NAME` or `archive:FILE`",
        code="IB655",
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """A layout on disk; a store is one, too."""

    folder: Path

    def has(self, blob: Descriptor) -> bool:
        return BlobStore(self.folder).has(blob.digest)

    def file(self, name: str) -> bytes:
        try:
            with (self.folder / name).open("rb") as file:
                return file.read(LARGEST_DOCUMENT)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise storage_error(error, self.folder / name) from error

    def open(self, blob: Descriptor, *, limit: int | None = None) -> Iterator[bytes]:
        return BlobStore(self.folder).open(blob.digest, limit=limit)

    def content(self, blob: Descriptor) -> Content:
        return BlobStore(self.folder).path(blob.digest)


@dataclass(frozen=True, slots=True)
class Archive:
    """The files in an archive by path, also under the names of links: those of a layout, or what an engine saved."""

    members: Mapping[str, Stored]

    def has(self, blob: Descriptor) -> bool:
        """Say whether a blob of the layout is there."""
        return f"blobs/sha256/{blob.digest.hex}" in self.members

    def file(self, name: str) -> bytes:
        """Return a small file; empty if it is missing."""
        return b"".join(self.read(name, limit=LARGEST_DOCUMENT)) if name in self.members else b""

    def open(self, blob: Descriptor, *, limit: int | None = None) -> Iterator[bytes]:
        """Yield a blob of the layout."""
        return self.read(f"blobs/sha256/{blob.digest.hex}", digest=blob.digest, limit=limit)

    def content(self, blob: Descriptor) -> Content:
        """Return what yields a blob of the layout."""
        return lambda: self.open(blob)

    def read(self, name: str, *, digest: Digest | None = None, limit: int | None = None) -> Iterator[bytes]:
        """Yield a file; IntegrityError IB513 at its end if it should have a digest and has another."""
        member = self.members.get(name)
        if member is None or (limit is not None and member.size > limit):
            raise malformed(f"{name} is missing" if member is None else f"{name} has {member.size} bytes")
        checksum = Checksum("sha256", bytes.fromhex(digest.hex)) if digest else None
        with closing(content.Reader()) as reader:
            yield from reader.read(replace(member, checksum=checksum))


def _archive(path: Path) -> Archive:
    files: dict[str, Stored] = {}
    links: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            for member in tarball.members(file):
                if member.kind is Kind.FILE:
                    files[member.path] = Stored(path, member.offset, member.size)
                elif member.kind is Kind.SYMLINK:
                    links[member.path] = posixpath.join(posixpath.dirname(member.path), member.target)
    except OSError as error:
        raise storage_error(error, path) from error
    except IntegrityError as error:
        raise IntegrityError(
            f"cannot read {path} as an image: {error.message}",
            hint="name a layout or an archive of an image; if this should be one, fetch it again from its origin",
            code=error.code,
        ) from error
    # Engines write a layer that comes twice as a link.
    linked = {link: posixpath.normpath(target) for link, target in links.items()}
    return Archive(files | {link: files[target] for link, target in linked.items() if target in files})


def _layer_json(layer: Layer) -> dict[str, Json]:
    return {
        "digest": layer.descriptor.digest.value,
        "diff_id": layer.diff_id.value,
        "media_type": layer.descriptor.media_type,
        "size": layer.descriptor.size,
        "created_by": layer.created_by,
    }
