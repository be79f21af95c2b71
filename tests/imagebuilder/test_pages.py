"""Every error is explained."""

from pathlib import Path

import pytest

import imagebuilder
from imagebuilder import pages
from layers.errors import UsageError

FOLDER = Path(imagebuilder.__file__).parent / "explain"


@pytest.mark.parametrize("code", ["IB102", "ib102", "102"])
def test_a_code_is_found_however_it_is_written(code: str) -> None:
    assert pages.page(code).startswith("# IB102: an unknown configuration key\n")


@pytest.mark.parametrize(
    ("code", "hint"), [("IB1000", "did you mean `IB100`?"), ("xyz", "`imagebuilder explain` lists all codes")]
)
def test_an_unknown_code_is_answered_with_the_nearest(code: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        pages.page(code)
    assert (caught.value.code, caught.value.hint) == ("IB112", hint)


@pytest.mark.parametrize("code", ["../IB102", "IB102/../IB102", "", "IB"])
def test_a_code_is_never_a_path(code: str) -> None:
    with pytest.raises(UsageError):
        pages.page(code)


def test_each_page_begins_with_its_code_and_a_title_and_says_what_to_do() -> None:
    for path in sorted(FOLDER.glob("IB*.md")):
        title, blank, *body = path.read_text("utf-8").splitlines()
        assert title.startswith(f"# {path.stem}: "), path.name
        assert not title.endswith("."), path.name
        assert blank == "", path.name
        assert "What to do" in "\n".join(body), path.name


def test_the_list_has_a_line_for_each_page() -> None:
    assert [title.split(":")[0] for title in pages.titles()] == list(pages.codes())
    assert len(pages.codes()) == len(list(FOLDER.glob("*.md")))
