"""Caches in registries, shared by a team: layers are taken from them, and those that were made are brought to one.

Whatever is wrong with such a cache, a build warns and does without it. That a layer is what comes of its inputs is
believed of it; that a layer is the one which was named is not (docs/decisions/0192-caches-that-a-team-shares.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack

from buildpacks.api import LayerSpec
from imagebuilder import image as images
from imagebuilder import make, push, reference, remote, shared_index, together
from imagebuilder.make import MadeLayer
from imagebuilder.parts import Parts
from imagebuilder.progress import Progress, Step
from imagebuilder.reference import Reference
from imagebuilder.registry.client import Repository, open_repository
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.request import BuildRequest
from imagebuilder.shared_index import Claim
from imagebuilder.together import GivenUp
from layers import canonical, compress
from layers.blobs import BlobStore
from layers.descriptor import MANIFEST, Descriptor
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, RefusedError, StorageError
from layers.layer import Layer
from layers.values import dataclass, field, replace

# Layers at a time.
_TRANSFERS = 4


def key(spec: LayerSpec, request: BuildRequest) -> Digest | None:
    """Return the name of a layer's inputs, by which others find it; None for a layer that nobody else can have."""
    return None if spec.local or not spec.key else canonical.digest(make.key(spec, request.compression))


@dataclass(frozen=True, slots=True)
class Search:
    """The search for layers in the caches of a request.

    They are brought to the repository `target`, from where other names of the image get them; without one, into the
    store.
    """

    request: BuildRequest
    store: BlobStore
    progress: Progress
    target: Reference | None

    def find(self, specs: Sequence[LayerSpec]) -> Sequence[MadeLayer | None]:
        """Bring those layers that one of the caches knows and has."""
        keys = [key(spec, self.request) for spec in specs]
        found: dict[Digest, Claim] = {}
        for name in map(reference.parse_source, self.request.cache_from):
            if missing := {each for each in keys if each} - found.keys():
                found |= self._take(name, missing)
        return [
            MadeLayer(self._layer(found[each], spec), cached=True, origin=self.target, claimed=True)
            if each in found
            else None
            for spec, each in zip(specs, keys, strict=True)
        ]

    def _take(self, name: Reference, wanted: set[Digest]) -> Mapping[Digest, Claim]:
        with self.progress.step("cache") as step, ExitStack() as opened:
            settings = remote.settings_of(self.request, self.progress)
            source = opened.enter_context(open_repository(name, settings=settings))
            target = None
            if self.target:
                target = opened.enter_context(open_repository(self.target, settings=settings, push=True))
            taking = _Taking(source, target, self.store, step)
            try:
                _, content = source.manifest(name.digest or name.tag)
                claims = [claim for claim in shared_index.read(content) if claim.key in wanted]
                together.run(taking.take, claims, workers=_TRANSFERS)
            except BuildError as error:
                taking.problems.append(error)
            if taking.problems:
                self.progress.warn(f"the cache {name} is not of use: {taking.problems[0].message} (IB956)")
            step.finish(f"{len(taking.taken)} of {len(wanted)} layers from {name}")
        return taking.taken

    def _layer(self, claim: Claim, spec: LayerSpec) -> Layer:
        blob = replace(claim.blob, media_type=compress.media_type(self.request.compression))
        return Layer(blob, claim.diff_id, spec.name)


