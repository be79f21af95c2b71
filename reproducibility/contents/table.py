"""Tables: the parts of two files beside each other, and values short enough to be read."""

import datetime as dt  # noqa: TID251 times that stand in files are shown
from collections.abc import Iterable

from reproducibility.difference import View

_SHORT = 200
_BEFORE = 40


def short(left: str, right: str) -> tuple[str, str]:
    """Return two values, cut where they are too long to be read, but not where they differ."""
    at = next((place for place, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), 0)
    start = at - _BEFORE if at > _SHORT - _BEFORE else 0
    return _cut(left, start), _cut(right, start)


def _cut(value: str, start: int) -> str:
    return f"{'…' if start else ''}{value[start : start + _SHORT]}{'…' if len(value) > start + _SHORT else ''}"


def moment(seconds: int) -> str:
    """Return a time that stands in a file as people write it."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return f"{seconds} seconds"


def view(rows: Iterable[tuple[str, str, str]]) -> View:
    """Show rows of a name and its value on either side; those without any value are left out."""
    lines = ((name, *short(left, right)) for name, left, right in rows if left or right)
    return View("fields", tuple("\t".join(map(_cell, line)) for line in lines))


def _cell(value: str) -> str:
    # Names from images may hold anything; only the tabs between the cells may count.
    return value.replace("\t", " ").replace("\n", " ")
