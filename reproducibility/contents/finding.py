"""Findings: the causes found in one file, before they are differences of it."""

from collections.abc import Iterable

from layers.values import dataclass
from reproducibility.contents import table
from reproducibility.difference import Difference, View


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, with what shows it on either side. The fields are those of a Difference."""

    cause: str
    left: str
    right: str
    note: str
    follows: bool = False


def told(path: str, findings: Iterable[Finding], view: View | None) -> tuple[Difference, ...]:
    """Make differences of what was found in the file of a path; the first one shows the file."""
    return tuple(
        Difference(
            "file", path, "content", *table.short(one.left, one.right), one.cause,
            note=one.note, follows=one.follows, view=view if place == 0 else None,
        )
        for place, one in enumerate(findings)
    )  # fmt: skip
