"""layers.blobs: a blob is there as a whole or not at all."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from layers import blobs
from layers.blobs import BlobStore
from layers.descriptor import CONFIG, LAYER_TAR
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, StorageError


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "blobs" / "sha256").iterdir())


def test_a_blob_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "new")
    blob = store.write(LAYER_TAR, [b"ab", memoryview(b"c"), b""])
    assert (blob.media_type, blob.digest, blob.size) == (LAYER_TAR, Digest.of(b"abc"), 3)
    assert store.read(blob.digest) == b"abc"
    assert store.has(blob.digest) and store.has(blob.digest, 3) and not store.has(blob.digest, 4)
    assert not store.has(Digest.of(b"other"))
    assert store.verify(blob.digest).stat().st_mode & 0o777 == 0o444
    assert names(store.root) == [blob.digest.hex]
    assert json.loads((store.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_small_and_large_chunks_are_written_in_their_order(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    small, large = b"abc" * 1000, bytes(range(256)) * 2000
    with store.writer() as blob:
        for chunk in (small, small, large, small, memoryview(large)):
            blob.write(chunk)
        assert blob.digest == Digest.of(small + small + large + small + large)
        blob.write(small)
        whole = blob.digest
    assert store.read(whole) == small + small + large + small + large + small


def test_a_document_is_stored_as_canonical_json(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert store.read(store.write_json(CONFIG, {"b": 1, "a": 2}).digest) == b'{"a":2,"b":1}'


def test_a_large_blob_is_read_in_chunks_and_refused_above_a_limit(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    content = bytes(range(256)) * 20_000
    blob = store.write(LAYER_TAR, [content])
    chunks = list(store.open(blob.digest))
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) <= 1 << 20
    with pytest.raises(IntegrityError, match="more than 100 bytes"):
        store.read(blob.digest, limit=100)


@pytest.mark.parametrize(("expected", "size"), [(Digest.of(b"abd"), None), (None, 2), (Digest.of(b"abc"), 4)])
def test_bytes_that_are_not_what_was_promised_leave_nothing(
    tmp_path: Path, expected: Digest | None, size: int | None
) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(IntegrityError) as caught, store.writer(expected, size) as blob:
        blob.write(b"abc")
    assert caught.value.code == "IB503"
    assert names(tmp_path) == []


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"abc"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BlobStore(tmp_path).write(LAYER_TAR, chunks())
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"abd", b"ab", b"abcd", b""])
def test_a_damaged_blob_is_found_before_its_last_chunk(tmp_path: Path, content: bytes) -> None:
    store = BlobStore(tmp_path)
    blob = store.write(LAYER_TAR, [b"abc"])
    store.path(blob.digest).unlink()
    store.path(blob.digest).write_bytes(content)
    seen = []
    with pytest.raises(IntegrityError, match="damaged") as caught:
        seen.extend(store.open(blob.digest))
    assert caught.value.code == "IB503"
    assert seen == []


def test_a_missing_blob_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        BlobStore(tmp_path).read(Digest.of(b""))
    assert caught.value.code == "IB601"
    assert "no such file" in caught.value.message


def test_writers_of_one_blob_do_not_disturb_each_other(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    content = [bytes([number]) * 1000 for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda _: store.write(LAYER_TAR, content), range(32)))
    assert {blob.digest for blob in written} == {written[0].digest}
    assert store.read(written[0].digest) == b"".join(content)
    assert names(tmp_path) == [written[0].digest.hex]


def test_a_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        BlobStore(tmp_path / "store").write(LAYER_TAR, [b""])
    assert caught.value.code == "IB601"


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(StorageError, match=f"{name}: it is no file") as caught:
            blobs.write_file(tmp_path / name, b"text")
        assert caught.value.code == "IB601"
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_the_file_behind_an_open_stream_is_not_replaced(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before")
        log.flush()
        for folder in ("/dev/fd", "/proc/self/fd"):
            with pytest.raises(StorageError, match="it is no file"):
                blobs.write_file(Path(folder) / str(log.fileno()), b"text")
    assert (tmp_path / "log").read_bytes() == b"before"


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    for text in (b"first", b"second"):
        blobs.write_file(tmp_path / "link", text)
        assert (tmp_path / "file").read_bytes() == text
    assert (tmp_path / "link").is_symlink()


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        blobs.write_file(tmp_path / "missing" / "file", b"text")
    assert caught.value.message == f"cannot use {tmp_path}/missing/file: no such file or folder"
    assert caught.value.hint.startswith("create its folder, or ")


def test_a_small_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        blobs.write_file(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.root
def test_a_full_disk_leaves_nothing_and_what_existed_is_kept(small_disk: Path) -> None:
    store = BlobStore(small_disk)
    kept = store.write(LAYER_TAR, [b"abc"])
    with pytest.raises(StorageError, match="the disk is full") as caught:
        store.write(LAYER_TAR, (bytes(65536) for _ in range(16)))
    assert caught.value.code == "IB601"
    assert names(small_disk) == [kept.digest.hex]
    assert store.read(kept.digest) == b"abc"


@pytest.mark.root
def test_a_disk_that_is_read_only_says_so(small_disk: Path) -> None:
    store = BlobStore(small_disk)
    kept = store.write(LAYER_TAR, [b"abc"])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(BuildError, match="read-only") as caught:
        store.write(LAYER_TAR, [b"abd"])
    assert caught.value.code == "IB601"
    assert store.read(kept.digest) == b"abc"
