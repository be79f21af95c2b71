"""layers.canonical: equal documents are equal bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import canonical
from layers.canonical import Json
from layers.digest import Digest

DOCUMENTS: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(DOCUMENTS)
def test_what_is_written_is_read_back(document: Json) -> None:
    assert json.loads(canonical.encode(document)) == document


def test_the_order_of_keys_does_not_matter_and_there_are_no_spaces() -> None:
    assert canonical.encode({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    assert canonical.digest({"b": 1, "a": 2}) == canonical.digest({"a": 2, "b": 1}) == Digest.of(b'{"a":2,"b":1}')


def test_bytes_of_file_names_that_are_not_utf8_survive() -> None:
    assert canonical.encode("\udcff") == b'"\xff"'


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical.encode(float("nan"))
