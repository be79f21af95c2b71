"""Hex dumps, and where two contents part."""

import time

from hypothesis import given
from hypothesis import strategies as st

from reproducibility.contents import hexdump
from tests.reproducibility.pairs import content


@given(st.binary(), st.binary(), st.binary())
def test_the_first_differing_byte_is_found(same: bytes, left: bytes, right: bytes) -> None:
    left, right = same + left, same + right
    at = hexdump.first_difference(left, right)
    assert left[:at] == right[:at]
    assert left[at : at + 1] != right[at : at + 1] or left == right
    with content(left) as here, content(right) as there:
        assert hexdump.first_difference_of_files(here, there) == at
        assert hexdump.same(here, there) == (left == right)


def test_megabytes_are_compared_in_no_time() -> None:
    left = bytes(32 << 20)
    start = time.process_time()
    assert hexdump.first_difference(left, left[:-1] + b"x") == len(left) - 1
    assert time.process_time() - start < 1  # a twentieth of that on an idle machine


def test_chunks_do_not_hide_where_contents_part() -> None:
    left = bytes((1 << 20) + 5)
    with content(left) as here, content(left[:-2] + b"xx") as there:
        assert hexdump.first_difference_of_files(here, there) == (1 << 20) + 3


def test_the_rows_around_the_place_are_shown() -> None:
    left = bytes(range(256))
    right = left[:130] + b"\xff" + left[131:]
    with content(left) as here, content(right) as there:
        view = hexdump.view(here, there, 130)
    assert view.kind == "hex"
    assert len(view.lines) == 10
    assert view.lines[0].startswith(" 00000040  40 41 42")
    assert view.lines[0].endswith("4f  @ABCDEFGHIJKLMNO")
    assert view.lines[4] == "-00000080  80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f  ................"
    assert view.lines[5] == "+00000080  80 81 ff 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f  ................"


def test_the_end_of_the_shorter_side_is_shown() -> None:
    with content(b"same") as here, content(b"same, and more than a row") as there:
        view = hexdump.view(here, there, 4)
    assert [line[:10] for line in view.lines] == ["-00000000 ", "+00000000 ", "+00000010 "]
    assert view.lines[0].endswith("73 61 6d 65                                      same")
