"""The part of YAML that package managers write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildpacks.yaml import parse

ENVIRONMENT = """\
# an environment
name: shop
channels:
  - conda-forge   # first
  - "https://conda.example.com/t/${TOKEN}/private"
dependencies:
- python=3.10
- numpy >=1.26,<3   # a comment
- conda-forge::blas=*=openblas
- 'scipy[version=">1",build=py*]'
- pip:
    - flask>=3
    - "-r extra.txt"
variables:
  EMPTY:
  DEBUG: "1"
  URL: http://localhost:8000/#top
"""


def test_an_environment_is_read() -> None:
    assert parse(ENVIRONMENT) == {
        "name": "shop",
        "channels": ["conda-forge", "https://conda.example.com/t/${TOKEN}/private"],
        "dependencies": [
            "python=3.10",
            "numpy >=1.26,<3",
            "conda-forge::blas=*=openblas",
            'scipy[version=">1",build=py*]',
            {"pip": ["flask>=3", "-r extra.txt"]},
        ],
        "variables": {"EMPTY": None, "DEBUG": "1", "URL": "http://localhost:8000/#top"},
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None),
        ("---\na: 1", {"a": "1"}),
        ("a: {}\nb: []\nc: ~", {"a": {}, "b": [], "c": None}),
        ("a: {linux-64: abc, 'x y': \"z\"}", {"a": {"linux-64": "abc", "x y": "z"}}),
        ("a: [x, 'y, z',]", {"a": ["x", "y, z"]}),
        ("a:\n- b: 1\n  c:\n  - d\n-\n  e: 2\n- ~", {"a": [{"b": "1", "c": ["d"]}, {"e": "2"}, None]}),
        ("- pip:\n  - x\n  - y", [{"pip": ["x", "y"]}]),
        ("- - x\n  - y\n- z", [["x", "y"], "z"]),
        ("a: one\n  two\n  three\nb: x", {"a": "one two three", "b": "x"}),
        ("a: 'it''s'\n\"b: c\": \"\\u00e9\\n\"", {"a": "it's", "b: c": "é\n"}),
        ("__glibc: '>=2.17,<3.0.a0'", {"__glibc": ">=2.17,<3.0.a0"}),
        ("plain", "plain"),
    ],
)
def test_what_is_written_is_understood(text: str, wanted: object) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("a: &x 1", "a: *x", "a: !tag 1", "a: |\n  text", "a: >\n  text", "%YAML 1.2", "a: 1\n---\nb: 2"),
        *("a: 1\n  b: 2", "a:\n  b: 1\n c: 2", "a: 1\na: 2", "- a\nb: 1", "a: [x", "a: [[x]]", "a: [x,,y]", "a: {x}"),
        *("a: 'x", 'a: "\\x"', "a: b: c", "a:\n\t- b", "- " * 60 + "x", "a: 1\n- b", "?a: 1\n: b"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d+ cannot be read"):
        parse(text)


SCALARS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12)


def written(value: object, indent: int = 0) -> str:
    """Write a document in blocks, with every text quoted."""
    space = " " * indent
    if isinstance(value, dict):
        return "".join(f"{space}{json.dumps(key)}:{below(item, indent)}" for key, item in value.items())
    if isinstance(value, list):
        return "".join(f"{space}-{below(item, indent)}" for item in value)
    return f"{space}{json.dumps(value)}\n"


def below(value: object, indent: int) -> str:
    if value in ({}, []):
        return f" {json.dumps(value)}\n"
    if isinstance(value, dict | list):
        return f"\n{written(value, indent + 2)}"
    return f" {json.dumps(value)}\n"


@given(
    st.recursive(
        SCALARS | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
        max_leaves=12,
    ).filter(bool)
)
def test_every_document_is_read_as_it_was_written(document: object) -> None:
    assert parse(written(document)) == document


@given(st.text("ab:-#'\"[]{},&*!|>?%@` \n\t~", max_size=40))
def test_whatever_a_file_holds_nothing_but_a_value_error_comes_of_it(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert "line" in str(error)
