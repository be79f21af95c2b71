"""The environment: pinned wheels as layers of one virtual environment, whichever buildpack pinned them.

Installed paths are those of `python -m venv /layers/site-packages`, so a package has the same layer digest in every
application. A large wheel has a layer of its own, and so has each that is built from source: adding a package makes
and sends that package alone. A tiny layer holds the environment itself; the wheels are checked against each other when
it is made.
"""

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from buildpacks.api import BuildContext, BuildResult, Files, Interpreter, LayerSpec, PinnedWheel, Source
from buildpacks.services import Compiler, WheelBuilder
from layers import entry
from layers.canonical import Json
from layers.entry import Entry
from layers.errors import IntegrityError
from layers.wheel import Scheme, Wheel, merge, read_wheel, wheel_entries

_PREFIX = "layers/site-packages"
# docs/decisions/0022-a-layer-for-each-large-wheel.md
_LARGE = 1 << 20
_MOST_LAYERS = 64
# Beside those and the base's, so that all stay below what engines take: overlayfs stacks 127, and Docker 125.
_MOST_BYTECODE_LAYERS = 32


def build(context: BuildContext) -> BuildResult:
    """Describe the layers, and how the interpreter of the environment is found. The `build` of every installer."""
    interpreter = interpreter_of(context.interpreter)
    layers = wheel_layers(context.pins.wheels, interpreter, context.builder)
    if context.compiler:
        layers += _bytecode_layers(context.pins.wheels, interpreter, context.builder, context.compiler)
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
    scheme = _scheme(_PREFIX, interpreter)
    return (
        _environment_layer(wheels, interpreter, scheme, builder),
        *(_wheels_layer(name, group, scheme, builder) for name, group in _groups(wheels, _MOST_LAYERS)),
    )


def _bytecode_layers(
    wheels: Sequence[PinnedWheel], interpreter: Interpreter, builder: WheelBuilder | None, compiler: Compiler
) -> tuple[LayerSpec, ...]:
    """Describe the bytecode of the layers of wheels, each as a layer of its own."""
    scheme = _scheme(_PREFIX, interpreter)

    def layer(name: str, group: Sequence[PinnedWheel]) -> LayerSpec:
        return LayerSpec(
            f"bytecode {name}",
            {**_key("bytecode", group, scheme, builder), "compiler": compiler.recipe()},
            lambda files: compiler.modules(merge(_installed(group, scheme, files, builder)), scheme.site_packages),
            _sources(group),
        )

    return tuple(layer(name, group) for name, group in _groups(wheels, _MOST_BYTECODE_LAYERS))


def _groups(wheels: Sequence[PinnedWheel], most: int) -> list[tuple[str, list[PinnedWheel]]]:
    """Name the layers, and the wheels of each: at most so many that are large or built here have one for themselves."""
    first = sorted(wheels, key=lambda wheel: (not wheel.built, -wheel.size, wheel.name))
    apart = [wheel for wheel in first[:most] if wheel.built or wheel.size >= _LARGE]
    shared = sorted((wheel for wheel in wheels if wheel not in apart), key=lambda wheel: wheel.name)
    groups = [(wheel.name, [wheel]) for wheel in sorted(apart, key=lambda wheel: wheel.name)]
    return [*groups, ("site-packages", shared)] if shared else groups


def entries(wheels: Sequence[PinnedWheel], interpreter: Interpreter, files: Files, *, prefix: str) -> tuple[Entry, ...]:
    """List the files of a whole virtual environment at `prefix`, made of wheels none of which has to be built."""
    scheme = _scheme(prefix, interpreter)
    own = ("the virtual environment", _own_entries(interpreter, scheme))
    return merge([own, *_installed(wheels, scheme, files, None)])


def _scheme(prefix: str, interpreter: Interpreter) -> Scheme:
    return Scheme(prefix, interpreter.series, f"/{prefix}/bin/python")


def _wheels_layer(name: str, wheels: Sequence[PinnedWheel], scheme: Scheme, builder: WheelBuilder | None) -> LayerSpec:
    return LayerSpec(
        name,
        _key("wheels", wheels, scheme, builder),
        lambda files: merge(_installed(wheels, scheme, files, builder)),
        _sources(wheels),
    )


def _environment_layer(
    wheels: Sequence[PinnedWheel], interpreter: Interpreter, scheme: Scheme, builder: WheelBuilder | None
) -> LayerSpec:
    own = _own_entries(interpreter, scheme)

    def checked(files: Files) -> Iterable[Entry]:
        merge([("the virtual environment", own), *_installed(wheels, scheme, files, builder)])
        return own

    key = {**_key("environment", wheels, scheme, builder), "executable": interpreter.executable}
    return LayerSpec("environment", key, checked, _sources(wheels))


def _own_entries(interpreter: Interpreter, scheme: Scheme) -> tuple[Entry, ...]:
    """List what `python -m venv` makes, without the patch release and the links that nothing reads (lib64)."""
    home = posixpath.dirname(interpreter.executable)
    settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {interpreter.series}\n"
    return (
        entry.symlink(f"{scheme.prefix}/bin/python", interpreter.executable),
        entry.symlink(f"{scheme.prefix}/bin/python3", "python"),
        entry.symlink(f"{scheme.prefix}/bin/python{interpreter.series}", "python"),
        entry.directory(scheme.site_packages),
        entry.file(f"{scheme.prefix}/pyvenv.cfg", settings.encode()),
    )


def _installed(
    wheels: Sequence[PinnedWheel], scheme: Scheme, files: Files, builder: WheelBuilder | None
) -> list[tuple[str, tuple[Entry, ...]]]:
    return [
        (f"{pin.name} {pin.version}", wheel_entries(_read(pin, _file(pin, files, builder)), scheme)) for pin in wheels
    ]


def _file(pin: PinnedWheel, files: Files, builder: WheelBuilder | None) -> Path:
    return _builder_of(builder).build(pin, files) if pin.built else files[pin.sources[0].digest]


def _builder_of(builder: WheelBuilder | None) -> WheelBuilder:
    if builder is None:
        raise RuntimeError("what is pinned from source comes with a builder")
    return builder


def _read(pin: PinnedWheel, path: Path) -> Wheel:
    """Read a wheel and check that it is what its file name and its index said."""
    from packaging.version import InvalidVersion, Version  # only who makes a layer compares versions

    wheel = read_wheel(path)
    try:
        same = wheel.name == pin.name and (not pin.version or Version(wheel.version) == Version(pin.version))
    except InvalidVersion:
        same = False
    if not same:
        raise IntegrityError(
            f"{pin.source.name} holds {wheel.name} {wheel.version}, and not {pin}",
            hint="its file was renamed or its index is wrong; do not use it",
            code="IB511",
        )
    return wheel


def _sources(wheels: Sequence[PinnedWheel]) -> tuple[Source, ...]:
    return tuple(source for wheel in wheels for source in wheel.sources)


def _key(layer: str, wheels: Sequence[PinnedWheel], scheme: Scheme, builder: WheelBuilder | None) -> dict[str, Json]:
    recipes = [_builder_of(builder).recipe(wheel) for wheel in wheels if wheel.built]
    key: dict[str, Json] = {
        "layer": layer,
        "prefix": scheme.prefix,
        "python": scheme.python,
        "series": scheme.series,
        "wheels": sorted(source.digest.value for wheel in wheels if not wheel.built for source in wheel.sources),
    }
    return {**key, "recipes": recipes} if recipes else key
