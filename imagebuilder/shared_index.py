"""The index of a shared cache: which layers came of which inputs, as one manifest that names them all.

It is an artifact of the OCI image specification. What it says of a layer stands beside the layer's descriptor, so one
request reads it, nothing can be said of a layer that is not named, and a registry keeps what is.
"""

from collections.abc import Collection, Mapping, Sequence

from imagebuilder import documents
from layers import canonical
from layers.descriptor import MANIFEST, Descriptor
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.values import dataclass

TYPE = "application/vnd.imagebuilder.cache.v1+json"
_ANY_VERSION = "application/vnd.imagebuilder.cache."
# What stands where an image has its config (image-spec, "Guidance for an Empty Descriptor").
NOTHING = b"{}"
_EMPTY = Descriptor("application/vnd.oci.empty.v1+json", Digest.of(NOTHING), len(NOTHING))
_KEY, _DIFF_ID = "dev.imagebuilder.key", "dev.imagebuilder.diff-id"
# Enough for a dozen applications; the index has 200 kB then, and registries take 4 MiB.
MOST_LAYERS = 500
_MOST_BYTES = 50 << 30
_LARGEST_LAYER = 10 << 30


@dataclass(frozen=True, slots=True)
class Claim:
    """What a cache says: of these inputs came this layer. `key` is the hash of all that decides the layer's bytes."""

    key: Digest
    blob: Descriptor
    diff_id: Digest


def read(content: bytes) -> tuple[Claim, ...]:
    """Read an index; what was used last comes first.

    Raises IntegrityError IB956 if it is none, or none of this version; IB501 and IB654 if it is damaged.
    """
    index = documents.parse(content, "cache")
    if (found := index.text("artifactType", "")) != TYPE:
        raise IntegrityError(
            f"it is no cache of layers that this version knows, but {found[:100]!r}",
            hint="give the name of a cache, which only `--cache-to` writes",
            code="IB956",
        )
    claims: dict[Digest, Claim] = {}
    for layer in index.children("layers")[:MOST_LAYERS]:
        described = documents.descriptor(layer)
        if described.size > _LARGEST_LAYER:
            raise layer.wrong("size")
        noted = described.annotations
        key, diff_id = Digest(noted.get(_KEY, "")), Digest(noted.get(_DIFF_ID, ""))
        claims.setdefault(key, Claim(key, Descriptor(described.media_type, described.digest, described.size), diff_id))
    return tuple(claims.values())


def may_be_replaced(content: bytes) -> bool:
    """Say whether a manifest is that of a cache, of any version and in any state, and not of an image."""
    try:
        return documents.parse(content, "cache").text("artifactType", "").startswith(_ANY_VERSION)
    except IntegrityError:
        return False


def write(claims: Sequence[Claim]) -> bytes:
    """Return the manifest."""
    return canonical.encode(
        {
            "artifactType": TYPE,
            "config": _EMPTY.to_json(),
            "layers": [
                {**claim.blob.to_json(), "annotations": {_DIFF_ID: claim.diff_id.value, _KEY: claim.key.value}}
                for claim in claims
            ],
            "mediaType": MANIFEST,
            "schemaVersion": 2,
        }
    )


def merged(before: Sequence[Claim], own: Mapping[Digest, Claim], used: Collection[Digest]) -> tuple[Claim, ...]:
    """Return an index of what it held and what a build has, cut where it is too long.

    What the build `used` comes first, then the rest in the order in which it was used: no clock is needed for that.
    """
    known = {**{claim.key: claim for claim in before}, **own}
    kept: list[Claim] = []
    size = 0
    for key in dict.fromkeys((*used, *known)):
        if key not in known or len(kept) == MOST_LAYERS or size + known[key].blob.size > _MOST_BYTES:
            continue
        kept.append(known[key])
        size += known[key].blob.size
    return tuple(kept)


def is_worth_writing(before: Sequence[Claim], after: Sequence[Claim], used: Collection[Digest]) -> bool:
    """Say whether an index has to be written: for something new, or before something that is used would be dropped."""
    known = {claim.key: claim for claim in before}
    endangered = {claim.key for claim in before[MOST_LAYERS // 2 :]}
    return any(known.get(claim.key) != claim for claim in after) or not endangered.isdisjoint(used)
