"""layers.chunks: what was compressed before changes how long a layer takes, and never its bytes."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import chunks, compress, digest
from layers.chunks import Chunk, Chunks
from layers.compress import KEPT, Compression
from layers.digest import Digest
from layers.entry import Content, Deflated

MIB = 1 << 20
ALL: tuple[Compression, ...] = ("gzip", "zstd", "none")


def text(number: int, size: int = MIB) -> bytes:
    """Return text of which no two numbers have a chunk in common."""
    line = b"%d is the number of this text\n" % number
    return (line * (size // len(line) + 1))[:size]


def write(tar: list[Content], known: Chunks | None, compression: Compression = "gzip") -> tuple[bytes, Digest]:
    hasher = digest.sha256()
    blob = b"".join(compress.compress(tar, compression, hasher=hasher, chunks=known))
    return blob, Digest.from_hasher(hasher)


def noted(folder: Path, tar: list[Content], compression: Compression = "gzip") -> tuple[Path, list[Chunk]]:
    """Write a blob; return where it is, and its chunks."""
    first = Chunks(folder, ())
    place = folder / "blob"
    place.unlink(missing_ok=True)
    place.write_bytes(write(tar, first, compression)[0])
    return place, first.made


class Counted(Chunks):
    """Chunks that count how many are compressed."""

    def __init__(self, blob: Path, known: list[Chunk]) -> None:
        super().__init__(blob, known)
        self.anew = 0

    def compress(self, plain: bytes, anew: Callable[[bytes], bytes]) -> tuple[bytes, Chunk]:
        def counted(chunk: bytes) -> bytes:
            self.anew += 1
            return anew(chunk)

        return super().compress(plain, counted)


@pytest.mark.parametrize("compression", ALL)
def test_only_chunks_that_are_new_are_compressed(tmp_path: Path, compression: Compression) -> None:
    size = 4 * MIB if compression == "zstd" else MIB
    place, known = noted(tmp_path, [text(number, size) for number in range(4)], compression)
    counted = Counted(place, known)
    changed: list[Content] = [text(0, size), text(9, size), text(2, size), text(3, size), b"end"]
    assert write(changed, counted, compression) == write(changed, None, compression)
    assert counted.anew == 2
    assert [chunk.plain for chunk in counted.made[::2]] == [known[0].plain, known[2].plain, Digest.of(b"end")]


def test_chunks_are_found_again_behind_streams_that_are_kept(tmp_path: Path) -> None:
    plain = os.urandom(KEPT)
    compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
    raw = compressor.compress(plain) + compressor.flush()
    (tmp_path / "archive").write_bytes(raw)
    member = Deflated(tmp_path / "archive", 0, len(raw), len(plain), zlib.crc32(plain))
    tar: list[Content] = [text(0), member, text(1), text(2)]
    place, known = noted(tmp_path, tar)
    assert len(known) == 3
    again = Counted(place, known)
    assert write(tar, again) == write(tar, None)
    assert again.anew == 0
    assert again.made == known


pieces = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2 * MIB)), max_size=5)


@given(pieces, pieces, st.sampled_from(ALL))
@settings(max_examples=25)
def test_the_bytes_are_those_of_a_layer_that_is_made_of_nothing_known(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[int, int]],
    after: list[tuple[int, int]],
    compression: Compression,
) -> None:
    place, known = noted(tmp_path_factory.mktemp("blob"), [text(*each) for each in before], compression)
    tar: list[Content] = [text(*each) for each in after]
    again = Chunks(place, known)
    written = write(tar, again, compression)
    assert written == write(tar, None, compression)
    for chunk in again.made:
        assert Digest.of(written[0][chunk.start : chunk.start + chunk.size]) == chunk.compressed


@pytest.mark.parametrize("damage", ["gone", "folder", "short", "other", "exchanged"])
def test_a_blob_that_is_not_what_it_was_only_costs_time(tmp_path: Path, damage: str) -> None:
    tar: list[Content] = [text(number) for number in range(3)]
    place, known = noted(tmp_path, tar)
    digests = [(chunk.plain, chunk.compressed) for chunk in known]
    content = place.read_bytes()
    if damage in ("gone", "folder"):
        place.unlink()
    if damage == "folder":
        place.mkdir()
    elif damage == "short":
        place.write_bytes(content[: known[1].start + 5])
    elif damage == "other":
        place.write_bytes(content[: known[1].start] + b"\0" + content[known[1].start + 1 :])
    elif damage == "exchanged":
        first, *others = known
        known = [Chunk(first.plain, first.compressed, each.start, each.size) for each in others]
    counted = Counted(place, known)
    assert write(tar, counted) == write(tar, None)
    assert counted.anew == {"gone": 3, "folder": 3, "short": 2, "other": 1, "exchanged": 3}[damage]
    assert [(chunk.plain, chunk.compressed) for chunk in counted.made] == digests


def test_what_is_known_of_a_layer_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(chunks, "MOST", 2)
    place, known = noted(tmp_path, [text(number) for number in range(5)])
    assert [chunk.plain for chunk in known] == [Digest.of(text(0)), Digest.of(text(1))]
    again = Counted(place, known)
    write([text(number) for number in range(5)], again)
    assert again.anew == 3
