"""Pairs of layers: which layers of two images hold the same, even if one side cut or ordered them otherwise."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from reproducibility.difference import Difference, LayerPair
from reproducibility.images import StoredLayer
from reproducibility.listing import Members

_SHOWN = 300
_NAME = 60
Same = Literal["stored", "tar", "no"]
# Positions of layers on the left and on the right.
Group = tuple[tuple[int, ...], tuple[int, ...]]


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
            yield _pair(left, right, ((position,), (found.pop(0),)), same)


def unpaired(layers: Iterable[int], pairs: Iterable[Sequence[int]]) -> list[int]:
    """Return the positions that are in none of the groups."""
    paired = {position for positions in pairs for position in positions}
    return [position for position in layers if position not in paired]


def by_content(
    left: Sequence[StoredLayer],
    right: Sequence[StoredLayer],
    *,
    held: Mapping[int, Members],
    held_right: Mapping[int, Members],
) -> list[LayerPair]:
    """Pair layers, of which it is given by position what they hold, by the paths they share, best first.

    What shares nothing goes with one of its name, else of its position. What is left over goes to the pair that holds
    at least half of it, else it is on one side only.
    """
    paths = {one: _telling(members) for one, members in held.items()}
    other_paths = {other: _telling(members) for other, members in held_right.items()}
    shared = _shared(paths, other_paths)
    partners: dict[int, int] = {}
    for one, other in _candidates(shared, left, right, tuple(paths), tuple(other_paths)):
        if one not in partners and other not in partners.values():
            partners[one] = other
    lefts, rights = {one: [one] for one in partners}, {one: [other] for one, other in partners.items()}
    for position in paths.keys() - partners.keys():
        _attach(lefts, position, paths[position], {one: shared[position, other] for one, other in partners.items()})
    for position in other_paths.keys() - set(partners.values()):
        _attach(rights, position, other_paths[position], {one: shared[one, position] for one in partners})
    groups = [(tuple(sorted(lefts[one])), tuple(sorted(rights[one]))) for one in partners]
    groups += [((one,), ()) for one in unpaired(paths, lefts.values())]
    groups += [((), (other,)) for other in unpaired(other_paths, rights.values())]
    return [_pair(left, right, group, "no") for group in groups]


def _candidates(
    shared: Counter[tuple[int, int]],
    left: Sequence[StoredLayer],
    right: Sequence[StoredLayer],
    free: tuple[int, ...],
    free_right: tuple[int, ...],
) -> list[tuple[int, int]]:
    """Return pairs of positions, the best first."""

    def same_name(one: int, other: int) -> bool:
        return bool(left[one].name) and left[one].name == right[other].name

    found = sorted(shared, key=lambda pair: (-shared[pair], not same_name(*pair), abs(pair[0] - pair[1]), pair))
    found += [(one, other) for one in free for other in free_right if same_name(one, other)]
    return found + [(one, one) for one in free if one in free_right]


def reordered(pairs: Iterable[LayerPair]) -> list[Difference]:
    """Say whether layers that both images have come in another order."""
    both = [pair for pair in pairs if len(pair.left) == len(pair.right) == 1]
    one, other = (sorted(both, key=lambda pair: pair.left), sorted(both, key=lambda pair: pair.right))
    if one == other:
        return []
    here, there = (", ".join(pair.label for pair in side)[:_SHOWN] for side in (one, other))
    return [Difference("layer", "", "layering", here, there, "layering", note="layers in another order")]


def _pair(left: Sequence[StoredLayer], right: Sequence[StoredLayer], group: Group, same: Same) -> LayerPair:
    """Name a pair by its positions and what the left side calls its first layer."""
    names = ["+".join(map(str, side)) or "-" for side in group]
    layer = left[group[0][0]] if group[0] else right[group[1][0]]
    label = f"{names[0] if names[0] == names[1] else '/'.join(names)} {layer.name[:_NAME]}".rstrip()
    return LayerPair(label, *group, same)


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
