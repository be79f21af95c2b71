"""The lock: every input of the image by hash, and what its choice was made from (`imagebuilder.lock`, TOML).

The lock holds no address of an index or a mirror: files are found by name and hash on whichever is configured. The
Python packages stand in the form of PEP 751. Tables and keys have one order, so equal locks are equal bytes.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import tomli

from buildpacks.api import Folder, Interpreter, PinnedWheel, Pins, Require, Source
from imagebuilder import locked_packages as packages
from imagebuilder import recorded, smallfile, tables
from imagebuilder.base import locked
from imagebuilder.base.pins import Base
from imagebuilder.libraries import Library
from imagebuilder.recorded import RecordedLayer
from imagebuilder.tables import Table
from layers import blobs, canonical, tree
from layers.canonical import Json
from layers.digest import Digest
from layers.errors import StorageError, UsageError
from layers.values import dataclass, field

FILE = "imagebuilder.lock"
_VERSION = 1
_HEADER = "# Every input of the image, pinned by hash. Made by `imagebuilder lock`; commit it with the application.\n\n"


@dataclass(frozen=True, slots=True)
class LockedStep:
    """What a buildpack chose, and what it looked at: if any of that changes, the choice is made again.

    `files` maps a path to the digest of its content; `settings` a name to its value, empty if it was not given.
    `version` is that of a buildpack from outside.
    """

    pins: Pins
    requires: tuple[Require, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    interpreter: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class PlatformLock:
    """The pins of one platform: the base with all OS packages, and those of each buildpack by its id.

    `packages` and `build_packages` are the OS packages that were asked for; `libraries` what wheels need of the system.
    `tools` are the package managers that install, if it is not we; the image does not depend on them. `layers` are what
    the last build made of the pins: nothing is chosen from them, and they never make a lock stale.
    """

    base: Base
    packages: tuple[str, ...]
    steps: Mapping[str, LockedStep]
    build_packages: tuple[str, ...] = ()
    libraries: tuple[Library, ...] = ()
    tools: tuple[PinnedWheel, ...] = ()
    layers: tuple[RecordedLayer, ...] = ()

    @property
    def wheels(self) -> tuple[PinnedWheel, ...]:
        """All wheels."""
        return tuple(wheel for step in self.steps.values() for wheel in step.pins.wheels)

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter that a buildpack chose."""
        return next((step.pins.interpreter for step in self.steps.values() if step.pins.interpreter), None)

    @property
    def distributions(self) -> frozenset[str]:
        """The normalised names of all Python packages, and those of everything in a conda environment."""
        return frozenset(name for step in self.steps.values() for name in step.pins.names)

    @property
    def builds(self) -> bool:
        """Whether something is built from source."""
        return any(wheel.built for step in self.steps.values() for wheel in step.pins.wheels)

    @property
    def inputs(self) -> Digest:
        """Hash what is pinned, not when or from what: the same for any two locks that give the same image."""
        versions = {name: step.version for name, step in self.steps.items() if step.version}
        conda = [package.source.digest.value for step in self.steps.values() for package in step.pins.conda]
        return canonical.digest(
            {
                **({"buildpacks": versions} if versions else {}),
                **({"conda": conda} if conda else {}),
                "base": self.base.identity,
                "interpreter": _identity(self.interpreter),
                "wheels": {
                    name: [each for wheel in step.pins.wheels for each in _named(wheel)]
                    for name, step in self.steps.items()
                },
            }
        )


Lock = Mapping[str, PlatformLock]


def _named(wheel: PinnedWheel) -> tuple[str, ...]:
    """Name what a wheel comes from: a folder by its path, files by their hashes."""
    own = (f"./{wheel.source.path}",) if isinstance(wheel.source, Folder) else ()
    return (*own, *(source.digest.value for source in wheel.sources))


