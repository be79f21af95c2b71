"""layers.content: what is read is what was promised, to the byte, or an error."""

import hashlib
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from layers.content import Reader, stamp
from layers.entry import Checksum, Content, Deflated, SourceFile, Stored
from layers.errors import IntegrityError, StorageError

PLAIN = b"some text, again and again " * 1000


def read(content: Content) -> bytes:
    reader = Reader()
    try:
        return b"".join(reader.read(content))
    finally:
        reader.close()


def checksum(content: bytes, algorithm: str = "sha256") -> Checksum:
    return Checksum(algorithm, hashlib.new(algorithm, content).digest())


def deflated(folder: Path, plain: bytes = PLAIN, *, level: int = 6) -> Deflated:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    raw = compressor.compress(plain) + compressor.flush()
    path = folder / "archive"
    path.write_bytes(b"before" + raw + b"after")
    return Deflated(path, 6, len(raw), len(plain), zlib.crc32(plain), checksum(plain), name="a.py")


@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, os.urandom(700_000), bytes(5 << 20)], ids=len)
@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_deflate_stream_is_inflated_and_its_own_bytes_are_handed_on(tmp_path: Path, plain: bytes, level: int) -> None:
    content = deflated(tmp_path, plain, level=level)
    assert read(content) == plain
    pairs = list(Reader().inflate(content))
    assert b"".join(raw for raw, _ in pairs) == content.file.read_bytes()[6:-5]
    assert max(len(chunk) for _, chunk in pairs) <= 1 << 20


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"size": len(PLAIN) + 1}, "where 27001 were promised"),
        ({"size": len(PLAIN) - 1}, "more than the promised"),
        ({"size": 0}, "more than the promised"),
        ({"crc32": 1}, "CRC-32"),
        ({"checksum": checksum(b"other")}, "sha256"),
        ({"checksum": checksum(b"other", "sha512")}, "sha512"),
        ({"offset": 7}, "damaged"),
    ],
)
def test_a_stream_that_is_not_what_was_promised_is_refused(tmp_path: Path, change: dict[str, int], what: str) -> None:
    with pytest.raises(IntegrityError, match=what) as caught:
        read(replace(deflated(tmp_path), **change))  # type: ignore[arg-type]  # values of several types
    assert caught.value.code == "IB513"
    assert "a.py in archive" in caught.value.message


@pytest.mark.parametrize("longer", [1, -1, 5, 100])
def test_a_stream_ends_exactly_where_the_archive_says(tmp_path: Path, longer: int) -> None:
    content = deflated(tmp_path)
    with pytest.raises(IntegrityError, match="do not end where they should"):
        read(replace(content, compressed_size=content.compressed_size + longer))


def test_a_stream_cannot_hide_bytes_behind_what_looks_like_its_end(tmp_path: Path) -> None:
    content = deflated(tmp_path)
    raw = content.file.read_bytes()[6:-5]
    raw += struct.pack("<LL", content.crc32, content.size) + b"hidden"
    content.file.write_bytes(raw)
    with pytest.raises(IntegrityError, match="do not end where they should"):
        read(replace(content, offset=0, compressed_size=len(raw)))


@pytest.mark.parametrize("size", [(1 << 20) + 1, 5 << 20, (8 << 20) + 1])
def test_a_large_content_is_read_while_another_one_is(tmp_path: Path, size: int) -> None:
    plain = PLAIN * (size // len(PLAIN) + 1)
    content = deflated(tmp_path, plain)
    first = iter(Reader().read(content))
    begun = next(first)
    assert read(content) == plain
    assert begun + b"".join(first) == plain


def test_a_large_content_that_is_given_up_is_in_nobodys_way(tmp_path: Path) -> None:
    content = deflated(tmp_path, bytes(3 << 20))
    reading = iter(Reader().inflate(content))
    next(reading)
    del reading
    assert len(list(Reader().inflate(content))) == 3


def test_a_stream_without_its_last_block_is_refused(tmp_path: Path) -> None:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    raw = compressor.compress(PLAIN) + compressor.flush(zlib.Z_SYNC_FLUSH)
    (tmp_path / "archive").write_bytes(raw)
    with pytest.raises(IntegrityError, match="do not end"):
        read(Deflated(tmp_path / "archive", 0, len(raw), len(PLAIN), zlib.crc32(PLAIN)))


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    bomb = replace(deflated(tmp_path, bytes(64 << 20)), size=100)
    seen = 0
    with pytest.raises(IntegrityError, match="more than the promised 100 bytes"):
        for chunk in Reader().read(bomb):
            seen += len(chunk)
    assert seen == 0


def test_plain_bytes_of_an_archive_are_checked(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"before" + PLAIN)
    content = Stored(tmp_path / "archive", 6, len(PLAIN), zlib.crc32(PLAIN), checksum(PLAIN))
    assert read(content) == PLAIN
    assert read(Stored(tmp_path / "archive", 0, 6)) == b"before"
    for wrong in (replace(content, crc32=0), replace(content, checksum=checksum(b"")), replace(content, size=10**6)):
        with pytest.raises(IntegrityError) as caught:
            read(wrong)
        assert caught.value.code == "IB513"


def test_contents_of_several_archives_can_be_read_in_turns(tmp_path: Path) -> None:
    plain = [os.urandom(700_000), os.urandom(700_000)]
    for number, content in enumerate(plain):
        (tmp_path / str(number)).write_bytes(content)
    reader = Reader()
    turns = zip(*(reader.read(Stored(tmp_path / str(number), 0, 700_000)) for number in (0, 1)), strict=True)
    assert [b"".join(chunks) for chunks in zip(*turns, strict=True)] == plain


def test_a_weak_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="md5") as caught:
        read(replace(deflated(tmp_path), checksum=checksum(PLAIN, "md5")))
    assert caught.value.code == "IB513"


def source(path: Path, content: bytes = b"content") -> SourceFile:
    path.write_bytes(content)
    return SourceFile(path.parent, path.name, len(content), stamp(path.stat()))


def test_a_source_file_is_read_in_chunks(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    listed = source(tmp_path / "a", content)
    chunks = list(Reader().read(listed))
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) <= 1 << 20
    assert read(source(tmp_path / "empty", b"")) == b""


def test_a_source_file_that_changed_since_it_was_listed_is_an_error(tmp_path: Path) -> None:
    listed = source(tmp_path / "a")
    os.utime(listed.path, ns=(1, 1))
    with pytest.raises(StorageError, match="changed while it was read") as caught:
        read(listed)
    assert caught.value.code == "IB602"


def test_a_source_file_that_grows_or_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    for size in (0, 1 << 20, 5 << 20):
        listed = source(tmp_path / "a", bytes(3 << 20))
        chunks = Reader().read(listed)
        next(chunks)
        os.truncate(listed.path, size)
        with pytest.raises(StorageError, match="changed while it was read"):
            list(chunks)


def test_a_source_file_that_became_a_link_a_pipe_or_nothing_is_an_error(tmp_path: Path) -> None:
    for change in (lambda path: path.symlink_to("b"), os.mkfifo, lambda path: None):
        listed = source(tmp_path / "a")
        listed.path.rename(tmp_path / "b")
        change(listed.path)
        with pytest.raises(StorageError, match="cannot read") as caught:
            read(listed)
        assert caught.value.code == "IB602"
        listed.path.unlink(missing_ok=True)
