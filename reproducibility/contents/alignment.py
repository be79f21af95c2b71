"""Alignment: which parts of two sequences differ, in time that grows with their length alone.

Elements that are there once on both sides anchor the rest (patience diff). difflib finds shorter answers, but takes
quadratic time for the contents that somebody hostile would choose.
"""

import bisect
import itertools
from collections.abc import Iterator, Sequence

from layers.expression import expression
from layers.values import dataclass

# How often what lies between anchors is looked at again.
_DEPTH = 6
_BLOCK = 64 << 10
_DIFFERING = expression(rb"[^\0](?:\0{0,7}[^\0])*")


@dataclass(frozen=True, slots=True)
class Region:
    """Elements `left` to `left_end` of one side stand where `right` to `right_end` of the other do."""

    left: int
    left_end: int
    right: int
    right_end: int


def common_end(left: bytes, right: bytes, *, start: int = 0) -> int:
    """Return how many bytes two contents have in common at their end, not counting the first `start` of them."""
    size = min(len(left), len(right)) - start
    # Slices are compared, which is a memcmp; a loop over the bytes would take a thousand times as long.
    low, left_end, right_end = 0, len(left), len(right)
    if left[left_end - size :] == right[right_end - size :]:
        return size
    while size - low > 1:
        middle = (low + size) // 2
        if left[left_end - middle : left_end - low] == right[right_end - middle : right_end - low]:
            low = middle
        else:
            size = middle
    return low


def align(left: Sequence[bytes], right: Sequence[bytes]) -> list[Region]:
    """Return the parts of two sequences that differ, in order."""
    found: list[Region] = []
    work = [(Region(0, len(left), 0, len(right)), 0)]
    while work:
        whole, depth = work.pop()
        region = _strip(left, right, whole)
        if region.left == region.left_end and region.right == region.right_end:
            continue
        gaps = _gaps(left, right, region) if depth < _DEPTH else []
        if gaps:
            work += [(gap, depth + 1) for gap in reversed(gaps)]
        elif region.left_end - region.left == region.right_end - region.right:
            found += _by_position(left, right, region)
        else:
            found.append(region)
    return found


def align_parts(left: Sequence[bytes], right: Sequence[bytes], *, start: int) -> Iterator[Region]:
    """Yield the places that differ in two contents, cut into parts, which begin `start` bytes into them."""
    here, there = (list(itertools.accumulate(map(len, parts), initial=start)) for parts in (left, right))
    for one in align(left, right):
        yield Region(here[one.left], here[one.left_end], there[one.right], there[one.right_end])


def differing_bytes(left: bytes, right: bytes) -> Iterator[Region]:
    """Yield the places at which two contents of one size differ; less than eight equal bytes do not part them."""
    for start in range(0, len(left), _BLOCK):
        here, there = left[start : start + _BLOCK], right[start : start + _BLOCK]
        if here != there:
            mask = int.from_bytes(here, "big") ^ int.from_bytes(there, "big")
            for match in _DIFFERING.finditer(mask.to_bytes(len(here), "big")):
                first, last = start + match.start(), start + match.end()
                yield Region(first, last, first, last)


def _strip(left: Sequence[bytes], right: Sequence[bytes], region: Region) -> Region:
    start, right_start, end, right_end = region.left, region.right, region.left_end, region.right_end
    while start < end and right_start < right_end and left[start] == right[right_start]:
        start, right_start = start + 1, right_start + 1
    while start < end and right_start < right_end and left[end - 1] == right[right_end - 1]:
        end, right_end = end - 1, right_end - 1
    return Region(start, end, right_start, right_end)


def _gaps(left: Sequence[bytes], right: Sequence[bytes], region: Region) -> list[Region]:
    """Return what lies between the anchors of a region; nothing if it has none."""
    here = _single(left, region.left, region.left_end)
    there = _single(right, region.right, region.right_end)
    pairs = [(place, there[element]) for element, place in here.items() if element in there]
    anchors = _ascending(pairs)
    if not anchors:
        return []
    gaps = []
    start, right_start = region.left, region.right
    for place, right_place in (*anchors, (region.left_end, region.right_end)):
        gaps.append(Region(start, place, right_start, right_place))
        start, right_start = place + 1, right_place + 1
    return gaps


def _single(elements: Sequence[bytes], start: int, end: int) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
    repeated = set()
    for place in range(start, end):
        element = elements[place]
        if places.setdefault(element, place) != place:
            repeated.add(element)
    for element in repeated:
        del places[element]
    return places


def _ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the most pairs that ascend on both sides; they come sorted by the first (patience sorting)."""
    tops: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for number, (_, right) in enumerate(pairs):
        pile = bisect.bisect_left(tops, right)
        before.append(piles[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [right]
        piles[pile : pile + 1] = [number]
    chain = []
    number = piles[-1] if piles else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _by_position(left: Sequence[bytes], right: Sequence[bytes], region: Region) -> Iterator[Region]:
    """Yield the runs of elements that differ from their counterparts."""
    size = region.left_end - region.left
    start = None
    for place in range(size + 1):
        differs = place < size and left[region.left + place] != right[region.right + place]
        if differs and start is None:
            start = place
        elif not differs and start is not None:
            yield Region(region.left + start, region.left + place, region.right + start, region.right + place)
            start = None
