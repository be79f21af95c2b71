"""Pages in a real browser: what is seen, what can be done, and that nothing in them does anything else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagebuilder import inspection
from imagebuilder.reports import findings, image_page, panels
from imagebuilder.reports.findings import Result
from tests import browser, comparisons
from tests.browser import Browser, Page
from tests.reproducibility import subjects

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(not browser.PROGRAM, reason="chromium is not installed"),
]

Open = Callable[..., Page]
ROWS = "[...document.querySelectorAll('.list tbody tr:not([aria-hidden])')]"
FOUND = "document.querySelector('.found').textContent"
SETTLED = "new Promise((done) => setTimeout(done, 250))"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser.running(tmp_path_factory.mktemp("chromium") / "profile") as running:
        yield running


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the page of a result. Whatever is done with it: nothing is complained of, nothing else is asked for."""
    pages: list[Page] = []

    def open_result(result: "Result | bytes", **options: bool | int) -> Page:
        path = tmp_path / f"{len(pages)}.html"
        path.write_bytes(result if isinstance(result, bytes) else panels.html(findings.of(result)))
        pages.append(browser.open_page(chromium, path, **options))  # type: ignore[arg-type]  # a test's own
        return pages[-1]

    yield open_result
    for number, page in enumerate(pages):
        assert page.problems == []
        assert page.requests == [(tmp_path / f"{number}.html").as_uri()]


def test_a_verdict_is_seen_with_its_causes_layers_and_rows(opened: Open) -> None:
    page = opened(comparisons.differing())
    assert page.run("document.querySelector('h1').textContent") == "≠ The images differ"
    assert page.run("document.querySelectorAll('.causes li').length") == 10
    assert page.run("document.querySelectorAll('.strips rect').length") == 8
    assert page.run("document.querySelectorAll('svg.map rect').length > 4")
    assert page.run(FOUND) == "11 differences"
    assert page.run(f"{ROWS}.length") == 11
    assert page.run("getComputedStyle(document.querySelector('.static')).display") == "none"


def test_the_style_takes_effect_in_light_and_dark(opened: Open) -> None:
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    light = opened(comparisons.differing())
    dark = opened(comparisons.differing(), dark=True)
    assert light.run(colour) == "rgb(253, 253, 251)"
    assert dark.run(colour) == "rgb(20, 22, 24)"


def test_rows_are_filtered_by_cause_part_layer_text_and_what_is_responsible(opened: Open) -> None:
    page = opened(comparisons.verdict(comparisons.differing()))

    def choose(name: str, starts: str) -> object:
        page.run(
            f"""(() => {{
              document.querySelector('.reset').click();
              const menu = document.querySelector('select[aria-label="{name}"]');
              menu.value = [...menu.options].find((one) => one.text.startsWith("{starts}")).value;
              menu.dispatchEvent(new Event("change"));
            }})()"""
        )
        return page.run(FOUND)

    assert choose("cause", "mtime") == "1 of 11 differences"
    assert str(page.run(f"{ROWS}[0].textContent")).startswith("workspace/app.py")
    assert choose("part", "config") == "3 of 11 differences"
    assert choose("layer", "2 site-packages") == "4 of 11 differences"
    assert choose("because of", "clock") == "3 of 11 differences"
    assert choose("because of", "temp") == "1 of 11 differences"
    assert choose("consequence", "yes") == "3 of 11 differences"
    page.run("document.querySelector('.reset').click()")
    assert page.run(FOUND) == "11 differences"
    page.run("document.querySelector('input').value = 'SHOP .so'")
    page.run("document.querySelector('input').dispatchEvent(new Event('input'))")
    page.run(SETTLED)
    assert page.run(FOUND) == "1 of 11 differences"


