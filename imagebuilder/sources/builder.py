"""Wheels built from source: each in a sandbox of its own, once for everything that its bytes depend on.

The source lies at /build/NAME-VERSION and the virtual environment that its backend runs in at /build/environment,
whoever builds and wherever: what a compiler or a backend writes down of paths, times and users is the same.
"""

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import imagebuilder
from buildpacks import conda_layers, environment, selection
from buildpacks.api import App, Files, Folder, Interpreter, PinnedWheel, Source, Target
from imagebuilder.base.pins import Base, ImagePins
from imagebuilder.buildroot import build_root, here, root_key
from imagebuilder.cache import Cache
from imagebuilder.export import FORMAT
from imagebuilder.libraries import Lookup
from imagebuilder.progress import Progress
from imagebuilder.sandbox import command
from imagebuilder.sandbox.box import EPOCH, Sandbox
from imagebuilder.sources import backend, hook
from imagebuilder.sources.backend import Backend
from imagebuilder.sources.failed import failed
from imagebuilder.sources.folders import Folders
from layers import canonical, entry, scratch
from layers.canonical import Json
from layers.descriptor import Descriptor
from layers.digest import Digest
from layers.errors import BuildError, UsageError
from layers.sdist import Sdist, read_sdist
from layers.unpack import unpack
from layers.values import dataclass, field
from layers.wheel import read_wheel

_MEDIA_TYPE = "application/zip"
_ENVIRONMENT = "build/environment"
_RESULT = "/build/result"
_HOOK, _HOOK_FILE = "/build/hook", "hook.py"
_ANSWER_MAX = 1 << 20
_CHUNK = 1 << 20
# How a version is told to setuptools-scm (and hatch-vcs), pdm-backend, pbr, and those that use dunamai.
_VERSIONS = (
    "SETUPTOOLS_SCM_PRETEND_VERSION",
    "PDM_BUILD_SCM_VERSION",
    "PBR_VERSION",
    "UV_DYNAMIC_VERSIONING_BYPASS",
    "POETRY_DYNAMIC_VERSIONING_BYPASS",
)
_PYTHON = f"/{_ENVIRONMENT}/bin/python"


