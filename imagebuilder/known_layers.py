"""Layers known by their digest: the lock says what they come out as, and the registry that they are there.

A push names such a layer; nobody fetches what it is made of. What a lock says is believed only then, and compared with
every layer that is made or in the cache (docs/decisions/0191-layers-that-the-lock-knows.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from buildpacks.api import LayerSpec
from imagebuilder import lock as lockfile
from imagebuilder import recorded, reference, together
from imagebuilder.early import EarlyUploads
from imagebuilder.lock import PlatformLock
from imagebuilder.make import Finder, MadeLayer
from imagebuilder.progress import Progress
from imagebuilder.recorded import RecordedLayer
from imagebuilder.reference import Reference
from imagebuilder.request import BuildRequest
from imagebuilder.together import GivenUp
from layers.blobs import BlobStore
from layers.digest import Digest
from layers.errors import IntegrityError, StorageError
from layers.layer import Layer
from layers.values import dataclass, replace

if TYPE_CHECKING:  # see below
    from contextlib import AbstractContextManager

    from imagebuilder.registry.client import Repository

# Questions at a time: each is one round trip.
_QUESTIONS = 8


def finders(
    request: BuildRequest,
    pins: PlatformLock,
    store: BlobStore,
    progress: Progress,
    *,
    early: EarlyUploads | None = None,
) -> tuple[Finder, ...]:
    """Return what finds layers in the repositories that a build pushes to, then in the caches it is to use.

    The former finds none if all bytes are needed here, for an output. What it finds missing is not asked for again
    when it is sent `early`.
    """
    if not request.use_cache:
        return ()
    pushes_alone = request.push and not request.outputs
    records = {each.key: each for each in pins.layers}
    found: list[Finder] = []
    if records and pushes_alone:
        found.append(_Search(request, records, progress, early).find)
    if request.cache_from and not request.offline:
        from imagebuilder import shared_cache  # few builds share layers, and the registry client takes 25 ms

        target = reference.parse(request.tags[0]) if pushes_alone else None
        search = shared_cache.Search(request, store, progress, target)
        found.append(_agreeing(search.find, records, request, progress))
    return tuple(found)


def _agreeing(
    find: Finder, records: Mapping[Digest, RecordedLayer], request: BuildRequest, progress: Progress
) -> Finder:
    """Return a finder that leaves out layers of which the lock says something else: it is reviewed, a cache is not."""

    def agrees(spec: LayerSpec, found: MadeLayer) -> bool:
        record = recorded.record(spec, recorded.key(spec, request.compression), found.layer)
        known = records.get(record.key, record) if spec.pinned else record
        if replace(known, name=record.name) != record:
            progress.warn(f"a cache says wrongly of the layer {spec.name} that it is {record.digest} (IB956)")
            return False
        return True

    return lambda specs: [
        each if each and agrees(spec, each) else None for spec, each in zip(specs, find(specs), strict=True)
    ]


def share(
    request: BuildRequest, layers: Iterable[tuple[LayerSpec, MadeLayer]], store: BlobStore, progress: Progress
) -> None:
    """Bring the layers of a build that has succeeded to a cache, if it has one to fill."""
    if request.cache_to and not request.offline:
        from imagebuilder import shared_cache  # see above

        shared_cache.share(request, layers, store, progress)


def origins(made: Sequence[MadeLayer]) -> Mapping[Digest, Reference]:
    """Return where the layers are that nobody has made here."""
    return {each.layer.descriptor.digest: each.origin for each in made if each.origin}


def settle(
    request: BuildRequest, pins: PlatformLock, specs: Sequence[LayerSpec], made: Sequence[MadeLayer], progress: Progress
) -> None:
    """Compare the layers with what the lock says of them, and have it say what they are.

    Raises IntegrityError IB955 if it says something else and must not be written.
    """
    before = {each.key: each for each in pins.layers}
    pinned = [(spec, each) for spec, each in zip(specs, made, strict=True) if spec.pinned]
    now: list[RecordedLayer] = []
    for spec, each in pinned:
        record = recorded.record(spec, recorded.key(spec, request.compression), each.layer)
        known = before.get(record.key, record)
        if replace(known, name=record.name) != record:
            _differs(known, record, request, progress)
        if record.key in before or not each.claimed:
            now.append(record)
    if tuple(now) == pins.layers or request.locked:
        return
    locks, name = lockfile.read(request.source), str(request.platform)
    if locks.get(name) != pins:
        return  # somebody has pinned anew meanwhile
    try:
        lockfile.write(request.source, {**locks, name: replace(pins, layers=tuple(now))})
    except StorageError as error:  # the lock fits, and a build needs no more of it
        progress.note(f"layers are not recorded: {error.message}")


def _differs(known: RecordedLayer, record: RecordedLayer, request: BuildRequest, progress: Progress) -> None:
    """Tell that a layer is not what the lock says; what comes of the pins is what counts."""
    what = f"the layer {record.name} is not what {lockfile.FILE} says of it"
    if request.locked and request.use_cache:
        raise IntegrityError(
            what,
            details=(f"the lock says: {_shown(known)}", f"it is:         {_shown(record)}"),
            hint="find out who changed the lock; build without --locked, and commit what that writes",
            code="IB955",
        )
    progress.warn(f"{what}: it is {record.digest}, and not {_shown(known)} (IB955)")


def _shown(record: RecordedLayer) -> str:
    return f"{record.digest}, diff_id {record.diff_id}, {record.size} bytes"


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for layers that the lock knows, in the repositories that are pushed to."""

    request: BuildRequest
    records: Mapping[Digest, RecordedLayer]
    progress: Progress
    early: EarlyUploads | None

    def find(self, specs: Sequence[LayerSpec]) -> Sequence[MadeLayer | None]:
        """Return those that one of the repositories has."""
        known = [self._record(spec) for spec in specs]
        found = self._ask(tuple({each for each in known if each}))
        return [
            MadeLayer(replace(self._layer(record), created_by=spec.name), cached=True, origin=found[record])
            if record and record in found
            else None
            for spec, record in zip(specs, known, strict=True)
        ]

    def _record(self, spec: LayerSpec) -> RecordedLayer | None:
        return self.records.get(recorded.key(spec, self.request.compression)) if spec.pinned else None

    def _layer(self, record: RecordedLayer) -> Layer:
        return record.layer(self.request.compression)

    def _ask(self, records: Sequence[RecordedLayer]) -> Mapping[RecordedLayer, Reference]:
        """Ask one repository after the other, each for what no other has."""
        if not records:
            return {}
        found: dict[RecordedLayer, Reference] = {}
        names = {name.name: name for name in map(reference.parse, self.request.tags)}
        with self.progress.step("registry") as step:
            for name in names.values():
                missing = [record for record in records if record not in found]
                with self._open(name) as repository:
                    there = together.run(partial(self._is_in, repository), missing, workers=_QUESTIONS)
                found |= {record: name for record, has in zip(missing, there, strict=True) if has}
            step.finish(f"{len(found)} of {len(records)} layers that the lock knows are there")
        return found

    def _open(self, name: Reference) -> "AbstractContextManager[Repository]":
        if self.early and self.early.name.name == name.name:
            return nullcontext(self.early.repository)  # one login, and connections that are kept for what is sent
        from imagebuilder import remote  # 20 ms that only who asks pays
        from imagebuilder.registry.client import open_repository

        return open_repository(name, settings=remote.settings_of(self.request, self.progress), push=True)

    def _is_in(self, repository: "Repository", record: RecordedLayer, _given_up: GivenUp) -> bool:
        return repository.has_blob(self._layer(record).descriptor)
