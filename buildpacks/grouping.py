"""Which packages share a layer: large ones have their own, small ones are grouped by the hashes of their names.

The rule is part of the output format (docs/decisions/0190-small-packages-in-groups-by-hash.md). Nothing but names and
sizes of what is pinned decides: a package that comes, goes or changes makes its own group anew, and no other. The files
of a large application are grouped the same way, by their paths (`imagebuilder.parted`).
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Literal

from layers.digest import sha256
from layers.values import dataclass

# As large or larger is alone; so many bytes of files at most are sent again for a neighbour's sake.
SHARED_BYTES = 1_000_000


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
    first = sorted(sizes, key=lambda name: (name not in made_here, -sizes[name], name))[: most - most // 4]
    apart = sorted(name for name in first if name in made_here or sizes[name] >= shared)
    rest = {name: size for name, size in sizes.items() if name not in apart}
    return (
        *(Group((name,), "built" if name in made_here else "large") for name in apart),
        *_by_hash(rest, most - len(apart), shared),
    )


def _by_hash(sizes: Mapping[str, int], most: int, shared: int) -> Iterable[Group]:
    """Split the group with the most bytes by the next bit of the hashes, as long as one is too large.

    The bytes of a group are more than those of either half: which groups are split does not depend on the order, and
    a package changes only the groups that it is in.
    """
    if not sizes:
        return ()
    hashes = {name: _bits_of(name) for name in sizes}

    def ranked(bits: str, names: list[str]) -> tuple[int, str, list[str]]:
        """Rank the groups by their bytes; what cannot or need not be split comes last."""
        size = sum(sizes[name] for name in names)
        return (-size if size > shared and len(names) > 1 else 0, bits, names)

    found = [ranked("", sorted(sizes))]
    while found[0][0] and len(found) < most:
        _, bits, names = heapq.heappop(found)
        while len({hashes[name][len(bits)] for name in names}) == 1:
            bits = hashes[names[0]][: len(bits) + 1]
        halves: dict[str, list[str]] = {f"{bits}0": [], f"{bits}1": []}
        for name in names:
            halves[hashes[name][: len(bits) + 1]].append(name)
        for half in halves.items():
            heapq.heappush(found, ranked(*half))
    return (Group(tuple(names), "small", bits) for _, bits, names in sorted(found, key=lambda one: one[1]))


def _bits_of(name: str) -> str:
    hasher = sha256()
    hasher.update(name.encode("utf-8", "surrogateescape"))
    return f"{int(hasher.hexdigest(), 16):0256b}"
