"""Digests: the names of content. The only module that hashes."""

import hashlib  # noqa: TID251 the one door to hashing
from typing import Protocol

from layers.errors import IntegrityError
from layers.expression import expression
from layers.values import dataclass

# Kinds of hashes that RECORD files and lock files may use, and how many bytes their values have.
HASH_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_KINDS = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}

_PATTERN = expression(r"sha256:[0-9a-f]{64}")


class Hasher(Protocol):
    """A running hash, as hashlib makes it."""

    def update(self, chunk: bytes | memoryview, /) -> None:
        """Feed a chunk."""

    def digest(self) -> bytes:
        """Return the raw value."""

    def hexdigest(self) -> str:
        """Return the value in lower-case hexadecimal."""


@dataclass(frozen=True, slots=True)
class Digest:
    """`sha256:` and 64 lower-case hexadecimal digits; anything else cannot be a Digest.

    Because of that a Digest is safe in a path or a URL. sha512 is not accepted: no image of ours uses it.
    """

    value: str

    def __post_init__(self) -> None:
        if not _PATTERN.fullmatch(self.value):
            raise IntegrityError(
                f"not a sha256 digest: {self.value[:100]!r}",
                hint="a digest is `sha256:` followed by 64 hexadecimal digits",
                code="IB501",
            )

    def __str__(self) -> str:
        return self.value

    def __lt__(self, other: "Digest") -> bool:
        return self.value < other.value

    @property
    def hex(self) -> str:
        """The 64 hexadecimal digits."""
        return self.value[7:]

    @classmethod
    def of(cls, content: bytes | memoryview) -> "Digest":
        """Hash content that is already in memory."""
        return cls(f"sha256:{hashlib.sha256(content).hexdigest()}")

    @classmethod
    def from_hasher(cls, hasher: Hasher) -> "Digest":
        """Take the value of a running sha256."""
        return cls(f"sha256:{hasher.hexdigest()}")


def sha256() -> Hasher:
    """Start a running sha256."""
    return hashlib.sha256()


def hasher(algorithm: str) -> Hasher | None:
    """Start a running hash of the name used in RECORD files and lock files; None if it is not an accepted one."""
    # Not `hashlib.new`, which takes longer than to hash a small file.
    return _KINDS[algorithm]() if algorithm in _KINDS else None
