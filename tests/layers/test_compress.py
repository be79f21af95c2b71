"""layers.compress: the bytes of a blob depend on the tar alone."""

import gzip
import os
import zlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import compress, digest
from layers.compress import KEPT, Compression
from layers.digest import Digest
from layers.entry import Content, Deflated
from layers.errors import IntegrityError

ALL: tuple[Compression, ...] = ("gzip", "zstd", "none")
TAR = compress.known_bytes() * 80


def compressed(tar: Iterable[Content], compression: Compression = "gzip") -> tuple[bytes, Digest]:
    hasher = digest.sha256()
    blob = b"".join(compress.compress(tar, compression, hasher=hasher))
    return blob, Digest.from_hasher(hasher)


def decompress(blob: bytes, compression: Compression) -> bytes:
    if compression == "gzip":
        return gzip.decompress(blob)
    if compression == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(blob, read_across_frames=True).read()
    return blob


def kept(folder: Path, plain: bytes, name: str = "archive") -> tuple[Deflated, bytes]:
    compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
    raw = compressor.compress(plain) + compressor.flush()
    (folder / name).write_bytes(raw)
    return Deflated(folder / name, 0, len(raw), len(plain), zlib.crc32(plain)), raw


@pytest.mark.parametrize("compression", ALL)
def test_what_is_compressed_can_be_read_again(compression: Compression) -> None:
    blob, diff_id = compressed([TAR], compression)
    assert decompress(blob, compression) == TAR
    assert diff_id == Digest.of(TAR)
    assert compressed([], compression)[1] == Digest.of(b"")


@pytest.mark.parametrize(
    ("compression", "golden"),
    [
        ("gzip", "c2b7b76aad985274c35fa39929e42685ad767b4969261b3667c4c54cb158a67d"),
        ("zstd", "3d5f1c533bcc66c0c50e2fe9778b4d57ee7f8e5162af2fe1c1ad28d1d8e8cba9"),
    ],
)
def test_the_bytes_are_those_of_output_format_1(compression: Compression, golden: str) -> None:
    assert Digest.of(compressed([TAR], compression)[0]).hex == golden


@given(st.lists(st.integers(1, 3 << 20), max_size=6))
@settings(max_examples=15)
def test_the_size_of_writes_does_not_matter(cuts: list[int]) -> None:
    whole = TAR[: 3 << 20]
    edges = [0, *sorted(cuts), len(whole)]
    parts = [whole[start:end] for start, end in pairwise(edges)]
    assert compressed(parts) == compressed([whole])
    assert compressed(parts, "zstd") == compressed([whole], "zstd")


def test_a_large_member_of_a_wheel_keeps_its_stream(tmp_path: Path) -> None:
    plain = os.urandom(100_000) + bytes(KEPT)
    member, raw = kept(tmp_path, plain)
    blob, diff_id = compressed([b"header", member, b"padding"])
    assert raw in blob
    assert gzip.decompress(blob) == b"header" + plain + b"padding"
    assert diff_id == Digest.of(b"header" + plain + b"padding")
    assert blob.count(b"\x1f\x8b\x08\0\0\0\0\0\0\xff") == 3


def test_a_small_member_is_compressed_with_its_neighbours(tmp_path: Path) -> None:
    plain = TAR[: KEPT - 1]
    blob, _ = compressed([b"header", kept(tmp_path, plain)[0], b"padding"])
    assert blob == compressed([b"header" + plain + b"padding"])[0]


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_only_gzip_can_keep_streams(tmp_path: Path, compression: Compression) -> None:
    assert compressed([kept(tmp_path, TAR)[0]], compression) == compressed([TAR], compression)


def test_an_error_in_a_content_comes_through(tmp_path: Path) -> None:
    member, raw = kept(tmp_path, TAR)
    for content in (raw[:-1], raw[:1000] + b"x" + raw[1001:]):
        member.file.write_bytes(content)
        with pytest.raises(IntegrityError) as caught:
            compressed([b"header", member])
        assert caught.value.code == "IB513"


def test_a_compressor_that_gives_other_bytes_is_refused() -> None:
    other = replace(compress._FORMATS["gzip"], compress=lambda chunk: gzip.compress(chunk, mtime=0))
    with pytest.raises(IntegrityError, match="is not gzip-deflate") as caught:
        compress._prove(other)
    assert caught.value.code == "IB515"
    assert caught.value.details[1].startswith("got      sha256:")


@pytest.mark.parametrize("compression", ALL)
def test_a_compressor_has_a_name_with_all_that_its_bytes_depend_on(compression: Compression) -> None:
    assert compress.identify(compression).split("-")[0] == compression
    assert compress.media_type(compression).startswith("application/vnd.oci.image.layer.v1.tar")
