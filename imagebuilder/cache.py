"""The cache: what was fetched and what was made before, shared by all builds of a user.

    CACHE/blobs/sha256/…   wheels, debs, layers and documents (the store)
    CACHE/results/…        the key of a layer's inputs -> the layer that came out of them; of a built wheel too
    CACHE/listings/…       a wheel, and where it is installed -> the paths and hashes of what it installs
    CACHE/chunks/…         a layer that is made again and again -> where its chunks lie in the one made last
    CACHE/stamps/…         a layout -> what the system said of its blobs when they were whole
    CACHE/roots/…          the key of packages -> their files, for commands of a build
    CACHE/answers/…        a command -> what it said, and what that rests on (see `imagebuilder.again`)
    CACHE/lock             held shared by builds, exclusively while something is deleted

A result counts only if its seal fits its key and its words, and its blob is there and has its size; bytes are hashed
again whenever they leave the cache.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import imagebuilder
from imagebuilder import again
from layers import canonical, scratch
from layers.blobs import PARTIAL, BlobStore, storage_error, write_file
from layers.canonical import Json
from layers.chunks import Chunk, Chunks
from layers.content import Stamp
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, StorageError
from layers.layer import Layer
from layers.values import dataclass

if TYPE_CHECKING:
    from layers.listing import Listing

# What stands before each record: a digest of its key and its words, and a line break.
_SEAL = len("sha256:") + 64 + 1
_STAMPS = "stamps"
_LISTINGS = "listings"
_CHUNKS = "chunks"
# What a prune deletes whatever is to be kept.
_SOON_AGAIN = ("scratch", "roots", _STAMPS, _LISTINGS, _CHUNKS, again.FOLDER)


@dataclass(frozen=True, slots=True)
class Usage:
    """How many files of the store there are and what they weigh in bytes."""

    blobs: int
    size: int
    results: int


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache folder. It is made, with its parents, when it is first used."""

    root: Path

    @property
    def store(self) -> BlobStore:
        """The content-addressed files."""
        return BlobStore(self.root)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep `prune` and `verify` away while a build reads and writes."""
        with self._locked(fcntl.LOCK_SH):
            yield

    def find(self, key: Mapping[str, Json]) -> Layer | None:
        """Return the layer made from these inputs before, or None. A damaged record is no record."""
        try:
            layer = _layer(_read(self._record(key)))
        except (OSError, ValueError, LookupError, TypeError, BuildError):
            return None
        return layer if self._used(layer.descriptor) else None

    def find_file(self, key: Mapping[str, Json]) -> Descriptor | None:
        """Return the file made from these inputs before, or None."""
        try:
            found = _descriptor(_read(self._record(key)))
        except (OSError, ValueError, LookupError, TypeError, BuildError):
            return None
        return found if self._used(found) else None

    def remember(self, key: Mapping[str, Json], layer: Layer) -> None:
        """Record what came out of these inputs."""
        self._write(
            self._record(key),
            {
                "created_by": layer.created_by,
                "descriptor": layer.descriptor.to_json(),
                "diff_id": layer.diff_id.value,
            },
        )

    def remember_file(self, key: Mapping[str, Json], file: Descriptor) -> None:
        """Record a file of the store that came out of these inputs."""
        self._write(self._record(key), {"descriptor": file.to_json()})

    def find_stamps(self, key: Mapping[str, Json]) -> dict[str, Stamp]:
        """Return what the system said of files when they were looked at last, by name; nothing if that is unknown."""
        try:
            said = _read(self._stamps(key))["stamps"]
            return {str(name): _stamp(stamp) for name, stamp in said.items()} if isinstance(said, dict) else {}
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def remember_stamps(self, key: Mapping[str, Json], stamps: Mapping[str, Stamp]) -> None:
        """Record what the system says of files."""
        self._write(self._stamps(key), {"stamps": stamps})

    def find_listing(self, key: Mapping[str, Json]) -> "Listing | None":
        """Return what a wheel installs, if that was found out before, or None. A damaged record is no record."""
        try:
            said = _read(self._listing(key))["listing"]
            return {str(path): str(words) for path, words in said.items()} if isinstance(said, dict) else None
        except (OSError, ValueError, LookupError):
            return None

    def remember_listing(self, key: Mapping[str, Json], listing: "Listing") -> None:
        """Record what a wheel installs."""
        self._write(self._listing(key), {"listing": listing})

    def find_chunks(self, key: Mapping[str, Json]) -> Chunks:
        """Return the chunks of the layer that was made last under this key; none if they are unknown."""
        try:
            said = _read(self._chunks(key))
            return Chunks(self.store.path(Digest(str(said["blob"]))), _noted(said["chunks"]))
        except (OSError, ValueError, LookupError, TypeError, BuildError):
            return Chunks(self.root, ())

    def remember_chunks(self, key: Mapping[str, Json], blob: Digest, chunks: Iterable[Chunk]) -> None:
        """Record where the chunks of a layer are."""
        noted: list[Json] = [[chunk.plain.value, chunk.compressed.value, chunk.start, chunk.size] for chunk in chunks]
        self._write(self._chunks(key), {"blob": blob.value, "chunks": noted})

    def usage(self) -> Usage:
        """Count what is there."""
        sizes = [path.stat().st_size for path in self._blobs()]
        return Usage(len(sizes), sum(sizes), len(_listed(self.root / "results")))

    def prune(self, keep_bytes: int = 0) -> int:
        """Delete what was used longest ago until at most `keep_bytes` are left; return the bytes freed.

        What killed builds left goes in any case, and what is soon made again: roots, stamps, listings, chunks, answers;
        what uv keeps goes if nothing is to be kept.
        Raises StorageError IB610 while a build uses the cache.
        """
        with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
            blobs = sorted(((path.stat().st_mtime_ns, path.name, path) for path in self._blobs()), reverse=True)
            kept = 0
            freed = sum(_remove(self.root / name) for name in (*_SOON_AGAIN, *(() if keep_bytes else ("uv",))))
            for _, name, path in blobs:
                size = path.stat().st_size
                if not name.startswith(PARTIAL) and kept + size <= keep_bytes:
                    kept += size
                else:
                    path.unlink()
                    freed += size
            for record in _listed(self.root / "results"):
                if keep_bytes == 0 or not self._complete(record):
                    record.unlink()
            return freed

    def verify(self) -> tuple[str, ...]:
        """Hash every blob; delete and return the names of those that are damaged.

        What a killed build was writing goes too, and is no damage.
        """
        damaged = []
        with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
            for path in self._blobs():
                if path.name.startswith(PARTIAL):
                    path.unlink()
                    continue
                try:
                    self.store.verify(Digest(f"sha256:{path.name}"))
                except IntegrityError:
                    path.unlink()
                    damaged.append(path.name)
        return tuple(damaged)

    def _used(self, blob: Descriptor) -> bool:
        """Say whether a blob is there; if it is, it will be among the last to be pruned."""
        if not self.store.has(blob.digest, blob.size):
            return False
        with suppress(OSError):
            os.utime(self.store.path(blob.digest))
        return True

    def _write(self, record: Path, result: Json) -> None:
        try:
            record.parent.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise storage_error(error, record) from error
        content = canonical.encode(result)
        write_file(record, _seal(record.name, content) + content, durable=False)  # its seal says if it is whole

    def _record(self, key: Mapping[str, Json]) -> Path:
        return self.root / "results" / canonical.digest(key).hex

    def _stamps(self, key: Mapping[str, Json]) -> Path:
        return self.root / _STAMPS / canonical.digest(key).hex

    def _listing(self, key: Mapping[str, Json]) -> Path:
        release = imagebuilder.__version__  # another one may install a wheel in another way
        return self.root / _LISTINGS / canonical.digest({"release": release, "listing": key}).hex

    def _chunks(self, key: Mapping[str, Json]) -> Path:
        return self.root / _CHUNKS / canonical.digest(key).hex

    def _complete(self, record: Path) -> bool:
        with suppress(OSError, ValueError, LookupError, TypeError, BuildError):
            blob = _descriptor(_read(record))
            return self.store.has(blob.digest, blob.size)
        return False

    def _blobs(self) -> list[Path]:
        return _listed(self.root / "blobs" / "sha256")

    @contextmanager
    def _locked(self, operation: int) -> Iterator[None]:
        self.store.initialise()
        _require_own(self.root)
        try:
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(error, self.root) from error
        try:
            _lock(descriptor, operation, self.root)
            yield
        finally:
            os.close(descriptor)


def _require_own(root: Path) -> None:
    """Refuse a cache that is another user's: blobs are hashed, but whose results they are is taken on trust."""
    if root.stat().st_uid != os.geteuid():
        raise StorageError(
            f"the cache {root} belongs to another user",
            hint="choose a folder of your own with --cache-dir or IMAGEBUILDER_CACHE_DIR, or become its owner",
            code="IB970",
        )


