"""Layers: entries written as a tar, compressed, hashed twice and stored, in one pass."""

from dataclasses import dataclass

from layers.descriptor import Descriptor
from layers.digest import Digest


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer whose bytes are in the store: it exists only after both digests are known.

    `descriptor.digest` is the hash of the stored (compressed) bytes, `diff_id` that of the tar.
    """

    descriptor: Descriptor
    diff_id: Digest
    created_by: str