@dataclass(frozen=True, slots=True)
class _Taking:
    """Layers on their way from a cache to where they are wanted; what arrives is `taken`."""

    source: Repository
    target: Repository | None
    store: BlobStore
    step: Step
    taken: dict[Digest, Claim] = field(default_factory=dict)
    problems: list[BuildError] = field(default_factory=list)

    def take(self, claim: Claim, given_up: GivenUp) -> None:
        """Take one layer. One that is not there, or another, is no reason to do without the rest."""

        def advance(size: int) -> None:
            if given_up():
                raise CancelledError
            self.step.advance(size)

        try:
            if self.target:
                self._bring(self.target, claim.blob, advance)
            elif not self.store.has(claim.blob.digest, claim.blob.size):
                remote.bring(self.source, claim.blob, self.store, advance)
        except (RefusedError, IntegrityError) as error:
            self.problems.append(error)
        else:
            self.taken[claim.key] = claim

    def _bring(self, target: Repository, blob: Descriptor, advance: remote.Advance) -> None:
        """Bring a layer from repository to repository: mounted if they are of one registry."""
        here, there = self.source.reference, target.reference
        target.push_blob(
            blob,
            lambda: self.source.blob(blob),
            mount_from=here.repository if here.registry == there.registry else "",
            on_progress=advance,
        )


def share(
    request: BuildRequest, layers: Iterable[tuple[LayerSpec, MadeLayer]], store: BlobStore, progress: Progress
) -> None:
    """Bring to the cache of a request what this machine has made: what others say is not said again."""
    name = reference.parse(request.cache_to)
    sharing = _Sharing(name, remote.settings_of(request, progress), store, progress, _pushed_to(request, name))
    used = {found: made for spec, made in layers if (found := key(spec, request))}
    own = {
        each: Claim(each, made.layer.descriptor, made.layer.diff_id)
        for each, made in used.items()
        if not made.claimed and not made.origin
    }
    try:
        sharing.share(own, tuple(used))
    except BuildError as error:
        progress.warn(f"the cache {name} is left as it is: {error.message} (IB956)")


@dataclass(frozen=True, slots=True)
class _Sharing:
    """A cache to which something is brought. `beside` is a repository of its registry that has all of the image."""

    name: Reference
    settings: RegistrySettings
    store: BlobStore
    progress: Progress
    beside: Reference | None

    def share(self, own: Mapping[Digest, Claim], used: Sequence[Digest]) -> None:
        """Read the index, add to it, and write it. Of two who do so at once the last one wins."""
        before = self._read()
        for claim in before:
            if own.get(claim.key, claim) != claim:
                self.progress.warn(
                    f"the cache {self.name} said wrongly {claim.blob.digest} of a layer: "
                    f"it is {own[claim.key].blob.digest} (IB956)"
                )
        after = shared_index.merged(before, own, used)
        if not shared_index.is_worth_writing(before, after, used):
            return
        try:
            self._write(after, known=before)
        except (RefusedError, StorageError):
            if not before or not own:
                raise
            # Perhaps the registry has lost a layer that only others could bring back.
            self._write(shared_index.merged((), own, used), known=())

    def _read(self) -> Sequence[Claim]:
        try:
            with open_repository(self.name, settings=self.settings, push=True) as repository:
                _, content = repository.manifest(self.name.tag)
        except RefusedError as error:
            if error.code != "IB206":
                raise
            return ()  # it is made now
        try:
            return shared_index.read(content)
        except IntegrityError:
            if not shared_index.may_be_replaced(content):
                raise
            return ()

    def _write(self, claims: Sequence[Claim], *, known: Sequence[Claim]) -> None:
        content = shared_index.write(claims)
        root = Descriptor(MANIFEST, Digest.of(content), len(content))
        empty = self.store.write("", [shared_index.NOTHING])
        blobs = {blob.digest: blob for blob in (*(claim.blob for claim in claims), empty)}
        origins = dict.fromkeys((claim.blob.digest for claim in claims), self.beside) if self.beside else {}
        origins |= dict.fromkeys((claim.blob.digest for claim in known), self.name)
        parts = Parts(root, tuple(blobs.values()), ((root, content),), images.blobs_of(self.store), origins)
        push.push(parts, [self.name], settings=self.settings, progress=self.progress)


def _pushed_to(request: BuildRequest, name: Reference) -> Reference | None:
    names = map(reference.parse, request.tags if request.push else ())
    return next((each for each in names if each.registry == name.registry), None)
