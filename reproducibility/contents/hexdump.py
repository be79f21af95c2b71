"""Hex dumps: bytes of two contents side by side, around the place where they part."""

from collections.abc import Iterator

from reproducibility.content import Content
from reproducibility.difference import View

_ROW = 16
_AROUND = 64
_CHUNK = 1 << 20


def first_difference(left: bytes, right: bytes) -> int:
    """Return where two contents part: the size of the shorter one if the other begins with it."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    # Comparing slices is a memcmp; a loop over the bytes would take a thousand times as long.
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


def first_difference_of_files(left: Content, right: Content) -> int:
    """Return where two contents part without holding more than a megabyte of each."""
    shorter = min(left.size, right.size)
    for start in range(0, shorter, _CHUNK):
        length = min(_CHUNK, shorter - start)
        here, there = left.read(start, length), right.read(start, length)
        if here != there:
            return start + first_difference(here, there)
    return shorter


def same(left: Content, right: Content) -> bool:
    """Whether two contents are equal."""
    return left.size == right.size and first_difference_of_files(left, right) == left.size


def view(left: Content, right: Content, at: int) -> View:
    """Show the rows around position `at`."""
    start = max(at - _AROUND, 0) // _ROW * _ROW
    end = (at + _AROUND) // _ROW * _ROW + _ROW
    return View("hex", tuple(_rows(start, left.read(start, end - start), right.read(start, end - start))))


def _rows(offset: int, left: bytes, right: bytes) -> Iterator[str]:
    for place in range(0, max(len(left), len(right)), _ROW):
        here, there = left[place : place + _ROW], right[place : place + _ROW]
        if here == there:
            yield f" {_row(offset + place, here)}"
            continue
        if here:
            yield f"-{_row(offset + place, here)}"
        if there:
            yield f"+{_row(offset + place, there)}"


def _row(offset: int, content: bytes) -> str:
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in content)
    return f"{offset:08x}  {content.hex(' '):<{3 * _ROW - 1}}  {text}"
