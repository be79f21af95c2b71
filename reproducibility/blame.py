"""Blame: which variations bring a difference about, found by building with fewer and fewer of them."""

from collections.abc import Callable, Collection, Iterable

Loci = frozenset[str]
Varied = tuple[str, ...]
# What differs from the plain build when exactly these are varied; None if no further build is allowed.
Differing = Callable[[Varied], Loci | None]
Blame = dict[str, tuple[Varied, ...]]


def find(loci: Collection[str], variations: Varied, differing: Differing) -> Blame:
    """Return, for each of the loci that differ with all of the variations, the smallest sets that make it differ.

    A set of several is one that only together does. Causes that alone suffice are all found; of those that have to come
    together, one set. Where no further build is allowed, the smallest set that is known stands for what it may be.
    """
    found: dict[str, list[Varied]] = {locus: [] for locus in loci}
    _alone(frozenset(loci), variations, differing, found)
    return {locus: tuple(sets) for locus, sets in found.items()}


def _alone(loci: Loci, varied: Varied, differing: Differing, found: dict[str, list[Varied]]) -> None:
    """Follow each locus into every half in which it differs; those that differ in neither need parts of both."""
    if not loci:
        return
    if len(varied) == 1:
        _record(loci, varied, found)
        return
    first, second = _halves(varied)
    in_first, in_second = differing(first), differing(second)
    if in_first is None or in_second is None:
        _record(loci, varied, found)
        return
    _alone(loci & in_first, first, differing, found)
    _alone(loci & in_second, second, differing, found)
    _together(loci - in_first - in_second, first, second, differing, found)


def _together(loci: Loci, first: Varied, second: Varied, differing: Differing, found: dict[str, list[Varied]]) -> None:
    """Take away from the first half what is not needed beside all of the second, then from the second likewise."""
    for needed, these in _needed(loci, first, second, differing):
        for also, those in _needed(these, second, needed, differing):
            _record(those, (*needed, *also), found)


def _needed(loci: Loci, varied: Varied, beside: Varied, differing: Differing) -> list[tuple[Varied, Loci]]:
    """Split the loci by the smallest part of `varied` that makes them differ if `beside` is varied too."""
    if not loci:
        return []
    if len(varied) == 1:
        return [(varied, loci)]
    first, second = _halves(varied)
    in_first = differing((*first, *beside))
    if in_first is None:
        return [(varied, loci)]
    parts = _needed(loci & in_first, first, beside, differing)
    rest = loci - in_first
    in_second = differing((*second, *beside)) if rest else frozenset()
    if in_second is None:
        return [*parts, (varied, rest)]
    parts += _needed(rest & in_second, second, beside, differing)
    for needed, these in _needed(rest - in_second, first, (*second, *beside), differing):
        parts += [((*needed, *also), those) for also, those in _needed(these, second, (*needed, *beside), differing)]
    return parts


def _halves(varied: Varied) -> tuple[Varied, Varied]:
    middle = len(varied) // 2
    return varied[:middle], varied[middle:]


def _record(loci: Iterable[str], varied: Varied, found: dict[str, list[Varied]]) -> None:
    for locus in loci:
        found[locus].append(varied)
