"""The page of a result: self-contained, the same every time, whole without its script; and treemaps."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.reports import findings, markup, panels, treemap
from imagebuilder.reports.findings import Result
from tests import comparisons
from tests.imagebuilder.test_reports import every_result

VOID = {"meta", "br"}


class Structure(HTMLParser):
    """The elements of a page, with their texts; complains of what is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    def count(self, tag: str, class_: str = "") -> int:
        return sum(name == tag and class_ in (attrs.get("class") or "") for name, attrs in self.elements)


def page(result: Result) -> str:
    return panels.html(findings.of(result)).decode()


@every_result
def test_a_page_needs_nothing_but_itself(result: Result) -> None:
    written = page(result)
    structure = Structure(written)
    for tag, attributes in structure.elements:
        assert tag not in ("img", "link", "iframe", "object", "base", "form")
        assert not {"src", "style", "srcset", "action"} & set(attributes), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    linked = {attrs["href"] for tag, attrs in structure.elements if tag == "a"}
    assert linked <= {f"#{attrs['id']}" for _, attrs in structure.elements if "id" in attrs}


@every_result
def test_only_our_style_and_script_may_take_effect(result: Result) -> None:
    written = page(result)
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', written)
    assert found
    assert "unsafe" not in found[1]
    assert found[1].startswith("default-src 'none'; ")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", written, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in found[1]


@every_result
def test_the_same_result_gives_the_same_bytes(result: Result) -> None:
    assert panels.html(findings.of(result)) == panels.html(findings.of(result))


def test_names_in_a_page_are_inert() -> None:
    written = page(comparisons.verdict(comparisons.hostile()))
    structure = Structure(written)
    assert structure.count("img") == 0
    assert structure.count("script") == 2  # the rows and the script
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ud800-\udfff]", rendered(written))
    assert "<img src=x onerror=alert(1)>" in "".join(structure.texts)
    assert r"exe.\u202egpj.tar" in "".join(structure.texts)


def rendered(written: str) -> str:
    """Leave out our own script and style, which have tabs of their own."""
    return re.sub(r"<(style|script)>.*?</\1>", "", written, flags=re.DOTALL)


def test_a_page_without_its_script_has_the_first_differences_and_all_causes() -> None:
    structure = Structure(page(comparisons.many(2000)))
    assert structure.count("td", "path") == 500 + len(comparisons.PAIRS)
    assert "The first 500 of 2,000; the others need JavaScript." in structure.texts
    texts = "".join(structure.texts)
    assert "2,000 differences of 2 causes." in texts
    assert "take the time from SOURCE_DATE_EPOCH" in texts


def test_the_rows_of_the_script_are_all_differences_each_text_once() -> None:
    written = page(comparisons.many(2000))
    (block,) = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', written)
    rows = json.loads(block)
    columns = {one["name"]: one for one in rows["columns"]}
    assert rows["count"] == 2000
    assert columns["cause"]["texts"] == ["timestamp", "mtime"]
    for number, one in enumerate(comparisons.many(2000).everything):
        assert columns["path"]["texts"][columns["path"]["rows"][number]] == one.path


def test_consequences_come_last() -> None:
    written = page(comparisons.differing())
    (block,) = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', written)
    columns = {one["name"]: one for one in json.loads(block)["columns"]}
    follows = [columns["follows"]["texts"][row] for row in columns["follows"]["rows"]]
    assert follows == [""] * 8 + ["yes"] * 3


def test_a_page_has_room_for_a_hundred_thousand_differences() -> None:
    assert len(panels.html(findings.of(comparisons.many(20_000)))) < 5_000_000


def test_file_systems_that_are_the_same_are_called_that() -> None:
    assert "only these were compared" in page(comparisons.files_only())


@pytest.mark.parametrize("value", [*comparisons.HOSTILE, "a\u00adb"])
def test_a_text_in_markup_is_only_a_text(value: str) -> None:
    structure = Structure(markup.element("p", value, title=value, data_x=value).source)
    assert [tag for tag, _ in structure.elements] == ["p"]
    assert set(structure.elements[0][1]) == {"title", "data-x"}


# --- treemaps ---

LEAVES = st.lists(
    st.tuples(st.lists(st.sampled_from("abc/"), min_size=1, max_size=6), st.integers(0, 10**9)), max_size=60
)


@given(LEAVES)
def test_rectangles_of_a_treemap_do_not_overlap_and_are_as_large_as_what_they_show(
    found: list[tuple[list[str], int]],
) -> None:
    leaves = [treemap.leaf("layer", "/".join(path), size=size, kind="k") for path, size in found]
    structure = Structure(treemap.svg(leaves, "map").source)
    boxes = [
        tuple(float(attrs[key] or 0) for key in ("x", "y", "width", "height"))
        for tag, attrs in structure.elements
        if tag == "rect"
    ]
    for x, y, width, height in boxes:
        assert x >= 0
        assert y >= 0
        assert x + width <= 1200.2
        assert y + height <= 480.2
    assert bool(boxes) == any(size for _, size in found)


def test_a_treemap_is_bounded_whatever_it_shows() -> None:
    many = [treemap.leaf(f"{n % 5}", f"a{n % 7}/b{n % 1000}/c{n}", size=1 + n % 50, kind="k") for n in range(50_000)]
    assert Structure(treemap.svg(many, "map").source).count("rect") < 2000
    deep = [treemap.leaf("layer", "d/" * depth + "f", size=1000, kind="k") for depth in range(1, 5000, 20)]
    assert Structure(treemap.svg(deep, "map").source).count("rect") < 2000


def test_leaves_of_a_treemap_have_areas_like_their_sizes() -> None:
    leaves = [treemap.leaf("layer", f"f{n}", size=size, kind="k") for n, size in enumerate((600, 300, 100))]
    structure = Structure(treemap.svg(leaves, "map").source)
    areas = [
        (float(attrs["width"] or 0) + 1) * (float(attrs["height"] or 0) + 1)
        for tag, attrs in structure.elements
        if tag == "rect"
    ][1:]
    assert areas[0] / areas[1] == pytest.approx(2, rel=0.02)
    assert areas[0] / areas[2] == pytest.approx(6, rel=0.02)