def read(folder: Path) -> Lock:
    """Read the lock of a project, by platform; empty if there is none.

    Raises UsageError IB431 if it cannot be understood, IB603 if it is a link that leads out of the application.
    """
    try:
        text = smallfile.read(_place(folder)).decode("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(str(error)) from error
    try:
        document = tomli.loads(text)
        if document["version"] != _VERSION:
            raise _unreadable(f"it has version {document['version']}, this imagebuilder reads {_VERSION}")
        return {name: _platform(table) for name, table in document["platforms"].items()}
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error


def write(folder: Path, lock: Lock) -> bool:
    """Write the lock of a project if it differs from what is there, and say whether it did.

    Raises StorageError IB601 if the folder cannot be written, UsageError IB603 as `read` does.
    """
    import tomli_w  # a build with a lock that fits does not write one

    document = {"version": _VERSION, "platforms": {name: _platform_table(lock[name]) for name in sorted(lock)}}
    content = (_HEADER + tomli_w.dumps(document)).encode()
    path = _place(folder)
    if path.is_file() and path.read_bytes() == content:
        return False
    try:
        blobs.write_file(path, content)
    except StorageError as error:
        raise StorageError(
            error.message,
            hint="run `imagebuilder lock` where the folder can be written, and bring the lock along with the files",
            code=error.code,
        ) from error
    return True


def _place(folder: Path) -> Path:
    """Return where the lock is: a link to another file of the application is followed, one that leads out is not.

    Whoever wrote the application could otherwise have a file of the user's replaced.
    """
    place = Path(os.path.realpath(folder / FILE))
    if not place.is_relative_to(folder.resolve()):
        raise tree.leads_out(FILE, str(place))
    return place


def _unreadable(reason: str) -> UsageError:
    return UsageError(
        f"cannot read {FILE}: {reason}", hint="repair it, or remove it and run `imagebuilder lock`", code="IB431"
    )


def _platform_table(lock: PlatformLock) -> dict[str, Json]:
    steps = {name: _step_table(step) for name, step in lock.steps.items()}
    table: dict[str, Json] = {
        "base": locked.to_table(lock.base, lock.packages, lock.build_packages),
        "buildpacks": steps,
    }
    if lock.libraries:
        table["libraries"] = [_library_table(each) for each in lock.libraries]
    if lock.tools:
        table["tools"] = [packages.wheel_table(wheel) for wheel in lock.tools]
    if lock.layers:
        table["layers"] = [each.to_json() for each in lock.layers]
    return table


def _library_table(library: Library) -> dict[str, Json]:
    return {
        "name": library.name,
        "needed-by": list(library.needed_by),
        **({"packages": list(library.packages)} if library.packages else {}),
    }


def _identity(interpreter: Interpreter | None) -> Json:
    """What decides the bytes of an interpreter besides the base that it may be a part of."""
    if interpreter is None:
        return ""
    return [interpreter.version, interpreter.archive.digest.value] if interpreter.archive else interpreter.version


def _step_table(step: LockedStep) -> dict[str, Json]:
    table: dict[str, Json] = {}
    if step.version:
        table["version"] = step.version
    if step.interpreter:
        table["python"] = step.interpreter
    if step.pins.os_packages:
        table["os-packages"] = list(step.pins.os_packages)
    for name, values in (("files", step.files), ("settings", step.settings)):
        if values:
            table[name] = {key: values[key] for key in sorted(values)}
    if step.requires:
        table["requires"] = [_require_table(require) for require in step.requires]
    if interpreter := step.pins.interpreter:
        table["interpreter"] = _interpreter_table(interpreter)
    if step.pins.wheels:
        table["packages"] = [packages.wheel_table(wheel) for wheel in step.pins.wheels]
    if step.pins.conda:
        table["conda"] = [packages.conda_table(package) for package in step.pins.conda]
    return table


def _interpreter_table(interpreter: Interpreter) -> dict[str, Json]:
    table: dict[str, Json] = {
        "version": interpreter.version,
        "executable": interpreter.executable,
        "origin": interpreter.origin,
    }
    archive = interpreter.archive
    if archive is None:
        return {**table, "packages": list(interpreter.packages)}
    place = "url" if archive.kind == "url" else "path"
    return {
        **table,
        "archive": {"name": archive.name, place: archive.locator, "hashes": {"sha256": archive.digest.hex}},
    }


def _require_table(require: Require) -> dict[str, Json]:
    return {
        "name": require.name,
        "build": require.build,
        "launch": require.launch,
        "version": require.version,
        "version-source": require.version_source,
    }


def _platform(value: object) -> PlatformLock:
    platform = tables.table(value)
    base = platform.table("base")
    steps = platform.table("buildpacks").values
    return PlatformLock(
        locked.from_table(base),
        base.texts("requested"),
        {name: _step(tables.table(steps[name])) for name in steps},
        base.texts("build-requested"),
        tuple(
            Library(each.text("name"), each.texts("needed-by"), each.texts("packages"))
            for each in platform.tables("libraries")
        ),
        tuple(map(packages.wheel, platform.tables("tools"))),
        tuple(map(recorded.from_table, platform.tables("layers"))),
    )


def _step(table: Table) -> LockedStep:
    interpreter = _interpreter(table.table("interpreter")) if "interpreter" in table.values else None
    return LockedStep(
        Pins(
            interpreter,
            tuple(map(packages.wheel, table.tables("packages"))),
            table.texts("os-packages"),
            tuple(map(packages.conda, table.tables("conda"))),
        ),
        tuple(_require(require) for require in table.tables("requires")),
        table.mapping("files"),
        table.mapping("settings"),
        table.text("python", ""),
        table.text("version", ""),
    )


def _interpreter(table: Table) -> Interpreter:
    archive = None
    if "archive" in table.values:
        file = table.table("archive")
        url = file.text("url", "")
        archive = Source(
            kind="url" if url else "python",
            name=file.text("name"),
            digest=Digest("sha256:" + file.table("hashes").text("sha256")),
            size=None,
            locator=url or file.text("path"),
        )
    return Interpreter(
        table.text("version"), table.text("executable"), table.text("origin"), table.texts("packages"), archive
    )


def _require(table: Table) -> Require:
    return Require(
        table.text("name"),
        table.flag("build"),
        table.flag("launch"),
        table.text("version"),
        table.text("version-source"),
    )
