"""Text for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder import text


@given(st.text(st.characters(), max_size=60))
def test_what_is_shown_cannot_move_the_cursor_or_reorder_words(name: str) -> None:
    shown = text.printable(name)
    assert "\x1b" not in shown
    assert shown.isprintable()
    assert not set(shown) & set("\u202e\u2066\u200b\ufeff")
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("txt.\u202egpj", "txt.\\u202egpj"),
        ("caf\udce9", "caf\\udce9"),
        ("日本 café", "日本 café"),
        ("mail@example.com", "mail@example.com"),
        ("GET https://user:pa%20ss@host.example/simple", "GET https://***@host.example/simple"),
        (
            "git+ssh://token@host.example/x and http://a:b@c.example",
            "git+ssh://***@host.example/x and http://***@c.example",
        ),
    ],
)
def test_names_are_made_harmless_and_secrets_in_urls_are_hidden(raw: str, shown: str) -> None:
    assert text.printable(raw) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (84_321, "84 kB"),
        (999_499, "999 kB"),
        (999_999, "1.0 MB"),
        (18_249_000, "18.2 MB"),
        (512_000_000, "512 MB"),
        (7_500_000_000, "7.5 GB"),
        (7_500_000_000_000, "7500 GB"),
    ],
)
def test_sizes_have_three_digits(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.04, "0.0 s"), (59.96, "60.0 s"), (125.4, "2 min 05 s")])
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@given(st.text(st.characters(categories=["L", "M", "N", "P"]), max_size=40), st.integers(1, 30))
def test_clipped_text_fits(name: str, width: int) -> None:
    clipped = text.clip(name, width)
    assert text.columns(clipped) <= width
    assert clipped == name or clipped.endswith("…")


def test_wide_and_combining_characters_are_counted_as_terminals_do() -> None:
    assert text.columns("日本") == 4
    assert text.columns("e\u0301") == 1


def test_a_table_is_aligned_by_columns() -> None:
    assert text.table([("name", "size"), ("日本", "1 B"), ("x", "")]) == ["name  size", "日本  1 B", "x"]


def test_the_nearest_word_is_one_that_could_be_meant() -> None:
    assert text.nearest("pyton", ["python", "platform"]) == "python"
    assert text.nearest("xyz", ["python", "platform"]) == ""
    assert text.nearest("linux", ["linux/amd64", "linux/arm64"]) == ""
    assert text.nearest("linux/arm", ["linux/amd64", "linux/arm64"]) == "linux/arm64"
    assert text.nearest("x", []) == ""


def test_paint_adds_nothing_without_colour() -> None:
    assert text.paint("x", "red", colour=False) == "x"
    assert text.paint("x", "red", colour=True) == "\x1b[31mx\x1b[0m"
