"""Headers of gzip streams: their length and their fields."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproducibility import gzip_header

FIXED = b"\x1f\x8b\x08%c\x05\x00\x00\x00\x02\x03"
FULL = FIXED % 0x1E + b"\x03\x00abc" + b"name.tar\0" + b"a comment\0" + b"\x12\x34"


def test_all_fields_are_read() -> None:
    assert gzip_header.length(FULL + b"deflated") == len(FULL)
    assert gzip_header.fields(FULL) == {
        "flags": "0x1e", "mtime": "5", "extra flags": "2", "system": "3", "extra": "616263", "name": "name.tar",
        "comment": "a comment",
    }  # fmt: skip


def test_a_plain_header_has_ten_bytes() -> None:
    assert gzip_header.length(gzip.compress(b"x")) == 10


@pytest.mark.parametrize("end", range(len(FULL)))
def test_a_header_that_is_cut_has_no_length(end: int) -> None:
    assert gzip_header.length(FULL[:end]) == 0


@given(st.binary(max_size=40))
def test_any_bytes_have_a_header_or_none(rest: bytes) -> None:
    for stream in (rest, b"\x1f\x8b\x08" + rest):
        size = gzip_header.length(stream)
        assert 0 <= size <= len(stream)
        if size:
            assert gzip_header.fields(stream[:size])["flags"]
