"""Contents that somebody made to break explanations, and properties that hold for any."""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reproducibility.causes import CAUSES
from reproducibility.contents import alignment, text
from reproducibility.difference import Known
from reproducibility.explain import explain
from tests.reproducibility.pairs import content

PATHS = st.sampled_from(
    [
        "a", "a.py", "a.json", "a.toml", "a.pyc", "a.tar", "a.lock", "etc/shadow", "var/lib/dpkg/status", "bin/tool",
        "s/a.dist-info/RECORD", "s/a.dist-info/METADATA", "s/a.dist-info/direct_url.json", "var/log/a", "etc/hostname",
    ]
)  # fmt: skip
STARTS = st.sampled_from(
    [b"", b"{", b"[1,", b"#!", b"\x7fELF", b"PK\3\4", b"\x1f\x8b\x08", b"SQLite format 3\0", b"\x80\x04\x95"]
)  # fmt: skip
WORDS = st.sampled_from(
    [b"\n", b"\r\n", b"\0", b" ", b"/tmp/x", b"2026-01-05", b"10:00:00", b"a,b,1", b"Version: 1", b"1767607200",
     b"\xff\xfe", b"root:*:1:0:9:7:::", b"Package: a", b"HOME=", b'{"a":1}', b"'''exec' x", b"deadbeef01",
     b"Mon", b"\xc3"]
)  # fmt: skip
BODIES = st.one_of(st.binary(max_size=300), st.lists(WORDS, max_size=40).map(b"".join))
CONTENTS = st.tuples(STARTS, BODIES).map(b"".join)
KNOWN = Known({"path": ("/tmp/x",), "host": ("a",)}, {"path": ("/tmp/y",), "host": ("\udcff",)}, (0, 1), (2, 3))


@given(PATHS, CONTENTS, CONTENTS, st.sampled_from([Known(), KNOWN]))
def test_any_two_contents_are_explained_the_same_way_twice(path: str, left: bytes, right: bytes, known: Known) -> None:
    assume(left != right)
    with content(left) as here, content(right) as there:
        found = explain(path, here, there, known=known)
        assert found == explain(path, here, there, known=known)
    assert found
    assert all(one.cause in CAUSES for one in found)


@given(PATHS, CONTENTS, CONTENTS, st.sampled_from([Known(), KNOWN]))
def test_swapped_sides_have_the_same_causes(path: str, left: bytes, right: bytes, known: Known) -> None:
    assume(left != right)
    swapped = Known(known.right, known.left, known.right_times, known.left_times)
    with content(left) as here, content(right) as there:
        found = explain(path, here, there, known=known, views=False)
        mirrored = explain(path, there, here, known=swapped, views=False)
    assert [(one.cause, one.follows) for one in found] == [(one.cause, one.follows) for one in mirrored]


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b"d"])), st.lists(st.sampled_from([b"a", b"b", b"c", b"d"])))
def test_what_lies_between_differing_regions_is_equal(left: list[bytes], right: list[bytes]) -> None:
    start, right_start = 0, 0
    for region in [*alignment.align(left, right), alignment.Region(len(left), len(left), len(right), len(right))]:
        assert left[start : region.left] == right[right_start : region.right]
        start, right_start = region.left_end, region.right_end


@given(st.binary(), st.binary())
def test_the_common_end_is_as_long_as_it_can_be(left: bytes, right: bytes) -> None:
    same = alignment.common_end(left, right)
    assert left[len(left) - same :] == right[len(right) - same :]
    longer = same + 1
    assert longer > min(len(left), len(right)) or left[-longer:] != right[-longer:]


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_bytes_outside_of_differing_places_are_equal(left: bytes, right: bytes) -> None:
    size = min(len(left), len(right))
    patched = bytearray(left[:size])
    for region in alignment.differing_bytes(left[:size], right[:size]):
        patched[region.left : region.left_end] = right[region.right : region.right_end]
    assert patched == right[:size]


@given(
    st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\r\n", "e"])),
    st.lists(st.sampled_from(["a\n", "b\n", "c\n", "e"])),
)
def test_a_unified_diff_makes_the_one_text_into_the_other(left: list[str], right: list[str]) -> None:
    here, there = "".join(left).encode(), "".join(right).encode()
    marks = {" ": (True, True), "-": (True, False), "+": (False, True), "@": (False, False)}
    lines = text.view(here, there).lines
    for side, whole in enumerate((here, there)):
        shown = "\n".join(line[1:].rstrip("\r") for line in lines if marks[line[0]][side])
        assert shown in whole.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("path", "left", "right"),
    [
        ("a.json", b"[" * 200_000, b"[" * 200_001),
        ("a.json", b'{"a":' * 500 + b"1" + b"}" * 500, b'{"a":' * 500 + b"2" + b"}" * 500),
        ("a.json", b"[" + b"9" * 5000 + b"]", b"[" + b"8" * 5000 + b"]"),
        ("a.toml", b"a = " + b"[" * 5000, b"a = " + b"[" * 5001),
        ("a.txt", b"a\nb\n" * 250_000, b"b\na\n" * 250_000 + b"c"),
        ("a.txt", b"x y " * 250_000, b"y x " * 250_000 + b"z"),
        ("a.txt", b"2026-" * 200_000, b"2027-" * 200_000),
        ("a.txt", b"/a" * 400_000, b"/b" * 400_000),
        ("a.txt", b"1," * 400_000, b"2," * 400_000),
        ("a.txt", b"A_" * 400_000, b"B_" * 400_000),
        ("a.txt", b"A_" * 800_000 + b"1", b"A_" * 800_000 + b"2"),
        ("a.bin", b"\0" * 1_000_000, b"\1" * 1_000_001),
        ("a.bin", b"ab\0" * 300_000, b"ba\0" * 300_000),
        ("s/a.dist-info/RECORD", b"a,b,1\n" * 150_000, b"a,c,1\n" * 150_000),
        ("var/lib/dpkg/status", b"Package: a\n" * 90_000, b"Version: a\n" * 90_000),
        ("bin/x", b"#!a\n" + b"'''exec' " * 90_000, b"#!b\n" + b"'''exec' " * 90_000),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else value,
)  # fmt: skip
def test_a_megabyte_of_anything_takes_no_more_than_seconds(path: str, left: bytes, right: bytes) -> None:
    with content(left) as here, content(right) as there:
        started = time.process_time()
        assert explain(path, here, there, known=KNOWN)
        assert time.process_time() - started < 5
