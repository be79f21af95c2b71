"""The table of causes, and the page about it."""

from itertools import groupby
from pathlib import Path

import pytest

from reproducibility.causes import CAUSES, Cause

PAGE = Path(__file__).parents[2] / "docs" / "causes.md"
GROUPS = {
    "metadata": "What the tar says of a file",
    "packaging": "How layers are cut and stored",
    "content": "What is in a file",
    "bytecode": "What is in bytecode",
    "binary": "What is in programs, archives and databases",
    "inputs": "What the image was built from",
    "documents": "What manifest, config and index say",
}


def row(cause: Cause) -> str:
    return f"| `{cause.key}` | {cause.title} | {cause.remedy} |"


def tables() -> str:
    parts = []
    for group, causes in groupby(CAUSES.values(), lambda cause: cause.group):
        rows = "\n".join(map(row, causes))
        parts.append(f"## {GROUPS[group]}\n\n| Cause | What differs | What to do about it |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def test_the_page_of_causes_holds_the_table_of_causes() -> None:
    assert PAGE.read_text().partition("\n## ")[2] == tables().removeprefix("## ")


@pytest.mark.parametrize("cause", CAUSES.values(), ids=lambda cause: cause.key)
def test_a_cause_fits_on_a_line(cause: Cause) -> None:
    assert len(cause.title) <= 48
    assert len(cause.remedy) <= 80
    assert not cause.title.endswith(".")
    assert not cause.remedy.endswith(".")
