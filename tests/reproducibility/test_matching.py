"""Layers that one side cut or ordered otherwise are still compared with what holds the same."""

from pathlib import Path

from reproducibility.difference import Comparison
from tests.reproducibility.subjects import Item, causes, diff, file, folder, image, layer, of

BASE = (folder("etc"), file("etc/os-release", "ID=tests\n"))
PACKAGES = (folder("opt"), *(file(f"opt/{name}.py", name) for name in "abcdef"))
APP = (folder("app"), file("app/main.py", "x = 1\n"))


def pairs(comparison: Comparison) -> list[tuple[tuple[int, ...], tuple[int, ...], str]]:
    return [(pair.left, pair.right, pair.same) for pair in comparison.images[0].layers]


def touched(items: tuple[Item, ...]) -> list[Item]:
    return [Item(item.path, item.content, item.kind, item.link, item.mode, item.mtime + 1) for item in items]


def test_layers_in_another_order_are_told_and_nothing_of_their_files(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(BASE, PACKAGES, APP), image(BASE, APP, PACKAGES))
    assert causes(comparison) == {"layering": [""]}
    assert pairs(comparison) == [((0,), (0,), "stored"), ((1,), (2,), "stored"), ((2,), (1,), "stored")]


def test_layers_that_differ_are_paired_by_what_they_hold(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(BASE, PACKAGES, APP), image(BASE, touched(APP), touched(PACKAGES)))
    assert pairs(comparison) == [((0,), (0,), "stored"), ((1,), (2,), "no"), ((2,), (1,), "no")]
    assert causes(comparison).keys() == {"layering", "mtime"}


def test_a_layer_that_was_cut_in_two_is_compared_as_one(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(BASE, PACKAGES[:4], PACKAGES[4:], APP), image(BASE, PACKAGES, APP))
    assert pairs(comparison) == [((0,), (0,), "stored"), ((1, 2), (1,), "no"), ((3,), (2,), "stored")]
    assert causes(comparison) == {"layering": [""]}
    (cut,) = [each for each in comparison.everything if each.part == "layer"]
    assert (cut.left, cut.right, cut.layer) == ("layer 1, layer 2", "layer 1", "1+2/1")


def test_differences_inside_of_what_was_cut_are_found(tmp_path: Path) -> None:
    other = [*PACKAGES[:-1], file("opt/f.py", "other")]
    comparison = diff(tmp_path, image(PACKAGES[:4], PACKAGES[4:]), image(other))
    assert causes(comparison) == {"layering": [""], "source": ["opt/f.py"]}


def test_of_layers_that_are_squashed_the_upper_entry_counts(tmp_path: Path) -> None:
    layers = image(PACKAGES, [file("opt/a.py", "later")])
    squashed = image([PACKAGES[0], file("opt/a.py", "later"), *PACKAGES[2:]])
    assert causes(diff(tmp_path, layers, squashed)) == {"layering": [""]}


def test_a_layer_of_one_side_is_told_with_its_files(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(BASE, APP), image(BASE))
    assert pairs(comparison) == [((0,), (0,), "stored"), ((1,), (), "no")]
    assert causes(comparison) == {"layering": [""], "file-set": ["app", "app/main.py"]}
    empty = diff(tmp_path, image(BASE, []), image(BASE))
    assert causes(empty) == {"layering": [""]}


def test_layers_without_anything_in_common_go_by_name_and_then_by_position(tmp_path: Path) -> None:
    left = image(layer(BASE, name="FROM"), layer([file("x1")], name="COPY"), layer([file("y1")], name="RUN"))
    right = image(layer(BASE, name="FROM"), layer([file("y2")], name="RUN"), layer([file("x2")], name="COPY"))
    assert pairs(diff(tmp_path, left, right))[1:] == [((1,), (2,), "no"), ((2,), (1,), "no")]
    nameless = diff(tmp_path, image(BASE, [file("x1")]), image(BASE, [file("x2")]))
    assert pairs(nameless)[1:] == [((1,), (1,), "no")]
    assert causes(nameless) == {"file-set": ["x1", "x2"]}


def test_layers_of_folders_alone_are_paired_by_them(tmp_path: Path) -> None:
    made = [folder("srv"), folder("srv/app")]
    comparison = diff(tmp_path, image(made, APP), image(touched(APP), touched(tuple(made))))
    assert pairs(comparison) == [((0,), (1,), "no"), ((1,), (0,), "no")]


def test_layers_that_are_there_twice_are_paired_one_by_one(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(APP, BASE, APP), image(APP, BASE))
    assert pairs(comparison) == [((0,), (0,), "stored"), ((1,), (1,), "stored"), ((2,), (), "no")]


def test_a_pair_is_labelled_by_its_positions_and_the_name_of_its_layer(tmp_path: Path) -> None:
    sides = [image(layer(BASE, name="debian 13"), layer([file("a", text)], name="x" * 500)) for text in ("1", "2")]
    comparison = diff(tmp_path, *sides)
    assert [pair.label for pair in comparison.images[0].layers] == ["0 debian 13", f"1 {'x' * 60}"]
    assert [each.layer for each in of(comparison, "a")] == [f"1 {'x' * 60}"]
