"""The cache finds what was made from equal inputs, survives damage, and is pruned by last use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagebuilder.cache import Cache
from layers.blobs import BlobStore
from layers.descriptor import LAYER_TAR
from layers.digest import Digest
from layers.errors import StorageError
from layers.layer import Layer

KEY = {"layer": {"wheels": ["a", "b"]}}


def remembered(cache: Cache, content: bytes, key: dict[str, object]) -> Layer:
    layer = Layer(cache.store.write(LAYER_TAR, [content]), Digest.of(content), "site-packages")
    cache.remember(key, layer)
    return layer


def test_what_was_made_from_equal_inputs_is_found_in_any_order_of_keys(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layer = remembered(cache, b"tar", {"a": 1, "b": 2})
    assert cache.find({"b": 2, "a": 1}) == layer
    assert cache.find({"b": 2, "a": 2}) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"descriptor":{},"diff_id":"x","created_by":"y"}'])
def test_a_damaged_record_is_no_record(tmp_path: Path, damage: bytes) -> None:
    cache = Cache(tmp_path)
    remembered(cache, b"tar", KEY)
    (record,) = (tmp_path / "results").iterdir()
    record.write_bytes(damage)
    assert cache.find(KEY) is None


def test_listings_are_kept_until_they_are_pruned(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.find_listing(KEY) is None
    cache.remember_listing(KEY, {"bin/tool": "3 abc"})
    assert cache.find_listing(KEY) == {"bin/tool": "3 abc"}
    assert cache.find_listing({"layer": "another"}) is None
    assert cache.prune(keep_bytes=1 << 20) > 0
    assert cache.find_listing(KEY) is None


def test_a_damaged_or_exchanged_listing_is_no_listing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.remember_listing(KEY, {"bin/tool": "3 abc"})
    cache.remember_listing({"x": 1}, {})
    kept = {path: path.read_bytes() for path in (tmp_path / "listings").iterdir()}
    for path, other in zip(kept, reversed(kept.values()), strict=True):
        path.write_bytes(other)
    assert [cache.find_listing(KEY), cache.find_listing({"x": 1})] == [None, None]
    for path, content in kept.items():
        path.write_bytes(content.replace(b"{", b"[", 1))
    assert [cache.find_listing(KEY), cache.find_listing({"x": 1})] == [None, None]


def test_a_record_whose_blob_is_gone_or_short_is_no_record(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    layer = remembered(cache, b"tar", KEY)
    path = cache.store.path(layer.descriptor.digest)
    path.chmod(0o644)
    path.write_bytes(b"ta")
    assert cache.find(KEY) is None
    path.unlink()
    assert cache.find(KEY) is None


def test_pruning_keeps_what_was_used_last_and_drops_partial_files(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    old, new = remembered(cache, b"old", KEY), remembered(cache, b"new", {"x": 1})
    for age, layer in ((100, old), (200, new)):
        os.utime(cache.store.path(layer.descriptor.digest), (age, age))
    (tmp_path / "blobs" / "sha256" / ".partial-1-1").write_bytes(b"left by a killed build")
    assert cache.prune(keep_bytes=3) == 3 + len(b"left by a killed build")
    assert (cache.find(KEY), cache.find({"x": 1})) == (None, new)
    assert cache.usage().results == 1
    assert cache.prune() == 3
    assert cache.usage().blobs == cache.usage().results == 0


def test_pruning_drops_what_killed_builds_unpacked_and_in_the_end_what_uv_keeps(tmp_path: Path) -> None:
    for name in ("scratch/1-0/file", "uv/cache/page"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"12345")
    assert Cache(tmp_path).prune(keep_bytes=100) == 5
    assert not (tmp_path / "scratch").exists() and (tmp_path / "uv").exists()
    assert Cache(tmp_path).prune() == 5
    assert not (tmp_path / "uv").exists()


def test_a_build_in_another_process_keeps_pruning_away(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from imagebuilder.cache import Cache\n"
    program += "with Cache(Path(sys.argv[1])).in_use():\n    print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        with Cache(tmp_path).in_use():
            pass
        with pytest.raises(StorageError) as caught:
            Cache(tmp_path).prune()
        assert caught.value.code == "IB610"
        holder.stdin.close()
    assert Cache(tmp_path).prune() == 0


def test_verify_names_and_removes_what_was_changed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    whole, damaged = remembered(cache, b"whole", KEY), remembered(cache, b"intact", {"x": 1})
    path = BlobStore(tmp_path).path(damaged.descriptor.digest)
    path.chmod(0o644)
    path.write_bytes(b"Intact")
    assert cache.verify() == (damaged.descriptor.digest.hex,)
    assert cache.find({"x": 1}) is None
    assert cache.find(KEY) == whole


def test_what_a_killed_build_left_is_no_damage(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    remembered(cache, b"whole", KEY)
    left = tmp_path / "blobs" / "sha256" / ".partial-1-1"
    left.write_bytes(b"half")
    assert cache.verify() == ()
    assert not left.exists()
