"""Differences of how two layers are compressed, whether or not the tars inside are the same."""

from reproducibility import gzip_header
from reproducibility.difference import Difference, View
from reproducibility.images import StoredLayer
from reproducibility.unpack import Unpacker, compression


def differences(
    left: StoredLayer, right: StoredLayer, *, label: str, same_tar: bool, unpacker: Unpacker
) -> list[Difference]:
    """Compare the compression of two layers. That of different tars is compared by its kind and header alone."""
    if left.digest == right.digest:
        return []
    stored = unpacker.compressed(left), unpacker.compressed(right)
    kinds = compression(left.media_type), compression(right.media_type)
    if kinds[0] != kinds[1]:
        return [Difference("layer", "", "compression", *kinds, "compression", label)]
    found = []
    other_body = same_tar and stored[0].body != stored[1].body
    fields = _differing(stored[0].header, stored[1].header)
    note = "the tar inside is the same" if same_tar else ""
    if fields and not (other_body and fields.keys() <= gzip_header.COMPRESSOR_FIELDS):
        view = View("fields", tuple(f"{name}\t{one}\t{other}" for name, (one, other) in fields.items()))
        one, other = (", ".join(f"{name} {pair[side]}" for name, pair in fields.items()) for side in (0, 1))
        found.append(Difference("layer", "", "compression", one, other, "gzip-header", label, note, view=view))
    if other_body:
        sizes = f"{left.size} bytes", f"{right.size} bytes"
        found.append(Difference("layer", "", "compression", *sizes, "compressor", label, note))
    return found


def _differing(left: bytes, right: bytes) -> dict[str, tuple[str, str]]:
    if left == right or not left or not right:
        return {}
    one, other = gzip_header.fields(left), gzip_header.fields(right)
    pairs = {name: (one.get(name, ""), other.get(name, "")) for name in {**one, **other}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
