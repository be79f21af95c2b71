"""Binary files of no kind that is known: why they differ, from the strings and the times in them."""

import itertools
import re
from collections.abc import Iterator

from layers.expression import expression
from layers.values import replace
from reproducibility.contents import alignment, calendars, hexdump, traces
from reproducibility.contents.alignment import Region
from reproducibility.contents.traces import Finding, Trace
from reproducibility.difference import Known

_PLACES_MAX = 50
_MIDDLE_MAX = 256 << 10
# A number holds no more bytes.
_NUMBER_MAX = 8

_STRING = expression(rb"[\x20-\x7e]{4,}")
_PART = expression(rb"[\x20-\x7e]{4,}|\0+|[^\0]", re.DOTALL)
_PRINTABLE = expression(rb"[\t\n\r\x20-\x7e\x80-\xff]*")
# Beginnings of files that tools keep their state in (SQLite's file format, gdbm, Berkeley DB, pickle's protocols).
_DATABASES = {
    "SQLite database": expression(rb"SQLite format 3\0"),
    "gdbm database": expression(rb"[\xcd-\xcf]\x9a\x57\x13|\x13\x57\x9a[\xcd-\xcf]"),
    "Berkeley DB": expression(rb".{12}(?:\x61\x15\x06\0|\x62\x31\x05\0|\0\x05\x31\x62|\0\x06\x15\x61)", re.DOTALL),
    "pickle": expression(rb"\x80[\x02-\x05][\x95()\]}cXqK\x8c\x8f]"),
}


def finding(left: bytes, right: bytes, *, offset: int, shifted: bool, known: Known) -> Finding:
    """Tell why two contents differ that begin `offset` bytes into their files.

    Unless they are `shifted` against each other, what differs stands at the same places.
    """
    database = _database(left) if _database(left) == _database(right) else ""
    strings = [_STRING.findall(content[:_MIDDLE_MAX]) for content in (left, right)]
    if len(left) == len(right) and strings[0] != strings[1] and sorted(strings[0]) == sorted(strings[1]):
        return Finding("set-order", note="the same strings in another order")
    regions = itertools.islice(_regions(left, right, shifted=shifted), _PLACES_MAX)
    found = traces.weigh([(_extent(region, offset), _trace(left, right, region, known=known)) for region in regions])
    return replace(found, cause=found.cause or "database", note=f"{database}; {found.note}") if database else found


def _database(content: bytes) -> str:
    return next((name for name, pattern in _DATABASES.items() if pattern.match(content)), "")


def _extent(region: Region, offset: int) -> str:
    first, last = offset + region.left, offset + region.left_end - 1
    return f"byte {first}" if last <= first else f"bytes {first}-{last}"


def _regions(left: bytes, right: bytes, *, shifted: bool) -> Iterator[Region]:
    """Yield the places that differ: byte by byte, or string by string in what is shifted."""
    if not shifted:
        yield from alignment.differing_bytes(left, right)
        return
    start = hexdump.first_difference(left, right)
    same = alignment.common_end(left, right, start=start)
    middles = (content[start : min(len(content) - same, start + _MIDDLE_MAX)] for content in (left, right))
    yield from alignment.align_parts(*map(_PART.findall, middles), start=start)


def _trace(left: bytes, right: bytes, region: Region, *, known: Known) -> Trace:
    here, there = left[region.left : region.left_end], right[region.right : region.right_end]
    if len(here) == len(there) <= _NUMBER_MAX and (moments := calendars.binary(left, right, region, known=known)):
        return Trace("timestamp", *map(str, moments))
    if _PRINTABLE.fullmatch(here) and _PRINTABLE.fullmatch(there):
        return traces.traces_at(left, right, [region], known=known)[0] or traces.nothing(here, there)
    return Trace("", here[:_NUMBER_MAX].hex(" "), there[:_NUMBER_MAX].hex(" "))
