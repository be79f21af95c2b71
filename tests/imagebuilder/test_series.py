"""A layer that is made again is copied where it has not changed; whatever the cache holds, its bytes are the same."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from buildpacks.api import LayerSpec
from imagebuilder.cache import Cache
from imagebuilder.make import Workshop
from imagebuilder.progress import Progress
from imagebuilder.series import write_layer
from layers import entry, layer
from layers.chunks import Chunk, Chunks
from layers.compress import Compression
from layers.entry import Entry

MIB = 1 << 20
noise = random.Random(0)
FIRST = [entry.file(f"app/{name}", noise.randbytes(1 << 10) * 2048) for name in "abcd"]
CHANGED = [*FIRST[:3], entry.file("app/d", noise.randbytes(1 << 10) * 2048)]
ALL = 9


class Counted:
    """How many chunks were compressed with a cache since the last question."""

    def __init__(self) -> None:
        self.chunks = 0

    def __call__(self) -> int:
        counted, self.chunks = self.chunks, 0
        return counted


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> Counted:
    count, compress = Counted(), Chunks.compress

    def counted(self: Chunks, plain: bytes, anew: Callable[[bytes], bytes]) -> tuple[bytes, Chunk]:
        def once(chunk: bytes) -> bytes:
            count.chunks += 1
            return anew(chunk)

        return compress(self, plain, once)

    monkeypatch.setattr(Chunks, "compress", counted)
    return count


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    found = Cache(tmp_path / "cache")
    with found.in_use():
        return found


def write(
    cache: Cache,
    entries: Iterable[Entry],
    *,
    folder: str = "/app",
    name: str = "application",
    compression: Compression = "gzip",
) -> None:
    """Write a layer, and see that it is the one that a build without a cache writes."""
    made = write_layer(cache, entries, folder=folder, created_by=name, compression=compression)
    content = cache.store.read(made.descriptor.digest, limit=100 * MIB)
    cache.store.path(made.descriptor.digest).unlink()
    assert layer.write_layer(cache.store, entries, created_by=name, compression=compression) == made
    assert cache.store.read(made.descriptor.digest, limit=100 * MIB) == content


def records(cache: Cache) -> list[Path]:
    return sorted((cache.root / "chunks").iterdir())


def test_of_a_layer_that_is_made_again_only_what_is_new_is_compressed(cache: Cache, compressed: Counted) -> None:
    write(cache, FIRST)
    assert compressed() == ALL
    write(cache, FIRST)
    assert compressed() == 0
    write(cache, CHANGED)
    assert compressed() == 3
    write(cache, CHANGED)
    assert compressed() == 0
    assert len(records(cache)) == 1


def test_layers_of_other_folders_names_and_compressors_are_not_looked_at(cache: Cache, compressed: Counted) -> None:
    write(cache, FIRST)
    compressed()
    write(cache, FIRST, folder="/other")
    write(cache, FIRST, name="application files 1")
    write(cache, FIRST, compression="zstd")
    assert compressed() == 2 * ALL + 3
    write(cache, FIRST)
    assert compressed() == 0


def test_nothing_is_kept_of_a_layer_of_one_chunk_or_of_no_folder(cache: Cache) -> None:
    write(cache, [entry.file("app/small", b"small")])
    write(cache, FIRST, folder="")
    assert not (cache.root / "chunks").exists()


def test_a_damaged_or_exchanged_record_only_costs_time(cache: Cache, compressed: Counted) -> None:
    write(cache, CHANGED, folder="/other")
    (other,) = records(cache)
    content = other.read_bytes()
    write(cache, FIRST)
    (record,) = set(records(cache)) - {other}
    good = record.read_bytes()
    for bad in (b"", content, good[:-1], good.replace(b"sha256", b"sha255", 3), b"[]"):
        compressed()
        record.write_bytes(bad)
        write(cache, FIRST)
        assert compressed() == ALL
        assert record.read_bytes() == good


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * MIB])
def test_a_damaged_blob_is_not_copied(cache: Cache, compressed: Counted, damage: bytes) -> None:
    before = write_layer(cache, FIRST, folder="/app", created_by="application", compression="none")
    path = cache.store.path(before.descriptor.digest)
    path.chmod(0o644)
    path.write_bytes(damage)
    compressed()
    write(cache, FIRST, compression="none")
    assert compressed() == ALL


def test_a_blob_that_is_gone_and_a_cache_that_was_pruned_only_cost_time(cache: Cache, compressed: Counted) -> None:
    made = write_layer(cache, FIRST, folder="/app", created_by="application", compression="gzip")
    cache.store.path(made.descriptor.digest).unlink()
    compressed()
    write(cache, FIRST)
    assert compressed() == ALL
    cache.prune(keep_bytes=1 << 30)
    assert not (cache.root / "chunks").exists()
    write(cache, CHANGED)
    assert compressed() == ALL


def test_layers_of_a_folder_are_written_with_the_cache_unless_none_is_to_be_used(
    cache: Cache, compressed: Counted
) -> None:
    workshop = Workshop(cache, lambda _sources, *_arrived: {}, "gzip", 1)

    def make(workshop: Workshop, entries: list[Entry]) -> str:
        spec = LayerSpec("application", {}, lambda _files: entries, local="/app")
        return workshop.make([spec], Progress())[0].layer.descriptor.digest.value

    make(workshop, FIRST)
    assert compressed() == ALL
    digest = make(workshop, CHANGED)
    assert compressed() == 3
    kept = [path.read_bytes() for path in records(cache)]
    make(replace(workshop, use_cache=False), FIRST)
    assert make(replace(workshop, use_cache=False), CHANGED) == digest
    assert compressed() == 0, "nothing was asked"
    assert [path.read_bytes() for path in records(cache)] == kept
