"""The environment: pinned wheels as layers of one virtual environment, whichever buildpack pinned them.

Installed paths are those of `python -m venv /layers/site-packages`, so a package has the same layer digest in every
application. Which wheels share a layer is the matter of buildpacks/grouping.py: adding a package makes and sends that
package and little else. A tiny layer holds the environment itself; the wheels are checked against each other when it is
made.
"""

import functools
import posixpath
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from buildpacks.api import BuildContext, BuildResult, Files, Folder, Interpreter, LayerSpec, PinnedWheel, Source
from buildpacks.grouping import Group, groups
from buildpacks.services import Compiler, Installer, Listings, WheelBuilder
from layers import entry
from layers.canonical import Json
from layers.entry import Entry
from layers.errors import IntegrityError
from layers.listing import Listing, check, listing
from layers.values import dataclass, field, replace
from layers.wheel import Scheme, Wheel, merge, read_wheel, wheel_entries

_PREFIX = "layers/site-packages"
_SHARED = "site-packages"
# With three of the base and five of others no more than 100: overlayfs stacks 127, and Docker 125.
MOST_LAYERS = 72
MOST_BYTECODE_LAYERS = 20


def build(context: BuildContext) -> BuildResult:
    """Describe the layers, and how the interpreter of the environment is found. The `build` of every installer."""
    interpreter, wheels = interpreter_of(context.interpreter), context.pins.wheels
    way = _Way(wheels, interpreter, scheme(interpreter), context.builder, context.installer)
    if not context.installer:
        way = replace(way, listings=context.listings)
    layers = way.layers()
    if context.compiler:
        layers += way.bytecode_layers(context.compiler)
    return BuildResult(layers, env={"PATH": f"/{_PREFIX}/bin", "VIRTUAL_ENV": f"/{_PREFIX}"})


def interpreter_of(interpreter: Interpreter | None) -> Interpreter:
    """Return the interpreter that an earlier buildpack pinned."""
    if interpreter is None:
        raise RuntimeError("in every group cpython comes before what installs packages")
    return interpreter


def wheel_layers(
    wheels: Sequence[PinnedWheel], interpreter: Interpreter, builder: WheelBuilder | None = None
) -> tuple[LayerSpec, ...]:
    """Describe the layers of a virtual environment that holds these wheels; those from source come of the builder."""
    return _Way(tuple(wheels), interpreter, scheme(interpreter), builder).layers()


def entries(wheels: Sequence[PinnedWheel], interpreter: Interpreter, files: Files, *, prefix: str) -> tuple[Entry, ...]:
    """List the files of a whole virtual environment at `prefix`, made of wheels none of which has to be built."""
    way = _Way(tuple(wheels), interpreter, scheme(interpreter, prefix=prefix))
    return merge([("the virtual environment", way.own_entries()), *way.installed(wheels, files)])


def own_entries(interpreter: Interpreter, *, prefix: str) -> tuple[Entry, ...]:
    """List the files of a virtual environment without any packages."""
    return _Way((), interpreter, scheme(interpreter, prefix=prefix)).own_entries()


def scheme(interpreter: Interpreter, *, prefix: str = _PREFIX) -> Scheme:
    """Return where packages go in a virtual environment: by default in that of the image."""
    return Scheme(prefix, interpreter.series, f"/{prefix}/bin/python")


