"""Trees of marshalled objects."""

import marshal as stdlib
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reproducibility.contents import marshal
from reproducibility.contents.marshal import Objects

VERSION = (3, 11)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
    | st.just(...),
    lambda inner: st.tuples(inner, inner) | st.lists(inner) | st.dictionaries(st.text(), inner)
    | st.frozensets(st.text() | st.integers()),
)  # fmt: skip


def number(content: bytes, objects: Objects) -> int:
    tree = marshal.read(content, VERSION, objects)
    assert tree is not None
    return tree.root


@given(VALUES)
def test_every_value_is_read_and_is_itself_with_and_without_references(value: object) -> None:
    objects = Objects()
    assert number(stdlib.dumps(value), objects) == number(stdlib.dumps(value, 2), objects)


@given(VALUES, VALUES)
def test_different_values_have_different_numbers(left: object, right: object) -> None:
    objects = Objects()
    same = stdlib.dumps(left, 2) == stdlib.dumps(right, 2)
    if isinstance(left, frozenset | dict) or isinstance(right, frozenset | dict):
        same = left == right
    assert (number(stdlib.dumps(left), objects) == number(stdlib.dumps(right), objects)) == same


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b"\xfa\x01a", b"\xda\x01a"),
        (b"z\x01a", b"a\x01\x00\x00\x00a"),
        (b"z\x01a", b"u\x01\x00\x00\x00a"),
        (b")\x02\xfa\x01ar\x00\x00\x00\x00", b"(\x02\x00\x00\x00z\x01az\x01a"),
        (b">\x02\x00\x00\x00z\x01az\x01b", b">\x02\x00\x00\x00z\x01bz\x01a"),
        (b":z\x01aNN", b"\xbaz\x01aNN"),
        (b"}z\x01aN0", b"}\xfa\x01aN0"),
    ],
)
def test_how_an_object_is_written_does_not_matter(left: bytes, right: bytes) -> None:
    objects = Objects()
    assert number(left, objects) == number(right, objects)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"?",
        b"0",
        b"NN",
        b"i\x00\x00",
        b"(\xff\xff\xff\x7f",
        b"(\xff\xff\xff\xff",
        b"s\xff\xff\xff\xff",
        b"s\x05\x00\x00\x00ab",
        b"r\x00\x00\x00\x00",
        b"r\xff\xff\xff\xff",
        b"\xa9\x01r\x00\x00\x00\x00",
        b")\x01" * 500 + b"N",
        b"c" + bytes(20),
        b"{z\x01a",
    ],
)
def test_damaged_bytes_are_nothing(content: bytes) -> None:
    assert marshal.read(content, VERSION, Objects()) is None


def bomb(levels: int) -> bytes:
    """Return a tuple of two that are a tuple of two that … each written once and then referred to."""
    return (
        b"\xa9\x02" * levels
        + b"N"
        + b"N"
        + b"".join(b"r" + level.to_bytes(4, "little") for level in range(levels - 1, 0, -1))
    )


def nested_codes(count: int) -> bytes:
    """Return code objects that all share one large tuple of constants."""
    head = b"c" + bytes(20) + b"s\0\0\0\0"
    tail = b")\0" * 3 + b"z\x01fz\x01nz\x01n" + bytes(4) + b"s\0\0\0\0" * 2
    shared = b"\xa8" + (20_000).to_bytes(4, "little") + b"N" * 20_000
    inner = b"".join(
        head[:1] + place.to_bytes(4, "little") + head[5:] + (shared if place == 0 else b"r\0\0\0\0") + tail
        for place in range(count)
    )
    return head + b"(" + count.to_bytes(4, "little") + inner + tail


@pytest.mark.parametrize(
    ("content", "readable"),
    [
        (bomb(100), True),
        (nested_codes(10_000), True),
        (b"(" + (8 << 20).to_bytes(4, "little") + b"N" * (8 << 20), False),
        (b"[" * (8 << 20), False),
    ],
    ids=["references", "constants", "objects", "depth"],
)
def test_no_file_takes_long_or_much_memory(content: bytes, readable: bool) -> None:
    objects = Objects()
    tracemalloc.start()
    start = time.process_time()
    tree = marshal.read(content, VERSION, objects)
    if tree is not None:
        marshal.codes(tree, objects)
    took = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tree is not None) == readable
    assert took < 5  # tracemalloc alone makes it four times as long
    assert peak < 50 << 20


def test_code_objects_have_dotted_names() -> None:
    source = "class A:\n def f(self):\n  return [lambda: 1, lambda: 2]\ndef g(): pass"
    objects = Objects()
    code = compile(source, "a.py", "exec")
    tree = marshal.read(stdlib.dumps(code), VERSION, objects)
    assert tree is not None
    found = marshal.codes(tree, objects)
    assert list(found) == ["<module>", "A", "A.f", "A.f.<lambda>", "A.f.<lambda>#2", "g"]
    assert {objects.text(one.filename) for one in found.values()} == {"a.py"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [("ä", "'ä'"), (b"\0", "b'\\x00'"), (-5, "-5"), (0.5, "0.5"), (None, "None"), ((1, "a"), "(1, 'a')"),
     ((1, 2, 3, 4, 5), "tuple of 5"), (((),), "tuple of 1"), (1 << 90, "large int"), ([], "list of 0")],
)  # fmt: skip
def test_objects_are_shown_in_few_words(value: object, shown: str) -> None:
    objects = Objects()
    assert marshal.show(number(stdlib.dumps(value), objects), objects) == shown


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_no_bytes_are_an_error(content: bytes) -> None:
    objects = Objects()
    tree = marshal.read(content, VERSION, objects)
    if tree is not None:
        marshal.codes(tree, objects)
        marshal.show(tree.root, objects)
