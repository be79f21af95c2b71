"""Pairs of layers: which layers of two images hold the same, even if one side cut or ordered them otherwise."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from reproducibility.difference import Difference, LayerPair
from reproducibility.images import StoredLayer
from reproducibility.listing import Members

_SHOWN = 300
Same = Literal["stored", "tar", "no"]


def equal(left: Sequence[StoredLayer], right: Sequence[StoredLayer]) -> list[LayerPair]:
    """Pair layers whose stored bytes are equal, then those whose tars are, each with the first one that is free."""
    pairs = list(_equal_by(lambda layer: layer.digest, "stored", left, right, ()))
    return pairs + list(_equal_by(lambda layer: layer.diff_id, "tar", left, right, pairs))


def _equal_by(
    key: Callable[[StoredLayer], str],
    same: Same,
    left: Sequence[StoredLayer],
    right: Sequence[StoredLayer],
    pairs: Iterable[LayerPair],
) -> Iterator[LayerPair]:
    free: dict[str, list[int]] = {}
    for position in unpaired(range(len(right)), [pair.right for pair in pairs]):
        free.setdefault(key(right[position]), []).append(position)
    for position in unpaired(range(len(left)), [pair.left for pair in pairs]):
        if found := free.get(key(left[position])):
            yield _pair((position,), (found.pop(0),), same)


def unpaired(layers: Iterable[int], pairs: Iterable[Sequence[int]]) -> list[int]:
    """Return the positions that are in none of the groups."""
    paired = {position for positions in pairs for position in positions}
    return [position for position in layers if position not in paired]


def by_content(
    left: Mapping[int, Members], right: Mapping[int, Members], *, same_name: Callable[[int, int], bool]
) -> list[LayerPair]:
    """Pair layers, given by position, by the paths they share, best first.

    What shares nothing goes with one of its name, else of its position. What is left over goes to the pair that holds
    at least half of it, else it is on one side only.
    """
    paths = {one: _telling(members) for one, members in left.items()}
    other_paths = {other: _telling(members) for other, members in right.items()}
    shared = _shared(paths, other_paths)
    candidates = sorted(shared, key=lambda both: (-shared[both], not same_name(*both), abs(both[0] - both[1]), both))
    candidates += [(one, other) for one in left for other in right if same_name(one, other)]
    candidates += [(one, one) for one in left if one in right]
    partners: dict[int, int] = {}
    for one, other in candidates:
        if one not in partners and other not in partners.values():
            partners[one] = other
    lefts, rights = {one: [one] for one in partners}, {one: [other] for one, other in partners.items()}
    for position in left.keys() - partners.keys():
        _attach(lefts, position, paths[position], {one: shared[position, other] for one, other in partners.items()})
    for position in right.keys() - set(partners.values()):
        _attach(rights, position, other_paths[position], {one: shared[one, position] for one in partners})
    pairs = [_pair(tuple(sorted(lefts[one])), tuple(sorted(rights[one])), "no") for one in partners]
    pairs += [_pair((one,), (), "no") for one in unpaired(left, lefts.values())]
    pairs += [_pair((), (other,), "no") for other in unpaired(right, rights.values())]
    return pairs


def reordered(pairs: Iterable[LayerPair]) -> list[Difference]:
    """Say whether layers that both images have come in another order."""
    both = [pair for pair in pairs if len(pair.left) == len(pair.right) == 1]
    one, other = (sorted(both, key=lambda pair: pair.left), sorted(both, key=lambda pair: pair.right))
    if one == other:
        return []
    here, there = (", ".join(pair.label for pair in side)[:_SHOWN] for side in (one, other))
    return [Difference("layer", "", "layering", here, there, "layering", note="layers in another order")]


def _pair(left: tuple[int, ...], right: tuple[int, ...], same: Same) -> LayerPair:
    names = ["+".join(map(str, side)) or "-" for side in (left, right)]
    label = names[0] if names[0] == names[1] else "/".join(names)
    return LayerPair(f"layer {label}", left, right, same)


def _telling(members: Members) -> frozenset[str]:
    """Return the paths that tell a layer: those of its folders only if it has nothing else."""
    return frozenset(path for path, member in members.items() if member.kind != "folder") or frozenset(members)


def _shared(left: Mapping[int, frozenset[str]], right: Mapping[int, frozenset[str]]) -> Counter[tuple[int, int]]:
    holders: dict[str, list[int]] = {}
    for position, paths in left.items():
        for path in paths:
            holders.setdefault(path, []).append(position)
    return Counter((one, other) for other, paths in right.items() for path in paths for one in holders.get(path, ()))


def _attach(groups: dict[int, list[int]], position: int, paths: frozenset[str], held: Mapping[int, int]) -> None:
    best = max(held, key=lambda one: (held[one], -one), default=None)
    if best is not None and held[best] and 2 * held[best] >= len(paths):
        groups[best].append(position)
