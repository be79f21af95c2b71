"""Reading layers back: what was compressed, by whomever, or an error; never a part."""

import gzip
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from layers import decompress
from layers.descriptor import LAYER_GZIP, LAYER_TAR, LAYER_ZSTD, Descriptor
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.layer import Layer
from tests import images

PLAIN = random.Random(7).randbytes(3 << 20) + bytes(5 << 20)


def layer(media_type: str, stored: bytes, plain: bytes = PLAIN) -> Layer:
    return Layer(Descriptor(media_type, Digest.of(stored), len(stored)), Digest.of(plain), "tests")


def cut(stored: bytes, size: int) -> Iterator[bytes]:
    return (stored[start : start + size] for start in range(0, len(stored), size))


def gzip_members() -> bytes:
    return b"".join(gzip.compress(PLAIN[start : start + 700_001], 1) for start in range(0, len(PLAIN), 700_001))


def zstd_frames() -> bytes:
    compressor = zstandard.ZstdCompressor()
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    return compressor.compress(PLAIN[:1000]) + skippable + compressor.compress(PLAIN[1000:])


@pytest.mark.parametrize("size", [997, 1 << 20])
@pytest.mark.parametrize(
    ("media_type", "stored"),
    [(LAYER_TAR, PLAIN), (LAYER_GZIP, gzip.compress(PLAIN)), (LAYER_GZIP, gzip_members()), (LAYER_ZSTD, zstd_frames())],
    ids=["tar", "gzip", "members", "frames"],
)
def test_a_layer_is_read_in_bounded_chunks(media_type: str, stored: bytes, size: int) -> None:
    chunks = list(decompress.tar(layer(media_type, stored), cut(stored, size)))
    assert b"".join(chunks) == PLAIN
    assert max(map(len, chunks)) <= 1 << 20


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_what_is_written_is_read(tmp_path: Path, compression) -> None:
    made = images.small(tmp_path, compression=compression)
    for one in made.image.layers:
        assert Digest.of(b"".join(decompress.tar(one, made.store.open(one.descriptor.digest)))) == one.diff_id


@pytest.mark.parametrize(
    ("media_type", "stored"),
    [
        (LAYER_GZIP, gzip.compress(PLAIN)[:-9]),
        (LAYER_GZIP, gzip.compress(PLAIN) + b"trailing"),
        (LAYER_GZIP, gzip.compress(PLAIN)[:-8] + bytes(8)),
        (LAYER_GZIP, b""),
        (LAYER_GZIP, PLAIN),
        (LAYER_ZSTD, zstd_frames()[:-1]),
        (LAYER_ZSTD, zstd_frames() + b"trailing"),
        (LAYER_ZSTD, b""),
        (LAYER_TAR, PLAIN[:-1]),
        ("application/vnd.oci.image.layer.v1.tar+xz", PLAIN),
    ],
)
def test_damaged_bytes_and_unknown_types_are_refused(media_type: str, stored: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        list(decompress.tar(layer(media_type, stored), cut(stored, 1 << 20)))
    assert caught.value.code == "IB656"


def test_a_window_that_needs_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stored = compressor.compress(PLAIN) + compressor.flush()
    with pytest.raises(IntegrityError, match="cannot read layer"):
        list(decompress.tar(layer(LAYER_ZSTD, stored), [stored]))


def test_the_last_chunk_is_kept_back_until_the_diff_id_is_right() -> None:
    wrong = replace(layer(LAYER_TAR, PLAIN), diff_id=Digest.of(b"other"))
    read = []
    with pytest.raises(IntegrityError, match="its tar is"):
        read.extend(decompress.tar(wrong, cut(PLAIN, 1 << 20)))
    assert len(read) == 7