def _lock(descriptor: int, operation: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError as error:
        raise StorageError(
            f"the cache {root} is in use by a build", hint="wait until the build has ended and try again", code="IB610"
        ) from error


def _remove(folder: Path) -> int:
    with suppress(OSError):
        return scratch.delete(folder)
    return 0


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def blob_of(name: str, sealed: bytes) -> Descriptor:
    """Return the file of the store that a record names; `name` is that of the record. ValueError if it is damaged."""
    return _descriptor(_opened(name, sealed))


def _read(record: Path) -> dict[str, object]:
    return _opened(record.name, record.read_bytes())


def _opened(name: str, sealed: bytes) -> dict[str, object]:
    """Return what a record says; ValueError if it is not what was written there, bit by bit and for this key."""
    content = sealed[_SEAL:]
    if sealed != _seal(name, content) + content:
        raise ValueError(name)
    document: dict[str, object] = json.loads(content)
    return document


def _seal(name: str, content: bytes) -> bytes:
    return f"{Digest.of(name.encode() + content)}\n".encode()


def _layer(document: Mapping[str, object]) -> Layer:
    return Layer(_descriptor(document), Digest(str(document["diff_id"])), str(document["created_by"]))


def _stamp(said: object) -> Stamp:
    if not isinstance(said, list):
        raise TypeError(said)
    device, inode, size, mtime_ns, ctime_ns = map(int, said)
    return device, inode, size, mtime_ns, ctime_ns


def _noted(said: object) -> Iterator[Chunk]:
    if not isinstance(said, list):
        raise TypeError(said)
    for plain, compressed, start, size in said:
        yield Chunk(Digest(plain), Digest(compressed), int(start), int(size))


def _descriptor(document: Mapping[str, object]) -> Descriptor:
    descriptor = document["descriptor"]
    if not isinstance(descriptor, dict):
        raise TypeError(descriptor)
    return Descriptor(str(descriptor["mediaType"]), Digest(descriptor["digest"]), int(descriptor["size"]))
