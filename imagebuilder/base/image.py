"""Images of a registry as the base: a name becomes pins, and pins become what the application's image begins with.

Documents and layers keep their bytes. Layers are brought into the store to be looked at, once for each base, and where
an output needs them; a push leaves them where they are (docs/decisions/0071-layers-of-a-base-stay-where-they-are.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from buildpacks import conda_layers
from buildpacks.api import BuildResult, Interpreter, LayerSpec
from imagebuilder import documents, reference, together
from imagebuilder.base import manifests, overlay, probe, system
from imagebuilder.base.pins import Base, ImagePins
from imagebuilder.base.probe import Found
from imagebuilder.base.root import Root
from imagebuilder.cache import Cache
from imagebuilder.documents import Document
from imagebuilder.image import Image
from imagebuilder.progress import Progress, Step
from imagebuilder.reference import Reference
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.together import GivenUp
from layers import entry
from layers.canonical import Json
from layers.descriptor import CONFIG, Descriptor, Platform
from layers.digest import Digest
from layers.errors import BuildError, UsageError
from layers.expression import expression
from layers.layer import Layer
from layers.values import dataclass, field, replace

if TYPE_CHECKING:  # the client takes 20 ms, which a build whose base is known must not pay
    from imagebuilder.registry.client import Repository

# A base that is assembled from Debian's packages; `debian:13-slim` is an image.
_SUITE = expression(r"debian:[a-z]+")
_PLACES = ("oci:", "archive:", "docker:", "podman:")
_DOWNLOADS = 4
# What is looked for; part of the key under which findings are kept.
_PROBE = 1
_LINK = "layers/python/bin"


@dataclass(frozen=True, slots=True)
class Inherited:
    """What an image takes over from the image that is its base; nothing if the base is made of packages.

    `env` is what the base sets, None if there is no such image. `origins` say where the layers can be had.
    """

    layers: tuple[Layer, ...] = ()
    config: Mapping[str, Json] = field(default_factory=dict)
    env: Mapping[str, str] | None = None
    digest: str = ""
    origins: Mapping[Digest, Reference] = field(default_factory=dict)


def is_image(base: str) -> bool:
    """Say whether a base is an image, and not a suite of Debian."""
    return _SUITE.fullmatch(base) is None


def addition(base: Base, interpreter: Interpreter | None) -> BuildResult:
    """Describe what a base lacks: a program called `python` that is the interpreter which was chosen.

    A standalone one has that name. Its OpenSSL looks for authorities where Debian's packages have none.
    """
    if interpreter and interpreter.archive:
        return BuildResult(env={} if isinstance(base, ImagePins) else {"SSL_CERT_FILE": f"/{system.BUNDLE}"})
    if not isinstance(base, ImagePins) or interpreter is None or conda_layers.has(interpreter):
        return BuildResult()
    if base.found.python == interpreter.executable:
        return BuildResult()
    link = entry.symlink(f"{_LINK}/python", interpreter.executable)
    layer = LayerSpec("python", {"link": link.path, "target": link.target}, lambda _files: [link])
    return BuildResult((layer,), env={"PATH": f"/{_LINK}"})


def check_packages(base: ImagePins, wanted: Iterable[str]) -> None:
    """Refuse packages that would have to be installed; UsageError IB254."""
    if missing := sorted({*wanted} - {*base.found.shells}):
        raise UsageError(
            f"cannot add {', '.join(missing)} to {base.name}: packages go only into a base that is made of packages",
            hint="choose a base that has what they bring, or `debian:trixie`",
            code="IB254",
        )


@dataclass(frozen=True, slots=True)
class BaseImages:
    """Where base images come from, and the cache that keeps them. Nothing is asked before it is needed."""

    cache: Cache
    settings: RegistrySettings
    progress: Progress
    offline: bool = False

    def pin(self, name: str, platform: Platform) -> ImagePins:
        """Ask what a name stands for now, and look at what that image has.

        Raises UsageError IB250 for a name that is of no registry, BuildError IB251 if there is no image for the
        platform, IB252 without an interpreter, IB253 without glibc, IB255 for an image that nobody could build upon.
        """
        source = _source(name)
        with self.progress.step("base") as step, self._open(source) as repository:
            manifest, content = manifests.choose(repository, source, platform)
            document = documents.parse(content, f"manifest of {name}")
            config = manifests.config(document, name)
            self._bring_all(repository, [config], step)
            described = documents.parse(self.cache.store.read(config.digest), f"config of {name}")
            manifests.check(described, platform, name)
            layers = manifests.layers(document, described, name)
            self._keep(manifest, content)
            found = self._find(layers, described, repository, step)
            _check(found, name)
            step.finish(f"{name} at {manifest.digest}, Python {', '.join(each.version for each in found.interpreters)}")
        return ImagePins(name, platform, manifest, replace(config, media_type=CONFIG), layers, found)

    def inherited(self, base: Base) -> Inherited:
        """Return what an image takes over; of a base that is not in the cache only the config is fetched."""
        if not isinstance(base, ImagePins):
            return Inherited()
        if not self.cache.store.has(base.config.digest, base.config.size):
            with self.progress.step("base") as step, self._open(_source(base.name)) as repository:
                self._bring_all(repository, [base.config], step)
        config = documents.parse(self.cache.store.read(base.config.digest), f"config of {base.name}")
        certificates = {"SSL_CERT_FILE": base.found.certificates} if base.found.certificates else {}
        return Inherited(
            base.layers,
            config.fields,
            certificates | _environment(config),
            base.manifest.digest.value,
            _origins(base),
        )

    def bring_layers(self, base: ImagePins) -> None:
        """Bring all layers of a base into the store, for programs of it to run."""
        self.fetch(Inherited(base.layers, origins=_origins(base)))

    def fetch(self, image: Image | Inherited) -> None:
        """Bring those blobs of an image, or of its base, into the store that are elsewhere."""
        missing: dict[Reference, list[Descriptor]] = {}
        for blob in (layer.descriptor for layer in image.layers):
            if blob.digest in image.origins and not self.cache.store.has(blob.digest, blob.size):
                missing.setdefault(image.origins[blob.digest], []).append(blob)
        for source, blobs in missing.items():
            with self.progress.step("base") as step, self._open(source) as repository:
                self._bring_all(repository, blobs, step)
                step.finish(f"{len(blobs)} layers, {step.done / 1e6:.1f} MB")

    def _open(self, source: Reference) -> "Repository":
        if self.offline:
            raise BuildError(
                f"cannot ask for the base {source} without a network",
                hint="run once without --offline: what is fetched is kept in the cache",
                code="IB257",
            )
        from imagebuilder.registry.client import open_repository  # see above

        return open_repository(source, settings=self.settings)

    def _keep(self, described: Descriptor, content: bytes) -> None:
        with self.cache.store.writer(described.digest, described.size) as blob:
            blob.write(content)

    def _bring_all(self, repository: "Repository", blobs: Sequence[Descriptor], step: Step) -> None:
        missing = {blob.digest: blob for blob in blobs if not self.cache.store.has(blob.digest, blob.size)}
        step.expect(sum(blob.size for blob in missing.values()))
        together.run(
            lambda blob, given_up: self._bring(repository, blob, step, given_up),
            tuple(missing.values()),
            workers=_DOWNLOADS,
        )

    def _bring(self, repository: "Repository", blob: Descriptor, step: Step, given_up: GivenUp) -> None:
        from imagebuilder import remote  # see above

        def advance(size: int) -> None:
            step.advance(size)
            if given_up():
                raise CancelledError

        remote.bring(repository, blob, self.cache.store, advance)

    def _find(self, layers: Sequence[Layer], config: Document, repository: "Repository", step: Step) -> Found:
        """Look at all layers, unless that was done before."""
        variables, origin = _environment(config), layers[0].created_by
        key: dict[str, Json] = {
            "probe": _PROBE,
            "layers": [layer.diff_id.value for layer in layers],
            "variables": {name: variables[name] for name in ("PATH", "PYTHON_VERSION") if name in variables},
        }
        # Kept as a layer is: named by its inputs, and only as long as its blob is there.
        if known := self.cache.find(key):
            return probe.from_json(self.cache.store.read(known.descriptor.digest), origin=origin)
        self._bring_all(repository, [layer.descriptor for layer in layers], step)
        root = Root()
        for layer in layers:
            overlay.lay(root, overlay.tar(layer, self.cache.store, most=overlay.allowed([layer])), probe.wanted)
        found = probe.examine(root, variables, origin=origin)
        record = self.cache.store.write_json("application/json", probe.to_json(found))
        self.cache.remember(key, Layer(record, record.digest, "probe"))
        return found


def _origins(base: ImagePins) -> dict[Digest, Reference]:
    return dict.fromkeys((layer.descriptor.digest for layer in base.layers), _source(base.name))


def _environment(config: Document) -> dict[str, str]:
    pairs = (variable.partition("=") for variable in manifests.run(config).texts("Env"))
    return {name: value for name, _, value in pairs if name}


def _source(name: str) -> Reference:
    if name.startswith(_PLACES):
        raise UsageError(
            f"cannot build upon {name}: a base is an image of a registry, or `debian:SUITE`",
            hint="push it to a registry and name it there",
            code="IB250",
        )
    return reference.parse_source(name)


def _check(found: Found, name: str) -> None:
    if not found.glibc:
        why = "it has musl" if found.musl else "no libc.so.6 was found in it"
        raise BuildError(
            f"cannot build upon {name}: wheels need glibc, and {why}",
            details=(f"it is {found.distribution}",) if found.distribution else (),
            hint="choose a base with glibc, such as `python:3.13-slim` or `debian:trixie`",
            code="IB253",
        )
    if not found.interpreters:
        raise BuildError(
            f"cannot build upon {name}: it has no Python that every user may run",
            details=("looked for python3.N in the folders of its PATH",),
            hint="choose a base with Python, such as `python:3.13-slim` or `debian:trixie`",
            code="IB252",
        )
