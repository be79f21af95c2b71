"""Inspections: what takes the room in an image, whoever made it, and what of it is wasted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from imagebuilder import documents, packages
from imagebuilder.documents import Document
from imagebuilder.packages import Package
from layers import digest
from layers.canonical import Json
from layers.errors import IntegrityError
from layers.values import dataclass
from reproducibility import rootfs
from reproducibility.images import StoredImage
from reproducibility.listing import Listing, Member, Members
from reproducibility.unpack import Unpacker

# A file that nobody sees in the image: another one has taken its place, or a layer above deletes it.
Fate = Literal["kept", "overwritten", "deleted"]
Kind = Literal["python", "bytecode", "library", "program", "data"]

# The mark of a file that says what a layer deletes (image-spec, layer.md, "Whiteouts").
_WHITEOUT = ".wh."
_FILES = ("file", "sparse file")
_SUFFIXES: dict[str, Kind] = {"py": "python", "pyi": "python", "pyc": "bytecode", "so": "library", "a": "library"}
_PROCESSES = "io.buildpacks.build.metadata"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a layer; the same path may be in several."""

    layer: int
    path: str
    size: int
    mode: int
    owner: str
    kind: Kind
    fate: Fate


@dataclass(frozen=True, slots=True)
class Copies:
    """Files of the image with the same content, of `size` bytes each."""

    size: int
    paths: tuple[str, ...]

    @property
    def wasted(self) -> int:
        """Bytes of all but one of them."""
        return self.size * (len(self.paths) - 1)


@dataclass(frozen=True, slots=True)
class Process:
    """Something that the image can start."""

    type: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. `files` are sorted by size, `copies` by what they waste.

    `unpacked` are the bytes of the files of each layer.
    """

    image: StoredImage
    files: tuple[File, ...]
    copies: tuple[Copies, ...]
    packages: tuple[Package, ...]
    processes: tuple[Process, ...]
    unpacked: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of all layers as stored."""
        return sum(layer.size for layer in self.image.layers)

    @property
    def hidden(self) -> int:
        """Bytes of files that nobody sees."""
        return sum(file.size for file in self.files if file.fate != "kept")

    @property
    def doubled(self) -> int:
        """Bytes of files that are there already."""
        return sum(copies.wasted for copies in self.copies)

    def to_json(self) -> dict[str, Json]:
        """Return the document of `inspect --html --json`."""
        return {
            "reference": self.image.reference,
            "manifest_digest": self.image.manifest_digest,
            "config_digest": self.image.config_digest,
            "platform": self.image.platform,
            "size": self.size,
            "unpacked_size": sum(self.unpacked),
            "hidden_size": self.hidden,
            "doubled_size": self.doubled,
            "layers": [
                {"size": layer.size, "unpacked_size": size, "digest": layer.digest, "created_by": layer.name}
                for layer, size in zip(self.image.layers, self.unpacked, strict=True)
            ],
            "processes": [{"type": process.type, "command": process.command} for process in self.processes],
            "packages": [package.to_json() for package in self.packages],
        }


def inspect(image: StoredImage, scratch: Path) -> Inspection:
    """Read every layer. `scratch` is an empty folder for their tars.

    Raises IntegrityError IB656, IB800 or IB801 for layers that are not what they should be.
    """
    with Unpacker(scratch) as unpacker:
        listings = [unpacker.listing(layer) for layer in image.layers]
        visible = rootfs.merge(listings)
        files = sorted(_files(listings, visible), key=lambda file: (-file.size, file.path, file.layer))
        unpacked = tuple(sum(member.size for member in _members(listing)) for listing in listings)
        installed = packages.read(visible)
        return Inspection(image, tuple(files), _copies(visible), installed, _processes(image.config), unpacked)


def _members(listing: Listing) -> Iterator[Member]:
    yield from listing.members.values()
    for earlier in listing.earlier.values():
        yield from earlier


def _files(listings: Sequence[Listing], visible: Members) -> Iterator[File]:
    seen = {(member.descriptor, member.offset) for member in visible.values()}
    for layer, listing in enumerate(listings):
        for member in _members(listing):
            if member.kind not in _FILES or member.path.rpartition("/")[2].startswith(_WHITEOUT):
                continue
            lost: Fate = "overwritten" if member.path in visible else "deleted"
            yield File(
                layer,
                member.path,
                member.size,
                member.meta.mode,
                f"{member.meta.uid}:{member.meta.gid}",
                _kind(member),
                "kept" if (member.descriptor, member.offset) in seen else lost,
            )


def _kind(member: Member) -> Kind:
    name = member.path.rpartition("/")[2]
    if ".so." in name:
        return "library"
    return _SUFFIXES.get(name.rpartition(".")[2], "program" if member.meta.mode & 0o111 else "data")


def _copies(visible: Members) -> tuple[Copies, ...]:
    """Find equal contents: only those of one size are read. Several names of one file are no copies."""
    by_size: dict[int, list[Member]] = {}
    for member in visible.values():
        if member.kind in _FILES and member.size and not member.link:
            by_size.setdefault(member.size, []).append(member)
    found: list[Copies] = []
    for size, members in by_size.items():
        if len(members) > 1:
            found += [Copies(size, tuple(paths)) for paths in _equal(members) if len(paths) > 1]
    return tuple(sorted(found, key=lambda copies: (-copies.wasted, copies.paths)))


def _equal(members: Sequence[Member]) -> Iterable[list[str]]:
    equal: dict[str, list[str]] = {}
    for member in members:
        hasher = digest.sha256()
        for chunk in member.content.chunks():
            hasher.update(chunk)
        equal.setdefault(hasher.hexdigest(), []).append(member.path)
    return equal.values()


def _processes(config: Mapping[str, Json]) -> tuple[Process, ...]:
    """Read the processes that buildpacks left in a label; none where that is not as it should be."""
    with suppress(IntegrityError):
        labels = Document("config", config).child("config", {}).mapping("Labels")
        described = documents.parse(labels.get(_PROCESSES, "{}").encode("utf-8", "replace"), "label")
        return tuple(Process(each.text("type"), each.texts("command")) for each in described.children("processes"))
    return ()