class _Known:
    """What wheels install: found out once, by the layer that needs it first, while others that need it wait."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._entries: dict[str, tuple[Entry, ...]] = {}

    def get(self, name: str, read: Callable[[], tuple[Entry, ...]]) -> tuple[Entry, ...]:
        """Return the files of the wheel of a package."""
        with self._locks[name]:
            if name not in self._entries:
                self._entries[name] = read()
            return self._entries[name]


@dataclass(frozen=True, slots=True)
class _Way:
    """How wheels become the files of an environment; `wheels` are all that are in it.

    With an installer the contents are what it makes of the wheels; the layers are the same otherwise. `listings` keep
    from build to build what wheels install.
    """

    wheels: tuple[PinnedWheel, ...]
    interpreter: Interpreter
    scheme: Scheme
    builder: WheelBuilder | None = None
    installer: Installer | None = None
    listings: Listings | None = None
    known: _Known = field(default_factory=_Known)

    def layers(self) -> tuple[LayerSpec, ...]:
        """Describe the layers."""
        return (
            self._environment_layer({}),
            *(self._wheels_layer(group, wheels) for group, wheels in grouped(self.wheels, MOST_LAYERS)),
        )

    def bytecode_layers(self, compiler: Compiler) -> tuple[LayerSpec, ...]:
        """Describe the bytecode of the layers of wheels, each as a layer of its own."""

        def layer(group: Group, wheels: Sequence[PinnedWheel]) -> LayerSpec:
            return LayerSpec(
                f"bytecode {group.layer(_SHARED)}",
                {**self._key("bytecode", wheels), "compiler": compiler.recipe()},
                lambda files: compiler.modules(merge(self.installed(wheels, files)), self.scheme.site_packages),
                self._sources(wheels),
                packages=group.members,
                why=group.why,
                pinned=self._pinned(wheels),
            )

        return tuple(layer(group, wheels) for group, wheels in grouped(self.wheels, MOST_BYTECODE_LAYERS))

    def own_entries(self) -> tuple[Entry, ...]:
        """List what `python -m venv` makes, without the patch release and the links that nothing reads (lib64)."""
        home, series = posixpath.dirname(self.interpreter.executable), self.interpreter.series
        settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {series}\n"
        prefix = self.scheme.prefix
        return (
            entry.symlink(f"{prefix}/bin/python", self.interpreter.executable),
            entry.symlink(f"{prefix}/bin/python3", "python"),
            entry.symlink(f"{prefix}/bin/python{series}", "python"),
            entry.directory(self.scheme.site_packages),
            entry.file(f"{prefix}/pyvenv.cfg", settings.encode()),
        )

    def installed(self, wheels: Sequence[PinnedWheel], files: Files) -> list[tuple[str, tuple[Entry, ...]]]:
        """Return the files of some of the wheels, each with what it is called."""
        from layers.installed import like_wheel  # only who makes layers reads what is in them

        found = []
        by_installer = self.installer.install(files) if self.installer else {}
        for pin in wheels:
            own = self.known.get(pin.name, functools.partial(self._own, pin, files))
            installed = by_installer.get(pin.name)
            found.append((f"{pin.name} {pin.version}", own if installed is None else like_wheel(installed, own)))
        return found

    def _own(self, pin: PinnedWheel, files: Files) -> tuple[Entry, ...]:
        return wheel_entries(read(pin, _file(pin, files, self.builder)), self.scheme)

    def _wheels_layer(self, group: Group, wheels: Sequence[PinnedWheel]) -> LayerSpec:
        return LayerSpec(
            group.layer(_SHARED),
            self._key("wheels", wheels),
            lambda files: merge(self.installed(wheels, files)),
            self._sources(wheels),
            packages=group.members,
            why=group.why,
            pinned=self._pinned(wheels),
        )

    def _environment_layer(self, known: Mapping[str, Listing]) -> LayerSpec:
        """Describe the layer of the environment itself; of wheels whose listings are `known` it needs no files."""
        own = self.own_entries()
        unknown = [wheel for wheel in self.wheels if wheel.name not in known]

        def checked(files: Files) -> Iterable[Entry]:
            read = zip(unknown, self.installed(unknown, files), strict=True)
            found = {**known, **{wheel.name: self._listing(wheel, entries) for wheel, (_, entries) in read}}
            listings = [(f"{wheel.name} {wheel.version}", found[wheel.name]) for wheel in self.wheels]
            check([("the virtual environment", listing(own)), *listings])
            return own

        return LayerSpec(
            "environment",
            {**self._key("environment", self.wheels), "executable": self.interpreter.executable},
            checked,
            self._sources(unknown),
            pinned=self._pinned(self.wheels),
            lighter=lambda: self._environment_layer(self._known_listings()),
        )

    def _known_listings(self) -> dict[str, Listing]:
        """Return what earlier builds have found out about wheels."""
        if self.listings is None:
            return {}
        found = {
            wheel.name: self.listings.find_listing(self._listing_key(wheel)) for wheel in self.wheels if not wheel.built
        }
        return {name: one for name, one in found.items() if one is not None}

    def _listing(self, wheel: PinnedWheel, entries: Sequence[Entry]) -> Listing:
        found = listing(entries)
        if self.listings and not wheel.built:
            self.listings.remember_listing(self._listing_key(wheel), found)
        return found

    def _listing_key(self, wheel: PinnedWheel) -> dict[str, Json]:
        """Name what decides what a wheel installs; a wheel is refused if it is not of this name and version."""
        return {**self._key("listing", [wheel]), "name": wheel.name, "version": wheel.version}

    def _sources(self, wheels: Sequence[PinnedWheel]) -> tuple[Source, ...]:
        """List the files that a layer is made of."""
        own = self.installer.sources if self.installer else ()
        return (*(source for wheel in self._needed(wheels) for source in wheel.sources), *own)

    def _pinned(self, wheels: Sequence[PinnedWheel]) -> bool:
        """Say whether a layer is made of nothing that is in a folder of the application."""
        return not any(isinstance(wheel.source, Folder) for wheel in self._needed(wheels))

    def _needed(self, wheels: Sequence[PinnedWheel]) -> Sequence[PinnedWheel]:
        """Return what the layer of some wheels is made of; who installs everything at once needs everything."""
        return self.wheels if self.installer else wheels

    def _key(self, layer: str, wheels: Sequence[PinnedWheel]) -> dict[str, Json]:
        recipes = [_builder_of(self.builder).recipe(wheel) for wheel in wheels if wheel.built]
        key: dict[str, Json] = {
            "layer": layer,
            "prefix": self.scheme.prefix,
            "python": self.scheme.python,
            "series": self.scheme.series,
            "wheels": sorted(source.digest.value for wheel in wheels if not wheel.built for source in wheel.sources),
        }
        installed: dict[str, Json] = {"installer": self.installer.recipe()} if self.installer else {}
        return {**key, **({"recipes": recipes} if recipes else {}), **installed}


def grouped(wheels: Sequence[PinnedWheel], most: int) -> Iterator[tuple[Group, list[PinnedWheel]]]:
    """Yield the wheels that share a layer, and why they do."""
    by_name = {wheel.name: wheel for wheel in wheels}
    sizes = {wheel.name: wheel.size for wheel in wheels}
    for group in groups(sizes, most=most, built=(wheel.name for wheel in wheels if wheel.built)):
        yield group, [by_name[name] for name in group.members]


def _file(pin: PinnedWheel, files: Files, builder: WheelBuilder | None) -> Path:
    return _builder_of(builder).build(pin, files) if pin.built else files[pin.sources[0].digest]


def _builder_of(builder: WheelBuilder | None) -> WheelBuilder:
    if builder is None:
        raise RuntimeError("what is pinned from source comes with a builder")
    return builder


def read(pin: PinnedWheel, path: Path) -> Wheel:
    """Read a wheel and check that it is what its file name and its index said."""
    wheel = read_wheel(path)
    if wheel.name != pin.name or (pin.version and not _is_same(wheel.version, pin.version)):
        raise IntegrityError(
            f"{pin.source.name} holds {wheel.name} {wheel.version}, and not {pin}",
            hint="its file was renamed or its index is wrong; do not use it",
            code="IB511",
        )
    return wheel


def _is_same(version: str, other: str) -> bool:
    """Say whether two versions are the same; nearly always they are so to the letter."""
    if version == other:
        return True
    from packaging.version import InvalidVersion, Version  # 3 ms

    try:
        return Version(version) == Version(other)
    except InvalidVersion:
        return False
