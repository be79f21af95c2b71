"""Tables: the parts of two files beside each other, and values short enough to be read."""

from collections.abc import Iterable

from reproducibility.difference import View

_SHORT = 200


def short(value: str) -> str:
    """Return a value, cut where it is too long to be read."""
    return value if len(value) <= _SHORT else f"{value[:_SHORT]}…"


def view(rows: Iterable[tuple[str, str, str]]) -> View:
    """Show rows of a name and its value on either side."""
    return View("fields", tuple("\t".join(_cell(cell) for cell in row) for row in rows))


def _cell(value: str) -> str:
    # Names from images may hold anything; only the tabs between the cells may count.
    return short(value).replace("\t", " ").replace("\n", " ")