@dataclass(frozen=True)
class SourceBuilder:
    """Builds wheels for an interpreter and a base; implements buildpacks.services.WheelBuilder.

    `fetch` brings packages of the base and sources by their hash. What was built is kept in the cache and, unless
    `use_cache` is off, taken from there; `built` is what was in this run, by recipe. `packages_with` says which package
    of Debian has a header that a build lacks.
    """

    base: Base
    interpreter: Interpreter
    target: Target
    cache: Cache
    fetch: Callable[[Sequence[Source]], Files]
    progress: Progress
    use_cache: bool = True
    folders: Folders = field(default_factory=lambda: Folders(App(Path("/nonexistent"))))
    project_version: str = ""
    packages_with: Lookup = lambda _names: {}
    built: dict[Digest, Path] = field(default_factory=dict)
    _locks: dict[object, threading.Lock] = field(default_factory=dict)

    def recipe(self, wheel: PinnedWheel) -> Mapping[str, Json]:
        """Name the source, what it is built with, and the root and the interpreter that do it."""
        pretended = self._pretended(wheel)
        return {
            "kind": "wheel",
            "format": FORMAT,
            "release": imagebuilder.__version__,
            "root": root_key(self._base(wheel), self.interpreter).value,
            "interpreter": [self.interpreter.version, self.interpreter.executable],
            "project": [wheel.name, wheel.version],
            "source": self._digest(wheel.source).value,
            "requires": sorted(source.digest.value for each in wheel.requires or () for source in each.sources),
            **({"pretended": pretended} if pretended else {}),
        }

    def build(self, wheel: PinnedWheel, files: Files) -> Path:
        """Return a wheel, built now if it was not before.

        Raises what `command.run` and `read_sdist` raise, BuildError IB871 and IB872 if it cannot be built, IB873 if
        what comes out is no wheel for the image.
        """
        recipe = self.recipe(wheel)
        key = canonical.digest(recipe)
        with self._alone(key):
            if key not in self.built:
                found = self.cache.find_file(recipe) if self.use_cache else None
                if found is None:
                    found = self._build(wheel, files)
                    self.cache.remember_file(recipe, found)
                self.built[key] = self.cache.store.verify(found.digest)
        return self.built[key]

    def backend(self, wheel: PinnedWheel, files: Files) -> Backend:
        """Return what a source says of its backend."""
        with scratch.folder(self.cache.root / "scratch") as made:
            return _backend(self._source(wheel.source, files, made), wheel)

    def requires(self, wheel: PinnedWheel, files: Files) -> tuple[str, ...]:
        """Ask the backend of a source what else it requires; it runs with what `wheel` requires already."""
        with self._ran("get_requires_for_build_wheel", wheel, files) as (answer, _):
            if not isinstance(answer, list) or not all(isinstance(one, str) and one.isprintable() for one in answer):
                raise _wrong(wheel, "its backend does not say what it requires")
            return tuple(map(str, answer))

    def _build(self, wheel: PinnedWheel, files: Files) -> Descriptor:
        with (
            self.progress.step("build") as step,
            self._ran("build_wheel", wheel, files) as (answer, result),
        ):
            if not isinstance(answer, str) or "/" in answer or not answer.endswith(".whl"):
                raise _wrong(wheel, f"its backend says it made {str(answer)[:100]!r}")
            with _opened(result / answer, wheel) as file:
                built = self.cache.store.write(_MEDIA_TYPE, iter(lambda: file.read(_CHUNK), b""))
            self._check_fits(wheel, self.cache.store.path(built.digest))
            step.finish(f"{wheel} from source")
        return built

    def _check_fits(self, wheel: PinnedWheel, path: Path) -> None:
        tags = read_wheel(path).tags
        fitting = {str(tag) for tag in selection.tags(self.interpreter, self.target)}
        if not fitting & {*tags}:
            raise _wrong(wheel, f"the wheel is for {', '.join(tags)[:200] or 'nothing'}, which the image is not")

    @contextmanager
    def _ran(self, name: str, wheel: PinnedWheel, files: Files) -> Iterator[tuple[object, Path]]:
        """Call a hook; give its answer, and the folder of results for as long as the block lasts."""
        root = self._root(wheel)
        with scratch.folder(self.cache.root / "scratch") as made:
            source = self._source(wheel.source, files, made)
            needs = _backend(source, wheel)
            unpack(source.entries, made / "source", time_s=EPOCH)
            self._make_environment(wheel.requires or (), files, made)
            unpack([entry.file(_HOOK_FILE, Path(hook.__file__).read_bytes())], made / "hook", time_s=EPOCH)
            (made / "result").mkdir()
            place = f"/build/{wheel.name}-{wheel.version}".rstrip("-")
            sandbox = Sandbox(
                root,
                writable={place: made / "source", _RESULT: made / "result"},
                readable={f"/{_ENVIRONMENT}": made / "root" / _ENVIRONMENT, _HOOK: made / "hook"},
            )
            words = [_PYTHON, "-s", "-B", f"{_HOOK}/{_HOOK_FILE}", _RESULT, name, needs.name]
            words += [f"{place}/{path}" for path in needs.path]
            try:
                command.run(sandbox, words, env=_variables(self._pretended(wheel)), cwd=place)
            except BuildError as error:
                image = self.base.name if isinstance(self.base, ImagePins) else ""
                raise failed(wheel, error, self.packages_with, image=image) from error
            yield _answer(made / "result" / hook.ANSWER, wheel), made / "result"

    def _source(self, source: Source | Folder, files: Files, made: Path) -> Sdist:
        if isinstance(source, Folder):
            return Sdist(self.folders.tree(source.path).entries)
        return read_sdist(files[source.digest], spool=made / "tar")

    def _digest(self, source: Source | Folder) -> Digest:
        return self.folders.tree(source.path).digest if isinstance(source, Folder) else source.digest

    def _pretended(self, wheel: PinnedWheel) -> str:
        """Return the version that a backend is told, since it would ask Git and there is no repository."""
        if isinstance(wheel.source, Folder):
            return self.project_version
        return wheel.version if wheel.source.kind == "git" else ""

    def _make_environment(self, wheels: Sequence[PinnedWheel], files: Files, made: Path) -> None:
        found = environment.entries(wheels, self.interpreter, files, prefix=_ENVIRONMENT)
        unpack(found, made / "root", time_s=EPOCH)

    def _root(self, wheel: PinnedWheel) -> Path:
        base = self._base(wheel)
        if self.target.platform.architecture != here():
            raise UsageError(
                f"cannot build {wheel} from source: the image is for {self.target.platform}, and this machine is not",
                hint=_elsewhere(wheel),
                code="IB874",
            )
        with self._alone("root"):
            return build_root(base, self.cache, self.fetch, self.interpreter)

    def _base(self, wheel: PinnedWheel) -> Base:
        if conda_layers.has(self.interpreter):
            raise conda_layers.not_built(str(wheel))
        return self.base

    def _alone(self, key: object) -> threading.Lock:
        """Return the lock of a thing that is made once."""
        return self._locks.setdefault(key, threading.Lock())


def _backend(source: Sdist, wheel: PinnedWheel) -> Backend:
    return backend.read(source.text("pyproject.toml"), f"{wheel}")


def _elsewhere(wheel: PinnedWheel) -> str:
    if wheel.source == Folder("."):
        return (
            "build on such a machine; or, if it runs uninstalled, set `package = false` in [tool.uv] of pyproject.toml"
        )
    return "build on such a machine, or bring a wheel with --find-links"


def _variables(version: str) -> dict[str, str]:
    """Name what a build script finds beside the fixed variables of every sandbox."""
    return {
        **(dict.fromkeys(_VERSIONS, version) if version else {}),
        "PATH": f"/{_ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": f"/{_ENVIRONMENT}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _answer(path: Path, wheel: PinnedWheel) -> object:
    try:
        with _opened(path, wheel) as file:
            answer: object = json.loads(file.read(_ANSWER_MAX))
    except (ValueError, RecursionError) as error:
        raise _wrong(wheel, "its backend gives no answer") from error
    return answer


@contextmanager
def _opened(path: Path, wheel: PinnedWheel) -> Iterator[BinaryIO]:
    """Open a file that came out of a sandbox: what it says of itself, and what stands in its place, may be hostile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _wrong(wheel, f"its backend left no {path.name[:100]!r}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _wrong(wheel, f"its backend left no file at {path.name[:100]!r}")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _wrong(wheel: PinnedWheel, reason: str) -> BuildError:
    return BuildError(
        f"cannot use what building {wheel} gives: {reason}",
        hint="pin another version of it, or bring a wheel with --find-links",
        code="IB873",
    )
