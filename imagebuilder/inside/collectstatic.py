"""Static files of a Django project, collected by its own `collectstatic` in the image that serves them.

It runs in the sandbox: with the image's files and environment, without a network, and can write only where STATIC_ROOT
is. What it leaves there is a layer above the application.
"""

import json
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from buildpacks.api import Files, LayerSpec, Source
from imagebuilder.base.pins import Base
from imagebuilder.buildroot import build_root, root_key
from imagebuilder.cache import Cache
from imagebuilder.export import RunConfiguration
from imagebuilder.inside import find_static_root, runnable
from imagebuilder.inside.laid_out import lay_out, mounted
from imagebuilder.request import BuildRequest
from imagebuilder.sandbox import command
from imagebuilder.sandbox.box import EPOCH, Sandbox
from layers import entry, tree
from layers.canonical import Json
from layers.entry import Entry
from layers.errors import BuildError, UsageError
from layers.layer import Layer
from layers.on_disk import on_disk
from layers.unpack import unpack
from layers.values import dataclass

_PROGRAM, _RESULT, _ANSWER = "/build/program", "/build/result", "answer.json"
_ANSWER_MAX = 64 << 10
# Below these is what images, engines and sandboxes have for themselves.
_TAKEN = ("/build", "/cnb", "/dev", "/layers", "/proc", "/sys", "/tmp", "/usr")  # noqa: S108 paths of an image


def layer(
    request: BuildRequest,
    base: Base,
    run: RunConfiguration,
    layers: Sequence[Layer],
    *,
    cache: Cache,
    fetch: Callable[[Sequence[Source]], Files],
    bring: Callable[[], None],
    scratch: Path,
) -> LayerSpec:
    """Describe the layer. It is made again if anything of the image has changed, or a variable.

    `layers` are those of the image so far, above its base; `bring` has those in the store that are not. `fetch` brings
    packages of the base. `scratch` is a folder that lasts until the layer is written.
    Raises UsageError IB934 if there is no such program, and what `runnable.base_of` raises.
    """
    program = request.collectstatic
    if not request.app.has(program):
        raise UsageError(
            f"cannot collect static files: there is no {program}",
            hint='name the program that manages the project, relative to it, as in collectstatic = "manage.py"',
            code="IB934",
        )
    below = runnable.base_of(base, what="collect static files")
    env = {**run.env, **request.collectstatic_env}
    key: dict[str, Json] = {
        "layer": "collectstatic",
        "packages": root_key(below).value,
        "layers": [layer.diff_id.value for layer in layers],
        "program": program,
        "working_dir": run.working_dir,
        "env": env,
    }

    def entries(_files: Files) -> Iterable[Entry]:
        bring()
        made = scratch / "collectstatic"
        made.mkdir()
        lay_out(layers, cache.store, spools=made, folder=made / "image")
        root = build_root(below, cache, fetch)
        return _StaticFiles(made, root, program, run.working_dir, env).collect()

    return LayerSpec("static files", key, entries)


@dataclass(frozen=True, slots=True)
class _StaticFiles:
    """The files of the base in `root` and those of the layers in `made`/image, the project's program and variables."""

    made: Path
    root: Path
    program: str
    working_dir: str
    env: Mapping[str, str]

    def collect(self) -> Iterable[Entry]:
        """Run the program, and list what it leaves."""
        place = self._find()
        ours = self.made / "image" / on_disk(place.strip("/"))
        if any(path.is_symlink() for path in [ours, *ours.parents][: place.count("/")]):
            raise _unusable(place, "a link stands on the way")
        static = self.made / "static"
        try:
            ours.mkdir(parents=True, exist_ok=True)
            static.mkdir()
        except OSError as error:
            raise _unusable(place, f"there can be no such folder: {error.strerror}") from error
        # What the application itself has there stays below the layer, and is not seen here.
        self._run(["python", self.program, "collectstatic", "--noinput"], writable={on_disk(place): static})
        return tree.entries(static, at=place.strip("/"), ignored=lambda _path: False)

    def _find(self) -> str:
        """Ask the project where its static files are to be."""
        program = Path(find_static_root.__file__)
        unpack([entry.file(program.name, program.read_bytes())], self.made / "program", time_s=EPOCH)
        result = self.made / "result"
        result.mkdir()
        self._run(
            ["python", "-B", f"{_PROGRAM}/{program.name}", f"{_RESULT}/{_ANSWER}", self.program],
            readable={_PROGRAM: self.made / "program"},
            writable={_RESULT: result},
        )
        return _checked(_answer(result / _ANSWER), self.working_dir)

    def _run(
        self,
        words: Sequence[str],
        *,
        writable: Mapping[str, Path],
        readable: Mapping[str, Path] | None = None,
    ) -> None:
        image = {place: path for place, path in mounted(self.made / "image", self.root) if place not in writable}
        sandbox = Sandbox(self.root, writable, {**image, **(readable or {})})
        try:
            command.run(sandbox, [on_disk(word) for word in words], env=self.env, cwd=self.working_dir)
        except BuildError as error:
            raise _failed(self.program, error) from error


def _answer(path: Path) -> object:
    """Read what the program has written; what stands in its place, or in it, may be the project's own."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found: object = json.loads(file.read(_ANSWER_MAX)) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else ""
    except (OSError, ValueError, RecursionError):
        found = ""
    return found


def _checked(found: object, working_dir: str) -> str:
    """Return the path of the folder in the image; relative to the working directory, as Django takes it."""
    if not isinstance(found, str) or not found:
        raise _unusable("nothing", "the settings do not set it, or the program does not end as Django's own does")
    place = posixpath.normpath(posixpath.join(working_dir, found))
    if not place.isprintable() or place.startswith("//"):
        raise _unusable(place, "it is no path")
    if f"{working_dir}/".startswith(f"{place.rstrip('/')}/"):
        raise _unusable(place, "the application is there")
    if f"{place}/".startswith(tuple(f"{taken}/" for taken in _TAKEN)):
        raise _unusable(place, "other files of the image are there")
    return place


def _failed(program: str, error: BuildError) -> BuildError:
    """Say that the project's program failed; that there can be no sandbox is said by itself."""
    if error.code != "IB862":
        return error
    return BuildError(
        f"cannot collect static files with {program}: {error.message}",
        details=error.details,
        hint="variables that the settings ask for can be set in [tool.imagebuilder.collectstatic-env], for this alone",
        code="IB935",
    )


def _unusable(place: str, why: str) -> BuildError:
    return BuildError(
        f"cannot collect static files: STATIC_ROOT is {place}: {why}",
        hint='set it to a folder of its own, as in STATIC_ROOT = BASE_DIR / "staticfiles"',
        code="IB936",
    )
