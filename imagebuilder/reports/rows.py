"""Rows: the differences for the script of the page, in columns, each text once."""

from collections.abc import Iterable

from imagebuilder import text
from imagebuilder.reports.findings import Findings
from layers.canonical import Json
from reproducibility.causes import CAUSES
from reproducibility.difference import Difference

# A browser should not be asked for more; `--json` has them all.
MOST = 200_000


def rows(found: Findings, differences: list[tuple[str, Difference]]) -> dict[str, Json]:
    """Describe differences and the causes they name; `views` are by the number of the row."""
    listed = [one for _, one in differences]
    named = {one.cause for one in listed}
    left, right = found.names
    return {
        "count": len(listed),
        "noun": "differences",
        "section": "differences",
        "names": found.names,
        "columns": (
            column("path", "where", (one.path or one.layer or one.part for one in listed), listed=True),
            column("aspect", "what", (one.aspect for one in listed), choice=True),
            column("left", left, (one.left for one in listed), listed=True),
            column("right", right, (one.right for one in listed), listed=True),
            column("cause", "cause", (one.cause for one in listed), listed=True, choice=True),
            column(
                "blamed",
                "because of",
                (", ".join(one.blamed) for one in listed),
                listed=found.command == "check",
                choice=True,
                several=True,
            ),
            column("note", "note", (one.note for one in listed)),
            column("part", "part", (one.part for one in listed), choice=True),
            column("layer", "layer", (one.layer for one in listed), choice=True),
            column("platform", "platform", (platform for platform, _ in differences), choice=True),
            column("follows", "consequence", ("yes" if one.follows else "" for one in listed), choice=True, empty="no"),
        ),
        "coloured": "cause",
        "colours": {key: cause.group for key, cause in CAUSES.items() if key in named},
        "explanations": {
            key: {"title": cause.title, "remedy": cause.remedy} for key, cause in CAUSES.items() if key in named
        },
        "views": {
            str(number): {"kind": one.view.kind, "lines": [_line(line) for line in one.view.lines]}
            for number, one in enumerate(listed)
            if one.view
        },
    }


def column(
    name: str,
    title: str,
    values: Iterable[str],
    *,
    listed: bool = False,
    choice: bool = False,
    several: bool = False,
    empty: str = "none",
) -> dict[str, Json]:
    """Write a column as its different texts and, for each row, which of them it is.

    It is `listed` in the table, or shown in detail only. With `choice` rows can be filtered by it, where `empty` is how
    no text is called; `several` texts may be in one, separated by commas.
    """
    places: dict[str, int] = {}
    numbers = [places.setdefault(value, len(places)) for value in values]
    return {
        "name": name,
        "title": title,
        "texts": [text.printable(value) for value in places],
        "rows": numbers,
        "listed": listed,
        "filter": choice,
        "several": several,
        "empty": empty,
    }


def sizes(name: str, title: str, values: Iterable[int]) -> dict[str, Json]:
    """Write a column of sizes in bytes, which is listed."""
    places: dict[int, int] = {}
    numbers = [places.setdefault(value, len(places)) for value in values]
    written = column(name, title, (), listed=True)
    return {**written, "texts": [text.size(value) for value in places], "rows": numbers, "numbers": list(places)}


def _line(line: str) -> str:
    """Make a line harmless, but leave its tabs."""
    return "\t".join(map(text.printable, line.split("\t")))
