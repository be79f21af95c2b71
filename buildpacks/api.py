"""What a buildpack is given and what it answers with (Cloud Native Buildpacks vocabulary; Paketo RFC 0001).

A buildpack is a name and plain functions. `detect` looks at the application and offers a plan; `pin` chooses
versions and is the only one that may ask the network, through what its context holds; `build` describes layers.
None of them writes a file, reads the environment or starts a process.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

import tomli

from buildpacks.pinned import Built as Built
from buildpacks.pinned import Files as Files
from buildpacks.pinned import Folder as Folder
from buildpacks.pinned import PinnedConda as PinnedConda
from buildpacks.pinned import PinnedWheel as PinnedWheel
from buildpacks.pinned import Repository as Repository
from buildpacks.pinned import Source as Source
from buildpacks.services import Compiler, CondaSolver, Installer, Listings, Resolver, WheelBuilder
from layers import tree
from layers.canonical import Json
from layers.descriptor import Platform
from layers.entry import Entry
from layers.errors import UsageError
from layers.values import dataclass, field

# No file that a buildpack reads as text is near this; it bounds what a mistaken name can cost.
_TEXT_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Setting:
    """A value the user gave, and where: `--python`, `BP_CPYTHON_VERSION`, `pyproject.toml [tool.imagebuilder]`."""

    value: str
    origin: str


@dataclass(frozen=True)
class App:
    """The application as a buildpack may see it: its files, and the settings its user gave.

    `settings` is keyed by configuration key (`python`, `requirements`, `entry`) or variable (`BP_PIP_REQUIREMENT`).
    `processes` are those of the configuration: type to command line. `on_read` is told every path that `text` reads,
    so that the lock can name the files its pins were made from; `on_look` of every path that is looked at.
    """

    root: Path
    settings: Mapping[str, Setting] = field(default_factory=dict)
    processes: Mapping[str, Setting] = field(default_factory=dict)
    ignored: Callable[[str], bool] = lambda _path: False
    on_read: Callable[[str], None] = lambda _path: None
    on_look: Callable[[str], None] = lambda _path: None

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Every file that would go into the image, sorted by the bytes of its path."""
        return tree.list_files(self.root, ignored=self.ignored)

    def has(self, path: str) -> bool:
        """Say whether there is a regular file at `path`, or a link to one in the tree. Ignored files count too."""
        try:
            return stat.S_ISREG(self._resolve(path).stat().st_mode)
        except (OSError, ValueError):
            return False

    def text(self, path: str) -> str:
        """Return a file's text; UsageError IB103 if it is missing, outside the tree, no regular file, or not UTF-8."""
        self.on_read(path)
        try:
            with os.fdopen(os.open(self._resolve(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise _unreadable(path, "it is not a regular file")
                content = file.read(_TEXT_LIMIT + 1)
        except (OSError, ValueError) as error:
            raise _unreadable(path, (isinstance(error, OSError) and error.strerror) or str(error)) from error
        if len(content) > _TEXT_LIMIT:
            raise _unreadable(path, f"it has more than {_TEXT_LIMIT} bytes")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _unreadable(path, "it is not UTF-8") from error

    def toml(self, path: str) -> Mapping[str, object]:
        """Return a parsed TOML file; UsageError IB103 if it cannot be read or parsed."""
        try:
            return tomli.loads(self.text(path))
        except (ValueError, RecursionError) as error:  # numbers of too many digits are no TOMLDecodeError
            raise _unreadable(path, f"it is not TOML: {error}") from error

    def json(self, path: str) -> Mapping[str, object]:
        """Return a parsed JSON file that holds an object; UsageError IB103 if it cannot be read or parsed."""
        try:
            document: object = json.loads(self.text(path))
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, f"it is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise _unreadable(path, "it is not a JSON object")
        return document

    def _resolve(self, path: str) -> Path:
        """Follow links, as long as they stay in the tree."""
        self.on_look(path)
        root = self.root.resolve()
        resolved = Path(os.path.realpath(root / path, strict=True))  # Path.resolve has no OSError for a loop
        if not resolved.is_relative_to(root):
            raise ValueError("it leads out of the application's folder")
        return resolved

    def real(self, folder: str) -> str:
        """Return a folder's path without links; UsageError IB103 if it is missing, or outside the tree."""
        try:
            return self._resolve(folder).relative_to(self.root.resolve()).as_posix()
        except (OSError, ValueError) as error:
            raise _unreadable(folder, (isinstance(error, OSError) and error.strerror) or str(error)) from error

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Return the paths that match a pattern (`*.py`), sorted; `*` does not cross a folder."""
        depth = pattern.count("/")
        return tuple(path for path in self.files if path.count("/") == depth and PurePosixPath(path).match(pattern))

    def setting(self, *names: str) -> Setting | None:
        """Return the first of these settings that was given."""
        return next((self.settings[name] for name in names if name in self.settings), None)


def value_at(document: object, *keys: str) -> object:
    """Return what stands under a path of keys in a parsed document; None if there is nothing."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _unreadable(path: str, reason: str) -> UsageError:
    return UsageError(
        f"cannot read {path}: {reason}", hint="check the file's name, permissions, encoding and syntax", code="IB103"
    )


@dataclass(frozen=True, slots=True)
class Require:
    """A thing a buildpack needs during build, at launch, or both; `version_source` says who asked for the version."""

    name: str
    build: bool = False
    launch: bool = False
    version: str = ""
    version_source: str = ""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a buildpack provides and requires; `alternatives` are the plans of its `or`, tried in order after it."""

    provides: tuple[str, ...] = ()
    requires: tuple[Require, ...] = ()
    alternatives: tuple["BuildPlan", ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """A buildpack does not fit; the reason is shown to the user when no group fits."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython that the image can have: full version, path in the image, and what brings it.

    That is OS packages, or an archive of a standalone build; neither for one that the base image has.
    """

    version: str
    executable: str
    origin: str
    packages: tuple[str, ...] = ()
    archive: Source | None = None

    @property
    def series(self) -> str:
        """`3.13` of `3.13.5`."""
        return re.match(r"\d+\.\d+", self.version)[0]  # type: ignore[index]  # versions come from package indexes


@dataclass(frozen=True, slots=True)
class Target:
    """What the image will run on: decides which wheels fit."""

    platform: Platform
    distribution: str
    glibc: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pins:
    """What a buildpack chose: at most one interpreter, wheels, and OS packages the application needs at run time."""

    interpreter: Interpreter | None = None
    wheels: tuple[PinnedWheel, ...] = ()
    os_packages: tuple[str, ...] = ()
    conda: tuple[PinnedConda, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all packages that are installed for Python."""
        return frozenset((*(each.name for each in self.wheels), *(each.name for each in self.conda)))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a choice of versions depends on besides the requirements.

    Versions of `previous` are kept where they fit. `built` is wanted beside what the requirements name; in the answer
    it has no files, but directories. `indexes` names by project the only index that it may come from.
    """

    interpreter: Interpreter
    target: Target
    previous: tuple[PinnedWheel, ...] = ()
    built: tuple[Built, ...] = ()
    indexes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PinContext:
    """What `pin` may use. `interpreter` was pinned by an earlier buildpack; `previous` are this one's old pins.

    `interpreters` lists what the base offers, then standalone builds; it reads the package index, so only the buildpack
    that chooses calls it.
    """

    app: App
    requires: tuple[Require, ...]
    target: Target
    interpreters: Callable[[], tuple[Interpreter, ...]]
    interpreter: Interpreter | None
    resolver: Resolver
    previous: Pins = Pins()
    conda: CondaSolver | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """A way to start the image (CNB launch process). `command` is exec-form; `origin` says who decided."""

    type: str
    command: tuple[str, ...]
    origin: str
    default: bool = False
    stop_signal: str = "SIGTERM"


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """A layer before it is made.

    `key` names everything its bytes depend on: equal keys, equal bytes, so a layer is looked up by it and `entries`
    is called only when it has to be made. An empty key means: not looked up. `sources` are fetched before, in
    parallel with those of other layers, and handed to `entries` as files on disk whose hashes have been checked.
    `plan` shows the `packages` that are in a layer, and `why` they are together. `pinned`: all that its bytes depend on
    is in the lock, and nothing in the folder of the application. `local` is the folder it is made of, if its key means
    something on this machine alone. `lighter` returns the same layer made of fewer sources, if it can be.
    """

    name: str
    key: Mapping[str, Json]
    entries: Callable[[Files], Iterable[Entry]]
    sources: tuple[Source, ...] = ()
    packages: tuple[str, ...] = ()
    why: str = ""
    pinned: bool = False
    local: str = ""
    lighter: "Callable[[], LayerSpec] | None" = None


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What `build` may use. `distributions` are the normalised names of all packages pinned by any buildpack.

    `builder` is None where nothing has to be built from source; `compiler` is there if the user wants bytecode,
    `installer` if package managers are to install, and not we. `scratch` is a folder that outlives the entries of the
    layers, None where none are made; `listings` are None where nothing may be taken of earlier builds.
    """

    app: App
    requires: tuple[Require, ...]
    target: Target
    interpreter: Interpreter | None
    pins: Pins
    distributions: frozenset[str]
    builder: WheelBuilder | None = None
    compiler: Compiler | None = None
    installer: Installer | None = None
    scratch: Path | None = None
    listings: Listings | None = None
    warn: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a buildpack adds to the image. `env` is the run-time environment; PATH is prepended to the base's.

    Of several processes of one type the last wins, within a buildpack and in the order of the group; the last process
    that says `default` is the default one (CNB buildpack specification, launch.toml).
    """

    layers: tuple[LayerSpec, ...] = ()
    processes: tuple[Process, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Buildpack:
    """A name and its functions. Values in, values out; no inheritance. Its module calls it BUILDPACK.

    `names` are the normalised names of the packages it would install, as far as they are known before `pin`.

    The rest is for those from outside (docs/buildpacks.md): an `installer` has a group of its own, tried before ours,
    an `addition` is optional in every group; `version` and `origin` are found when it is loaded.
    """

    id: str
    detect: Callable[[App], BuildPlan | Fail]
    pin: Callable[[PinContext], Pins] = lambda _context: Pins()
    build: Callable[[BuildContext], BuildResult] = lambda _context: BuildResult()
    names: Callable[[App], tuple[str, ...]] = lambda _app: ()
    place: Literal["addition", "installer"] = "addition"
    version: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Element:
    """A place in an order group. An optional one may be left out."""

    buildpack: Buildpack
    optional: bool = False


Group = tuple[Element, ...]
Order = tuple[Group, ...]
