"""Which packages share a layer: the rule itself, and how little a change of the lock moves."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildpacks.grouping import SHARED_BYTES, Group, groups

MOST = 72
# Small ones and large ones, and some about the line between them.
SIZES = st.one_of(st.integers(0, 400_000), st.integers(SHARED_BYTES - 2, SHARED_BYTES + 2), st.integers(0, 9_000_000))
NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
Pins = Mapping[str, int]


def changed(before: Pins, after: Pins, most: int = MOST) -> tuple[set[Group], set[Group]]:
    """Return the groups that only one of two locks has, those before first."""
    old, new = set(groups(before, most=most)), set(groups(after, most=most))
    return old - new, new - old


def members(found: set[Group]) -> list[str]:
    return sorted(name for group in found if group.kind == "small" for name in group.members)


def test_few_small_packages_share_one_layer() -> None:
    (found,) = groups({"jinja2": 130_000, "flask": 100_000, "werkzeug": 225_000}, most=MOST)
    assert found == Group(("flask", "jinja2", "werkzeug"), "small")
    assert found.layer("site-packages") == "site-packages"
    assert groups({}, most=MOST) == ()


def test_groups_are_what_format_1_says() -> None:
    sizes = dict.fromkeys(["attrs", "boto3", "celery", "django", "idna", "jinja2", "kombu", "redis"], 300_000)
    found = groups({**sizes, "numpy": 16_000_000, "shop": 20}, most=MOST, built=["shop"])
    assert [(group.layer("site-packages"), group.members) for group in found] == [
        ("numpy", ("numpy",)),
        ("shop", ("shop",)),
        ("site-packages 0", ("attrs", "django", "redis")),
        ("site-packages 10", ("boto3", "kombu")),
        ("site-packages 11", ("celery", "idna", "jinja2")),
    ]
    assert [group.why for group in found[:3]] == [
        "large: at least 1,000,000 bytes",
        "built from source",
        "the hashes of their names begin with 0",
    ]


@given(st.dictionaries(NAMES, SIZES, max_size=40), NAMES, SIZES)
def test_a_package_that_comes_or_goes_changes_one_group_and_sends_less_than_a_megabyte_of_others(
    without: dict[str, int], name: str, size: int
) -> None:
    without.pop(name, None)
    with_it = {**without, name: size}
    old, new = changed(without, with_it)
    assert sorted([*members(old), *([name] if size < SHARED_BYTES else [])]) == members(new)
    assert len([group for group in old if group.kind == "small"]) <= 1
    for sent in (old, new):
        assert sum(with_it[each] for each in members(sent) if each != name) <= SHARED_BYTES


@given(st.dictionaries(NAMES, SIZES, max_size=40), NAMES, SIZES, SIZES)
def test_another_version_changes_the_groups_it_was_and_is_in(
    others: dict[str, int], name: str, before: int, after: int
) -> None:
    old, new = changed({**others, name: before}, {**others, name: after})
    unmoved = {group for group in groups({**others, name: after}, most=MOST) if name not in group.members} - new
    assert all(name not in group.members for group in unmoved)
    assert sum(others.get(each, 0) for each in members(new) if each != name) <= SHARED_BYTES
    if old or new:
        assert name in {each for group in old | new for each in group.members}


@given(st.dictionaries(NAMES, SIZES, max_size=120), st.integers(4, 40), st.randoms(use_true_random=False))
def test_every_package_is_in_one_of_a_bounded_number_of_layers_whatever_the_order(
    sizes: dict[str, int], most: int, chance: random.Random
) -> None:
    found = groups(sizes, most=most)
    assert len(found) <= most
    assert sorted(name for group in found for name in group.members) == sorted(sizes)
    assert len({group.layer("site-packages ") for group in found}) == len(found)
    shuffled = list(sizes.items())
    chance.shuffle(shuffled)
    assert groups(dict(shuffled), most=most) == found


@pytest.mark.parametrize(("size", "kind"), [(SHARED_BYTES - 1, "small"), (SHARED_BYTES, "large")])
def test_a_package_that_crosses_the_line_leaves_its_group_or_joins_it(size: int, kind: str) -> None:
    others = {f"p{number}": 50_000 for number in range(10)}
    found = {name: group for group in groups({**others, "crossing": size}, most=MOST) for name in group.members}
    assert found["crossing"].kind == kind
    assert found["crossing"].members == ("crossing",) or kind == "small"


def test_of_too_many_large_packages_the_smallest_are_grouped() -> None:
    sizes = {f"p{number:03}": SHARED_BYTES + number for number in range(100)}
    found = groups({**sizes, "built": 1}, most=40, built=["built"])
    assert len(found) == 40
    assert [group.members[0] for group in found if group.kind != "small"] == [
        "built",
        *(f"p{number:03}" for number in range(71, 100)),
    ]


def test_beyond_the_limit_a_change_still_moves_few_groups() -> None:
    chance = random.Random(190)
    sizes = {f"package-{number}": int(chance.lognormvariate(11.5, 2)) for number in range(600)}
    assert len(groups(sizes, most=MOST)) == MOST
    moved = []
    for name in chance.sample(sorted(sizes), 200):
        old, new = changed(sizes, {key: size for key, size in sizes.items() if key != name})
        moved.append(max(len(old), len(new)))
    assert sum(moved) / len(moved) < 2.5
    assert max(moved) <= 5
