"""Pushes: blobs that are not there yet, then the documents that name them, tags last.

A registry never shows a tag whose image is not whole, however a push ends, and a push that is repeated uploads only
what is missing. Two who push one tag at once leave the whole image of one of them: a tag is set by one request.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

from imagebuilder import destinations
from imagebuilder import parts as parts_of
from imagebuilder.early import EarlyUploads
from imagebuilder.image import MANIFESTS, Blobs
from imagebuilder.outcome import Pushed
from imagebuilder.parts import Parts
from imagebuilder.progress import Progress, Step
from imagebuilder.reference import Reference
from imagebuilder.registry.client import Repository, Uploaded, open_repository
from imagebuilder.registry.settings import RegistrySettings
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, RefusedError, StorageError

# Blobs at a time: enough to hide the round trips of small ones, few enough to be a good guest.
_UPLOADS = 4


def push(
    parts: Parts,
    names: Sequence[Reference],
    *,
    settings: RegistrySettings,
    progress: Progress,
    early: EarlyUploads | None = None,
) -> tuple[Pushed, ...]:
    """Push to every name; there is one result for each repository, in the order in which they were first named.

    Of what was sent `early` to one of them, only what came of it is asked.

    Raises UsageError IB241 before anything is sent, IntegrityError IB503 for a damaged blob of ours, and what the
    client raises.
    """
    for name in names:
        destinations.check_target(name)
    targets: dict[str, list[Reference]] = {}
    for name in dict.fromkeys(names):
        targets.setdefault(name.name, []).append(name)
    done = []
    earlier: dict[str, str] = {}  # what one repository of a registry has, the next one can mount
    for first, *others in targets.values():
        before = early if early and early.name.name == first.name else None
        opened = nullcontext(before.repository) if before else open_repository(first, settings=settings, push=True)
        with progress.step("push") as step, opened as repository:
            going = _Push(parts, repository, progress, step, early=before, mount_from=earlier.get(first.registry, ""))
            pushed = going.run([name.tag for name in (first, *others)])
            step.finish(str(pushed))
        done.append(pushed)
        earlier[first.registry] = first.repository
    return tuple(done)


class Sender:
    """Sends blobs to a repository, with a row of the display for each, until it is told that all have `stopped`."""

    def __init__(self, repository: Repository, place: Blobs, progress: Progress, stopped: threading.Event) -> None:
        self.repository = repository
        self._place = place
        self._progress = progress
        self._stopped = stopped

    def send(
        self, blob: Descriptor, *, mount_from: str = "", on_progress: Callable[[int], object] = lambda _size: None
    ) -> Uploaded:
        """Bring a blob there. Raises CancelledError if all have stopped, and what `push` raises."""
        content = self._place.content(blob)
        with self._progress.step(blob.digest.hex[:12], total=blob.size, passing=True) as row:

            def advance(size: int) -> None:
                if self._stopped.is_set():
                    raise CancelledError
                row.advance(size)
                on_progress(size)

            try:
                return self.repository.push_blob(blob, content, mount_from=mount_from, on_progress=advance)
            except (IntegrityError, StorageError):
                if isinstance(content, Path):  # says if it is the stored blob that is damaged, and what to do
                    for _ in self._place.open(blob):
                        pass
                raise


class _Push:
    """A push to one repository while it goes on."""

    def __init__(
        self,
        parts: Parts,
        repository: Repository,
        progress: Progress,
        step: Step,
        *,
        early: EarlyUploads | None,
        mount_from: str,
    ) -> None:
        self._parts = parts
        self._repository = repository
        self._step = step
        self._early = early
        self._mount_from = mount_from
        self._stopped = threading.Event()
        self._sender = Sender(repository, parts.place, progress, self._stopped)
        self._fates: dict[Digest, Uploaded] = {}

    def run(self, tags: Sequence[str]) -> Pushed:
        """Push; whatever ends it ends all uploads."""
        pool = ThreadPoolExecutor(_UPLOADS)
        try:
            return self._run(tags, pool)
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)

    def _run(self, tags: Sequence[str], pool: ThreadPoolExecutor) -> Pushed:
        root = self._parts.root.digest
        if self._early and self._early.begun:
            self._early.send(self._parts.blobs[-1])  # the config is as new as layers are; it goes meanwhile
        found = list(pool.map(self._repository.head, tags))
        wrong = tuple(tag for tag, now in zip(tags, found, strict=True) if now is None or now.digest != root)
        blobs = self._parts.blobs
        if len(wrong) < len(tags):
            self._put(wrong)
        else:
            known = self._known(found)
            self._send_all([blob for blob in blobs if blob.digest not in known], pool)
            try:
                self._put(wrong)
            except RefusedError:
                if not known:
                    raise
                # Perhaps the registry has lost a blob of an image that it still names. If not, it says so again.
                self._send_all([blob for blob in blobs if blob.digest in known], pool)
                self._put(wrong)
        fates = tuple((blob, self._fates.get(blob.digest, "present")) for blob in blobs)
        return Pushed(self._repository.reference.name, wrong, fates)

    def _known(self, found: Sequence[Descriptor | None]) -> set[Digest]:
        """Return blobs that are there without asking for each: those of an image that one of the tags names now.

        If no more are left than can be asked for at once, its manifest would take as long and say less.
        """
        here = self._repository.reference.name
        known = {blob for blob, origin in self._parts.origins.items() if origin.name == here}
        if len({blob.digest for blob in self._parts.blobs} - known) <= _UPLOADS:
            return known
        for now in found:
            if now and now.media_type in MANIFESTS:
                with suppress(BuildError):  # whatever is wrong with it, it may be replaced
                    _, content = self._repository.manifest(now.digest)
                    return known | {blob.digest for blob in parts_of.named_blobs(content)}
        return known

    def _put(self, tags: Sequence[str]) -> None:
        *others, (root, content) = self._parts.documents
        for described, child in others if tags else ():
            self._repository.push_manifest(described, child, "")
        for tag in tags:
            self._repository.push_manifest(root, content, tag)

    def _send_all(self, blobs: Sequence[Descriptor], pool: ThreadPoolExecutor) -> None:
        self._step.expect(sum(blob.size for blob in blobs))
        for blob, fate in zip(blobs, pool.map(self._send, blobs), strict=True):
            self._fates[blob.digest] = fate

    def _send(self, blob: Descriptor) -> Uploaded:
        begun = self._early.fate(blob) if self._early else None
        if begun:
            fate = begun.result()
            self._step.advance(blob.size)
        else:
            fate = self._sender.send(blob, mount_from=self._mountable(blob), on_progress=self._step.advance)
        if fate != "uploaded":
            self._step.expect(-blob.size)
        return fate

    def _mountable(self, blob: Descriptor) -> str:
        origin = self._parts.origins.get(blob.digest)
        return (
            origin.repository if origin and origin.registry == self._repository.reference.registry else self._mount_from
        )
