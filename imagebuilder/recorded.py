"""Records of layers: which digests those came out with that are made of nothing but what is pinned."""

from buildpacks.api import LayerSpec
from imagebuilder.export import FORMAT
from imagebuilder.tables import Table
from layers import canonical, compress
from layers.canonical import Json
from layers.compress import Compression
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.layer import Layer
from layers.values import dataclass


@dataclass(frozen=True, slots=True)
class RecordedLayer:
    """A layer as the lock has it. `key` is the hash of all that decides its bytes; `size` is that of the blob."""

    name: str
    key: Digest
    digest: Digest
    diff_id: Digest
    size: int

    def layer(self, compression: Compression) -> Layer:
        """Return the layer; the key is that of this compression."""
        blob = Descriptor(compress.media_type(compression), self.digest, self.size)
        return Layer(blob, self.diff_id, self.name)

    def to_json(self) -> dict[str, Json]:
        """Return the table of the lock."""
        digests = {"key": self.key, "digest": self.digest, "diff-id": self.diff_id}
        return {"name": self.name, **{name: digest.value for name, digest in digests.items()}, "size": self.size}


def from_table(table: Table) -> RecordedLayer:
    """Read what `to_json` wrote. Raises what `Table` raises."""
    key, digest, diff_id = (Digest(table.text(name)) for name in ("key", "digest", "diff-id"))
    return RecordedLayer(table.text("name"), key, digest, diff_id, table.number("size"))


def record(spec: LayerSpec, key: Digest, layer: Layer) -> RecordedLayer:
    """Write down what a description came out as."""
    return RecordedLayer(spec.name, key, layer.descriptor.digest, layer.diff_id, layer.descriptor.size)


def key(spec: LayerSpec, compression: Compression) -> Digest:
    """Hash all that decides a layer's bytes.

    The cache's keys have the release besides; a lock outlives releases, and other bytes are another format.
    """
    return canonical.digest(
        {"format": FORMAT, "compression": compress.identify(compression), "layer": spec.key},
    )
