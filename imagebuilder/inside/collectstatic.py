"""Static files of a Django project, collected by its own `collectstatic` in the image that serves them.

It runs in the sandbox: with the image's files and environment, without a network, and can write only where STATIC_ROOT
is. What it leaves there is a layer above the application.
"""

import json
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildpacks.api import Files, LayerSpec, Source
from imagebuilder.cache import Cache
from imagebuilder.inside import find_static_root
from imagebuilder.inside.laid_out import lay_out, mounted
from imagebuilder.inside.runnable import Runnable
from imagebuilder.sandbox import command
from imagebuilder.sandbox.box import EPOCH, Sandbox
from layers import entry, tree
from layers.canonical import Json
from layers.entry import Entry
from layers.errors import BuildError, UsageError
from layers.layer import Layer
from layers.unpack import on_disk, unpack

NAME = "static files"
_PROGRAM, _RESULT, _ANSWER = "/build/program", "/build/result", "answer.json"
_ANSWER_MAX = 64 << 10
# Below these is what images, engines and sandboxes have for themselves.
_TAKEN = ("/build", "/cnb", "/dev", "/layers", "/proc", "/sys", "/tmp", "/usr")  # noqa: S108 paths of an image


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """What has to be known to collect: the image, its layers above the base, and how its processes run.

    `program` is the project's manage.py, relative to `working_dir`. `fetch` brings packages of the base. `scratch` is a
    folder that lasts until the layer is written.
    """

    image: Runnable
    layers: Sequence[Layer]
    program: str
    working_dir: str
    env: Mapping[str, str]
    cache: Cache
    fetch: Callable[[Sequence[Source]], Files]
    scratch: Path

    def layer(self) -> LayerSpec:
        """Describe the layer. It is made again if anything of the image has changed, or a variable."""
        key: dict[str, Json] = {
            "layer": "collectstatic",
            "packages": self.image.base_key.value,
            "layers": [layer.diff_id.value for layer in self.layers],
            "program": self.program,
            "working_dir": self.working_dir,
            "env": dict(self.env),
        }
        return LayerSpec(NAME, key, lambda _files: self._collect())

    def _collect(self) -> Iterable[Entry]:
        made = self.scratch / "collectstatic"
        made.mkdir()
        folder, root = made / "image", self.image.base(self.cache, self.fetch)
        lay_out(self.layers, self.cache.store, spools=made, folder=folder)
        place = self._find(made, folder, root)
        ours = folder / on_disk(place.strip("/"))
        static = made / "static"
        try:
            ours.mkdir(parents=True, exist_ok=True)
            static.mkdir()
        except OSError as error:
            raise _unusable(place, f"there can be no such folder: {error.strerror}") from error
        # What the application itself has there stays below the layer, and is not seen here.
        self._run(
            ["python", self.program, "collectstatic", "--noinput"], folder, root, writable={on_disk(place): static}
        )
        return tree.entries(static, at=place.strip("/"), ignored=lambda _path: False)

    def _find(self, made: Path, folder: Path, root: Path) -> str:
        """Ask the project where its static files are to be."""
        program = Path(find_static_root.__file__)
        unpack([entry.file(program.name, program.read_bytes())], made / "program", time_s=EPOCH)
        (made / "result").mkdir()
        self._run(
            ["python", "-B", f"{_PROGRAM}/{program.name}", f"{_RESULT}/{_ANSWER}", self.program],
            folder,
            root,
            readable={_PROGRAM: made / "program"},
            writable={_RESULT: made / "result"},
        )
        return _checked(_answer(made / "result" / _ANSWER), self.working_dir)

    def _run(
        self,
        words: Sequence[str],
        folder: Path,
        root: Path,
        *,
        writable: Mapping[str, Path],
        readable: Mapping[str, Path] | None = None,
    ) -> None:
        image = {place: path for place, path in mounted(folder, root) if place not in writable}
        sandbox = Sandbox(root, writable, {**image, **(readable or {})})
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


def check_program(program: str, *, there: bool) -> None:
    """Refuse a program that the application does not have; UsageError IB934."""
    if not there:
        raise UsageError(
            f"cannot collect static files: there is no {program}",
            hint='name the program that manages the project, relative to it, as in collectstatic = "manage.py"',
            code="IB934",
        )


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
