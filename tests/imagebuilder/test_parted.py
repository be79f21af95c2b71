"""Which files of a large application share a layer: the rule itself, and how little a change of a file moves."""

import random
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from imagebuilder import parted
from layers import entry
from layers.digest import Digest
from layers.entry import Entry, SourceFile

SHARED = 1000
AT = "workspace"
# Sizes that are small, about the line above which a file is alone, and large.
SIZES = st.one_of(st.integers(0, 400), st.integers(SHARED - 2, SHARED + 2), st.integers(0, 9000))
PATHS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)


def files(most: int) -> st.SearchStrategy[dict[str, int]]:
    """Make files that are always too large for one layer."""
    found = st.dictionaries(PATHS, SIZES, max_size=most)
    return found.map(lambda sizes: {**sizes, "LARGE": SHARED, "LARGER": SHARED + 1})


# With one more these are never more than there may be layers of single files.
FEW = files(15)


def entries(sizes: Mapping[str, int]) -> tuple[Entry, ...]:
    """List an application: files in folders, with each folder, and a link beside them."""
    files = [
        entry.file(f"{AT}/{path}", SourceFile(Path("/app"), path, size, (1, 2, size, 4, 5)))
        for path, size in sizes.items()
    ]
    folders = {str(parent) for each in files for parent in PurePosixPath(each.path).parents if len(parent.parts) > 1}
    found = [*files, *map(entry.directory, folders), entry.symlink(f"{AT}/LINK", "LARGE")]
    return tuple(sorted(found, key=lambda one: one.path_bytes))


def parts(sizes: Mapping[str, int], shared: int = SHARED) -> dict[str, list[str]]:
    """Return the names of the layers and the paths that are in them."""
    found = parted.parts(entries(sizes), at=AT, shared=shared)
    named = {part.name: [each.path.removeprefix(f"{AT}/") for each in part.entries] for part in found}
    assert len(named) == len(found)
    return named


def changed(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[list[set[str]], list[set[str]]]:
    """Return what is in the layers that only one of two applications has."""
    old, new = ({frozenset(paths) for paths in parts(sizes).values()} for sizes in (before, after))
    return [set(each) for each in old - new], [set(each) for each in new - old]


def test_up_to_64_mib_it_is_one_layer() -> None:
    sizes = {"main.py": 100, "data/large.bin": (64 << 20) - 100}
    assert parts(sizes, parted.SHARED_BYTES) == {"application": ["LINK", "data", "data/large.bin", "main.py"]}
    assert list(parts({**sizes, "main.py": 101}, parted.SHARED_BYTES)) == [
        "application folders",
        "application files 0",
        "application files 1",
    ]


def test_parts_are_what_format_1_says() -> None:
    sizes = dict.fromkeys(["a.py", "b.py", "shop/c.py", "shop/d.py", "shop/e.py", "f", "g", "h"], 300)
    assert parts({**sizes, "files 0": 5000, "weights/model.bin": 1000, "empty": 0}) == {
        "application folders": ["LINK", "shop", "weights"],
        "application ./files 0": ["files 0"],
        "application ./weights/model.bin": ["weights/model.bin"],
        "application files 0": ["b.py", "empty", "f", "shop/e.py"],
        "application files 10": ["h", "shop/d.py"],
        "application files 11": ["a.py", "g", "shop/c.py"],
    }
    assert parts({"a.py": 1, "weights/model.bin": 1000}) == {
        "application folders": ["LINK", "weights"],
        "application ./weights/model.bin": ["weights/model.bin"],
        "application files": ["a.py"],
    }


def test_the_hash_is_of_the_path_in_the_application() -> None:
    paths = [f"shop/part{number}.py" for number in range(30)]
    found = parts(dict.fromkeys(paths, 100))
    for name, members in found.items():
        bits = name.removeprefix("application files").strip()
        for path in members if name != "application folders" else ():
            assert f"{int(Digest.of(path.encode()).hex, 16):0256b}".startswith(bits)


def test_no_part_is_called_as_the_whole_and_all_are_known_as_parts() -> None:
    found = parts({"a": 900, "b": 900, "big": 2000, " \udcff\n": 1000})
    assert "application" not in found
    assert "application ./ \\xff\n" in found
    assert all(map(parted.is_part, [*found, parted.NAME]))
    assert not any(map(parted.is_part, ["applications", "site-packages 01", "collectstatic"]))


@given(files(60), st.randoms(use_true_random=False))
def test_everything_is_in_one_of_a_bounded_number_of_layers_in_whatever_order_it_was_listed(
    sizes: dict[str, int], chance: random.Random
) -> None:
    listed = entries(sizes)
    found = parted.parts(listed, at=AT, shared=SHARED)
    assert len(found) <= parted.MOST_LAYERS
    assert sorted((each for part in found for each in part.entries), key=lambda one: one.path_bytes) == [*listed]
    shuffled = list(listed)
    chance.shuffle(shuffled)
    other = parted.parts(shuffled, at=AT, shared=SHARED)
    assert [(part.name, {*part.entries}) for part in other] == [(part.name, {*part.entries}) for part in found]


@given(FEW, PATHS, SIZES)
def test_a_file_that_comes_or_goes_changes_its_own_part_alone(without: dict[str, int], path: str, size: int) -> None:
    without.pop(path, None)
    old, new = changed(without, {**without, path: size})
    assert {path}.union(*old) == set().union(*new)
    assert len(old) <= 1
    for sent in (*old, set().union(*new)):
        assert sum(without[each] for each in sent if each != path) <= SHARED


@given(FEW, PATHS, SIZES, SIZES)
def test_a_file_of_another_size_changes_the_parts_it_was_and_is_in(
    others: dict[str, int], path: str, before: int, after: int
) -> None:
    old, new = changed({**others, path: before}, {**others, path: after})
    assert set().union(*old) == set().union(*new)
    assert sum(others[each] for each in set().union(*new) if each != path) <= SHARED


def test_with_no_layer_left_a_change_still_moves_few_parts() -> None:
    chance = random.Random(208)
    sizes = {f"file{number}": chance.randrange(2 * SHARED // 10) for number in range(2000)}
    assert len(parts(sizes)) == parted.MOST_LAYERS
    moved = []
    for path in chance.sample(sorted(sizes), 50):
        old, new = changed(sizes, {key: size for key, size in sizes.items() if key != path})
        moved.append(max(len(old), len(new)))
    assert sum(moved) / len(moved) < 2
    assert max(moved) <= 3
