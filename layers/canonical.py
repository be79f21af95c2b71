"""Canonical JSON: the one way a document is written that is hashed or stored.

Sorted keys, no spaces, UTF-8 without escapes for printable characters: equal documents are equal bytes.
"""

import json
from collections.abc import Mapping, Sequence

from layers.digest import Digest

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def encode(document: Json) -> bytes:
    """Write a document as canonical JSON."""
    return text(document).encode("utf-8", "surrogateescape")


def text(document: Json) -> str:
    """Write a document as canonical JSON that is still text, with whatever surrogates are in it."""
    return json.dumps(  # noqa: TID251 the one door to JSON that is hashed or stored
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(document: Json) -> Digest:
    """Hash the canonical form of a document: the key of named inputs."""
    return Digest.of(encode(document))