def test_causes_layers_variations_and_the_map_lead_to_their_rows(opened: Open) -> None:
    page = opened(comparisons.verdict(comparisons.differing()))
    page.run("document.querySelector('.causes [data-value=\"pyc-time\"]').click()")
    assert page.run(FOUND) == "1 of 11 differences"
    page.run("document.querySelector('.layers [data-value=\"3 workspace\"]').click()")
    assert page.run(FOUND) == "2 of 11 differences"
    page.run("document.querySelector('.scenarios [data-value=\"clock\"]').click()")
    assert page.run(FOUND) == "3 of 11 differences"
    page.run(
        "document.querySelector('svg.map [data-path=\"workspace/data/only.bin\"] rect')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert page.run(FOUND) == "1 of 11 differences"


def test_rows_are_sorted_by_a_column_and_back(opened: Open) -> None:
    page = opened(comparisons.differing())
    first = f"{ROWS}[0].querySelector('.c-cause').textContent"
    click = "document.querySelector('.list th.c-cause button').click()"
    seen = []
    for _ in range(4):
        seen.append((page.run(first), page.run("document.querySelector('.list th.c-cause').ariaSort")))
        page.run(click)
    assert seen == [
        ("timestamp", None),
        ("compressor", "ascending"),
        ("timestamp", "descending"),
        ("timestamp", "none"),
    ]


def test_a_closer_look_shows_lines_bytes_and_fields(opened: Open) -> None:
    page = opened(comparisons.differing())
    assert str(page.run("document.querySelector('.detail h3').textContent")).endswith("shop/__init__.py")
    assert page.run("document.querySelectorAll('.detail pre.text .ins, .detail pre.text .del').length") == 2
    assert "take the time from SOURCE_DATE_EPOCH" in str(page.run("document.querySelector('.detail').textContent"))
    page.run(f"{ROWS}[1].click()")
    assert "2f 74 6d 70" in str(page.run("document.querySelector('.detail pre.hex').textContent"))
    page.run(f"{ROWS}[2].click()")
    assert page.run("document.querySelectorAll('.detail .fields .differs td')[1].textContent") == "2024-05-01"


def test_everything_can_be_done_with_the_keyboard(opened: Open) -> None:
    page = opened(comparisons.many(1000))
    page.press("/", 191)
    assert page.run("document.activeElement.type") == "search"
    page.run("document.querySelector('.scroll').focus()")
    for key, code in (("End", 35), ("ArrowUp", 38)):
        page.press(key, code)
    assert page.run("document.querySelector('[aria-selected=true]').getAttribute('aria-rowindex')") == "1000"
    assert page.run("document.querySelector('.scroll').getAttribute('aria-activedescendant')") == "row-998"
    selected = "document.querySelector('[aria-selected=true]').getBoundingClientRect()"
    around = "document.querySelector('.scroll').getBoundingClientRect()"
    assert page.run(f"{selected}.bottom <= {around}.bottom + 1 && {selected}.top >= {around}.top")
    page.press("Enter", 13)
    assert page.run("document.activeElement.className") == "detail"
    page.press("Escape", 27)
    assert page.run("document.activeElement.className") == "scroll"


def test_only_rows_in_sight_are_in_the_document(opened: Open) -> None:
    page = opened(comparisons.many(20_000))
    assert page.run(f"{ROWS}.length < 100")
    page.run("document.querySelector('.scroll').scrollTop = 1e9")
    page.run(SETTLED)
    assert page.run(f"{ROWS}.length < 100")
    assert page.run(f"{ROWS}.at(-1).getAttribute('aria-rowindex')") == "20001"


def test_without_scripts_everything_but_what_moves_is_there(opened: Open) -> None:
    page = opened(comparisons.many(2000), scripts=False)
    assert page.run("document.querySelector('h1').textContent") == "≠ The images differ"
    assert page.run("getComputedStyle(document.querySelector('.static')).display") == "block"
    assert page.run("getComputedStyle(document.querySelector('.interactive')).display") == "none"
    assert page.run("document.querySelectorAll('table.differences tbody tr').length") == 500
    assert page.run("document.querySelectorAll('svg.map rect').length > 50")
    assert str(page.run("document.querySelector('.causes').innerText")).count("SOURCE_DATE_EPOCH") == 2


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_names_are_seen_and_do_nothing(opened: Open, *, scripts: bool) -> None:
    page = opened(comparisons.verdict(comparisons.hostile()), scripts=scripts)
    for row in range(len(comparisons.HOSTILE)):
        page.run(f"{ROWS}[{row}]?.click()")
    assert page.run("document.images.length") == 0
    assert page.run("document.scripts.length") == 2
    seen = str(page.run("document.body.innerText"))
    assert "</script><img src=x onerror=alert(1)>" in seen
    for shown in (r"exe.\u202egpj.tar", r"\x1b[2J\x1b]0;owned\x07\x9b31m", r"caf\udce9/na\ud800me", r"two\nlines\r"):
        assert shown in seen
    assert not set("\u202e\x1b\x9b\x07\u2028") & set(str(page.run("document.documentElement.outerHTML")))


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_page_is_wider_than_the_window(opened: Open, width: int) -> None:
    for result in (comparisons.verdict(comparisons.differing()), comparisons.audit(comparisons.hostile())):
        page = opened(result, width=width)
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), width
    # A window of half the width in large letters is what 200 % zoom is.


def test_a_page_prints_its_static_tables(opened: Open, chromium: Browser, tmp_path: Path) -> None:
    page = opened(comparisons.differing())
    chromium.send("Emulation.setEmulatedMedia", page.session, media="print")
    assert page.run("getComputedStyle(document.querySelector('.static')).display") == "block"
    assert page.run("getComputedStyle(document.querySelector('.interactive')).display") == "none"
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_text_has_enough_contrast_in_both_schemes(opened: Open) -> None:
    script = """(() => {
      const channel = (value) => ((value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
      const luminance = (colour) => {
        const [r, g, b] = colour.match(/[0-9.]+/g).map(Number);
        return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
      };
      const back = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const colour = getComputedStyle(at).backgroundColor;
          if (/^rgb\\(/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
      };
      const weak = [];
      for (const element of document.querySelectorAll("h1, h2, h3, p, td, th, dt, dd, a, code, .state, .count")) {
        const [a, b] = [luminance(getComputedStyle(element).color), luminance(back(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) weak.push(element.outerHTML.slice(0, 80));
      }
      return weak;
    })()"""
    for dark in (False, True):
        assert opened(comparisons.verdict(comparisons.differing()), dark=dark).run(script) == []


def test_the_page_of_an_image_shows_what_takes_the_room(opened: Open, tmp_path: Path) -> None:
    layers = (
        [subjects.file("etc/a", b"a" * 9000), subjects.file("opt/x.py", b"x = 1\n"), subjects.file("b", b"b" * 3000)],
        [subjects.file("etc/a", b"A" * 500), subjects.file("c", b"b" * 3000)],
    )
    (tmp_path / "unpacked").mkdir()
    found = inspection.inspect(subjects.image(*layers), tmp_path / "unpacked")
    page = opened(image_page.html(found))
    assert page.run(FOUND) == "5 files"
    assert page.run(f"{ROWS}[0].textContent") == "etc/a9 kB0overwritten"
    page.run("document.querySelector('.list th.c-size button').click()")
    assert page.run(f"{ROWS}[0].querySelector('.c-size').textContent") == "6 B"
    assert page.run("document.querySelectorAll('svg.map .k-wasted').length") == 1
