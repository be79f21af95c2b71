"""The order of Debian's version numbers (Debian Policy 5.6.12, deb-version(7))."""

import functools

from layers.expression import expression

# Any text has a place in the order: an index may say anything, and Python reads numbers of up to 4,300 digits.
_PART = expression(r"(\D*)(\d{0,4000})")
_EPOCH = expression(r"([0-9]{1,9}):")
Key = tuple[int, list[tuple[list[int], int]], list[tuple[list[int], int]]]


@functools.lru_cache(maxsize=4096)
def key(version: str) -> Key:
    """Return what versions are compared by."""
    epoch = _EPOCH.match(version)
    rest = version[epoch.end() :] if epoch else version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch[1]) if epoch else 0, _parts(upstream), _parts(revision)


def satisfies(version: str, relation: str, wanted: str) -> bool:
    """Say whether a version stands in a relation (`<<`, `<=`, `=`, `>=`, `>>`) to another."""
    left, right = key(version), key(wanted)
    return (
        (left < right and relation in ("<<", "<="))
        or (left > right and relation in (">>", ">="))
        or (left == right and relation in ("<=", "=", ">="))
    )


def _parts(text: str) -> list[tuple[list[int], int]]:
    """Split into pairs of other characters, with a 0 for their end, and a number; a missing part counts as 0."""
    return [([*map(_weight, other), 0], int(number or 0)) for other, number in _PART.findall(text or "0")]


def _weight(character: str) -> int:
    """A tilde comes before the end, the end before letters, letters before anything else."""
    if character == "~":
        return -1
    return ord(character) + (0 if character.isalpha() else 256)
