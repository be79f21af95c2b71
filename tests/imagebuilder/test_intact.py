"""Blobs of a layout are hashed once, and again if anything happened to them."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagebuilder import layout
from imagebuilder.cache import Cache
from imagebuilder.intact import Intact
from layers.blobs import BlobStore
from layers.descriptor import Descriptor
from layers.digest import Digest
from tests import images


@dataclass(frozen=True)
class Counted(BlobStore):
    """A store that knows what was hashed."""

    hashed: list[Digest] = field(default_factory=list)

    def verify(self, blob: Digest) -> Path:
        self.hashed.append(blob)
        return super().verify(blob)


@dataclass(frozen=True)
class Place:
    """A layout with an image in it, written so long ago that times of files say something."""

    folder: Path
    cache: Cache
    blobs: tuple[Descriptor, ...]

    def look(self, cache: Cache | None = None) -> tuple[list[bool], set[Digest]]:
        """Ask for each blob as a build does; say which are whole, and what was hashed for that."""
        target = Counted(self.folder)
        intact = Intact(target, cache or self.cache)
        found = [intact.has(blob) for blob in self.blobs]
        intact.remember()
        return found, set(target.hashed)

    def path(self, blob: Descriptor) -> Path:
        return self.folder / "blobs" / "sha256" / blob.digest.hex


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = images.small(tmp_path / "store")
    layout.write_layout(made.image, made.store, tmp_path / "image", names=["1"])
    cache = Cache(tmp_path / "cache")
    cache.store.initialise()
    found = Place(tmp_path / "image", cache, tuple(made.image.blobs))
    newest = max(found.path(blob).stat().st_ctime for blob in found.blobs)
    while time.time() < newest + 0.05:
        time.sleep(0.01)
    return found


def test_what_was_hashed_and_whole_is_not_hashed_again(place: Place, tmp_path: Path) -> None:
    everything = {blob.digest for blob in place.blobs}
    assert place.look() == ([True] * len(place.blobs), everything)
    assert place.look() == ([True] * len(place.blobs), set())
    assert place.look(Cache(tmp_path / "another"))[1] == everything


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def put_another(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(b"\0" + content[1:])


@pytest.mark.parametrize("damage", [flip, put_another])
def test_a_blob_of_the_same_size_and_time_is_found_to_be_another(place: Place, damage: Callable[[Path], None]) -> None:
    place.look()
    blob, path = place.blobs[0], place.path(place.blobs[0])
    before = path.stat()
    damage(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert place.look() == ([False, *[True] * (len(place.blobs) - 1)], {blob.digest})
    assert place.look()[1] == {blob.digest}


def test_what_changed_a_moment_ago_is_hashed_again(place: Place) -> None:
    place.look()
    os.utime(place.path(place.blobs[0]))
    assert place.look() == ([True] * len(place.blobs), {place.blobs[0].digest})


def test_a_record_that_was_changed_is_no_record(place: Place) -> None:
    place.look()
    (record,) = (place.cache.root / "stamps").iterdir()
    record.write_bytes(record.read_bytes().replace(b"[", b"[ ", 1))
    assert place.look()[1] == {blob.digest for blob in place.blobs}


def test_a_cache_that_cannot_be_written_is_no_error(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found, hashed = place.look(Cache(tmp_path / "file"))
    assert all(found)
    assert len(hashed) == len(place.blobs)
