"""What a buildpack is given and what it answers with (Cloud Native Buildpacks vocabulary; Paketo RFC 0001).

A buildpack is a name and plain functions. `detect` looks at the application and offers a plan; `pin` chooses
versions and is the only one that may ask the network, through what its context holds; `build` describes layers.
None of them writes a file, reads the environment or starts a process.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from buildpacks.app import App as App
from buildpacks.app import Setting as Setting
from buildpacks.app import value_at as value_at
from buildpacks.pinned import Built as Built
from buildpacks.pinned import Files as Files
from buildpacks.pinned import Folder as Folder
from buildpacks.pinned import PinnedConda as PinnedConda
from buildpacks.pinned import PinnedWheel as PinnedWheel
from buildpacks.pinned import Repository as Repository
from buildpacks.pinned import Source as Source
from buildpacks.services import Compiler, CondaSolver, Installer, Listings, Resolver, WheelBuilder
from layers.canonical import Json
from layers.descriptor import Platform
from layers.entry import Entry
from layers.values import dataclass, field


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
