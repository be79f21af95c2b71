"""The order of Debian's version numbers."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagebuilder.base import version

# Each is older than the next.
ORDER = [
    "0~~",
    "0~",
    "0",
    "0+",
    "1.0~rc1-1",
    "1.0-1~bpo12+1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u1",
    "1.0-1.1",
    "1.0-10",
    "1.0a-1",
    "1.0+dfsg-1",
    "1.0.1-1",
    "1.9-1",
    "1.10-1",
    "2026a-1",
    "2026c-0+deb13u1",
    "1:0.1-1",
    "10:0.1",
]


OLDEST_LAST = [*reversed(ORDER)]


def test_versions_have_the_order_of_the_policy() -> None:
    assert sorted(OLDEST_LAST, key=version.key) == ORDER


@pytest.mark.parametrize(("one", "other"), [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.01", "1.1"), ("1.", "1.0")])
def test_what_is_left_out_counts_as_zero(one: str, other: str) -> None:
    assert version.key(one) == version.key(other)


@pytest.mark.parametrize(
    ("relation", "held"),
    [
        ("<<", [True, False, False]),
        ("<=", [True, True, False]),
        ("=", [False, True, False]),
        (">=", [False, True, True]),
        (">>", [False, False, True]),
    ],
)
def test_relations_are_those_of_dependencies(relation: str, held: list[bool]) -> None:
    assert [version.satisfies(found, relation, "1.0") for found in ("0.9", "1.0", "1.1")] == held


@pytest.mark.tools
@settings(max_examples=60)
@given(*[st.from_regex(r"([0-9]:)?[0-9][0-9a~+.]{0,5}(-[0-9a~+.]{1,4})?", fullmatch=True)] * 2)
def test_dpkg_orders_versions_the_same(one: str, other: str) -> None:
    dpkg = shutil.which("dpkg") or "dpkg"
    older = subprocess.run([dpkg, "--compare-versions", one, "lt", other], check=False).returncode == 0
    equal = subprocess.run([dpkg, "--compare-versions", one, "eq", other], check=False).returncode == 0
    assert (version.key(one) < version.key(other), version.key(one) == version.key(other)) == (older, equal)


@pytest.mark.parametrize(
    "text", ["\x161:2", "x:1", "1" * 5000, "1:" + "9" * 5000 + "-a", "", ":", "-", "99999999999:1"]
)
def test_any_text_has_a_place_in_the_order(text: str) -> None:
    assert version.satisfies(text, "=", text)
    assert version.satisfies(text, ">=", "1") != version.satisfies(text, "<<", "1")
