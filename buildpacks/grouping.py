"""Which packages share a layer: large ones have their own, small ones are grouped by the hashes of their names.

The rule is part of the output format (docs/decisions/0190-small-packages-in-groups-by-hash.md). Nothing but names and
sizes of what is pinned decides: a package that comes, goes or changes makes its own group anew, and no other. The files
of a large application are grouped the same way, by their paths (`imagebuilder.parted`).
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Literal

from layers.digest import sha256
from layers.values import dataclass

# As large or larger is alone; so many bytes of files at most are sent again for a neighbour's sake.
SHARED_BYTES = 1_000_000
_BITS = 256


@dataclass(frozen=True, slots=True)
class Group:
    """The packages, or files, of one layer. `bits` is how the hashes of all their names begin, if there are several."""

    members: tuple[str, ...]
    kind: Literal["large", "built", "small"]
    bits: str = ""

    def layer(self, shared: str) -> str:
        """Name the layer of packages: for its only one, or for what all small ones are in, and their bits."""
        return f"{shared} {self.bits}".rstrip() if self.kind == "small" else self.members[0]

    @property
    def why(self) -> str:
        """Say why these are together."""
        alone = {"large": f"large: at least {SHARED_BYTES:,} bytes", "built": "built from source"}
        together = f"the hashes of their names begin with {self.bits}" if self.bits else "all that are small"
        return alone.get(self.kind, together)


def groups(
    sizes: Mapping[str, int], *, most: int, built: Iterable[str] = (), shared: int = SHARED_BYTES
) -> tuple[Group, ...]:
    """Group packages into at most so many layers, given their names and the sizes of their files.

    One of `shared` bytes is large, and has a layer of its own, as what is built here. Should there be too many of
    those, the smallest go with the small ones, for which a quarter of the layers is reserved.
    """
    made_here = frozenset(built)
    alone = [name for name, size in sizes.items() if size >= shared or name in made_here]
    alone.sort(key=lambda name: (name not in made_here, -sizes[name], name))
    apart = frozenset(alone[: most - most // 4])
    rest = {name: size for name, size in sizes.items() if name not in apart}
    return (
        *(Group((name,), "built" if name in made_here else "large") for name in sorted(apart)),
        *_by_hash(rest, most - len(apart), shared),
    )


def _by_hash(sizes: Mapping[str, int], most: int, shared: int) -> Iterable[Group]:
    """Split the group with the most bytes by the next bit of the hashes, as long as one is too large.

    The bytes of a group are more than those of either half: which groups are split does not depend on the order, and
    a package changes only the groups that it is in.
    """
    if not sizes:
        return ()
    # In the order of their hashes each group is a run, and what it has is the difference of two sums.
    names = sorted((_hash_of(name), name) for name in sizes)
    sums = [0, *accumulate(sizes[name] for _, name in names)]

    def ranked(bits: str, start: int, end: int) -> tuple[int, str, int, int]:
        """Rank the groups by their bytes; what cannot or need not be split comes last."""
        size = sums[end] - sums[start]
        return (-size if size > shared and end - start > 1 else 0, bits, start, end)

    found = [ranked("", 0, len(names))]
    while found[0][0] and len(found) < most:
        _, _, start, end = heapq.heappop(found)
        first, last = names[start][0], names[end - 1][0]
        bit = (first ^ last).bit_length() - 1
        bits = f"{first:0{_BITS}b}"[: _BITS - 1 - bit]
        middle = bisect_left(names, (last >> bit << bit, ""), start, end)
        heapq.heappush(found, ranked(f"{bits}0", start, middle))
        heapq.heappush(found, ranked(f"{bits}1", middle, end))
    runs = sorted((bits, start, end) for _, bits, start, end in found)
    return (Group(tuple(sorted(name for _, name in names[start:end])), "small", bits) for bits, start, end in runs)


def _hash_of(name: str) -> int:
    hasher = sha256()
    hasher.update(name.encode("utf-8", "surrogateescape"))
    return int.from_bytes(hasher.digest(), "big")
