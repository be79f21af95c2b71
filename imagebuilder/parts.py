"""Parts: all that an image, or an index of images, is made of, in an order in which it may be written.

Documents are copied byte for byte, whatever made them (style rule 20), so the digests stay what they were.
"""

from collections.abc import Mapping

from imagebuilder import documents
from imagebuilder.documents import malformed
from imagebuilder.image import INDEXES, MANIFESTS, Blobs
from imagebuilder.reference import Reference
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.values import dataclass, field, replace

_LARGEST_DOCUMENT = 4 << 20
# Of one index: enough for every platform with its attestations, and an end to what a hostile one makes us hold.
_MOST_DOCUMENTS = 200
_MOST_BYTES = 32 << 20
_DEEPEST_INDEX = 2


@dataclass(frozen=True, slots=True)
class Parts:
    """The blobs of an image or an index, each once; its documents, each after what it names; and where they are.

    `root` describes the last document: the one that a tag names. `origins` says of blobs which repository has them,
    so that a push to the same registry need not move them.
    """

    root: Descriptor
    blobs: tuple[Descriptor, ...]
    documents: tuple[tuple[Descriptor, bytes], ...]
    place: Blobs
    origins: Mapping[Digest, Reference] = field(default_factory=dict)


def gather(root: Descriptor, place: Blobs, origins: Mapping[Digest, Reference] | None = None) -> Parts:
    """Read the documents from `root` down and list what they name.

    Raises IntegrityError IB654 for a document that is not what the OCI image specification says.
    """
    gathered = _Gathered(place)
    gathered.add(root, depth=0)
    return Parts(
        gathered.documents[root.digest][0],
        tuple(gathered.blobs.values()),
        tuple(gathered.documents.values()),
        place,
        origins or {},
    )


def named_blobs(content: bytes) -> tuple[Descriptor, ...]:
    """Return what a manifest names: its layers, then its config."""
    manifest = documents.parse(content, "manifest")
    named = [*manifest.children("layers"), manifest.child("config")]
    return tuple(_plain(documents.descriptor(each)) for each in named)


class _Gathered:
    """What has been found so far."""

    def __init__(self, place: Blobs) -> None:
        self.place = place
        self.blobs: dict[Digest, Descriptor] = {}
        self.documents: dict[Digest, tuple[Descriptor, bytes]] = {}
        self.size = 0

    def add(self, described: Descriptor, *, depth: int) -> None:
        """Add a document after all that it names."""
        if described.digest in self.documents:
            return
        content = self._read(described)
        if described.media_type in INDEXES and depth < _DEEPEST_INDEX:
            for child in documents.parse(content, "index").children("manifests"):
                self.add(documents.descriptor(child), depth=depth + 1)
        elif described.media_type in MANIFESTS:
            self.blobs |= {blob.digest: blob for blob in named_blobs(content)}
        else:
            raise malformed(f"{described.digest} has the media type {described.media_type[:100]!r}")
        self.size += len(content)
        if len(self.documents) == _MOST_DOCUMENTS or self.size > _MOST_BYTES:
            raise malformed(f"it has more than {_MOST_DOCUMENTS} manifests or {_MOST_BYTES} bytes of them")
        self.documents[described.digest] = (_plain(described), content)

    def _read(self, described: Descriptor) -> bytes:
        if described.size > _LARGEST_DOCUMENT:
            raise malformed(f"{described.digest} has {described.size} bytes, too many for a manifest")
        content = b"".join(self.place.open(described, limit=_LARGEST_DOCUMENT))
        if len(content) != described.size:
            raise malformed(f"{described.digest} has {len(content)} bytes and should have {described.size}")
        return content


def _plain(described: Descriptor) -> Descriptor:
    """Leave out what a document says besides: a blob is its media type, digest and size."""
    return replace(described, annotations={}, platform=None)
