"""The environment: pinned wheels as layers of one virtual environment, whichever buildpack pinned them.

Installed paths are those of `python -m venv /layers/site-packages`, so a package has the same layer digest in every
application. A large wheel has a layer of its own: adding a package makes and sends that package alone. A tiny layer
holds the environment itself; the wheels are checked against each other when it is made.
"""

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from buildpacks.api import BuildContext, BuildResult, Files, Interpreter, LayerSpec, PinnedWheel
from layers import entry
from layers.canonical import Json
from layers.entry import Entry
from layers.errors import IntegrityError
from layers.wheel import Scheme, Wheel, merge, read_wheel, wheel_entries

_PREFIX = "layers/site-packages"
# docs/decisions/0022-a-layer-for-each-large-wheel.md
_LARGE = 1 << 20
_MOST_LAYERS = 64


def build(context: BuildContext) -> BuildResult:
    """Describe the layers, and how the interpreter of the environment is found. The `build` of every installer."""
    layers = wheel_layers(context.pins.wheels, interpreter_of(context.interpreter))
    return BuildResult(layers, env={"PATH": f"/{_PREFIX}/bin", "VIRTUAL_ENV": f"/{_PREFIX}"})


def interpreter_of(interpreter: Interpreter | None) -> Interpreter:
    """Return the interpreter that an earlier buildpack pinned."""
    if interpreter is None:
        raise RuntimeError("in every group cpython comes before what installs packages")
    return interpreter


def wheel_layers(wheels: Sequence[PinnedWheel], interpreter: Interpreter) -> tuple[LayerSpec, ...]:
    """Describe the layers of a virtual environment that holds these wheels."""
    scheme = Scheme(_PREFIX, interpreter.series, f"/{_PREFIX}/bin/python")
    by_size = sorted(wheels, key=lambda wheel: (-(wheel.source.size or 0), wheel.name))
    large = [wheel for wheel in by_size[:_MOST_LAYERS] if (wheel.source.size or 0) >= _LARGE]
    small = sorted((wheel for wheel in wheels if wheel not in large), key=lambda wheel: wheel.name)
    own = [_wheels_layer(wheel.name, [wheel], scheme) for wheel in sorted(large, key=lambda wheel: wheel.name)]
    shared = [_wheels_layer("site-packages", small, scheme)] if small else []
    return (_environment_layer(wheels, interpreter, scheme), *own, *shared)


def _wheels_layer(name: str, wheels: Sequence[PinnedWheel], scheme: Scheme) -> LayerSpec:
    return LayerSpec(
        name,
        _key("wheels", wheels, scheme),
        lambda files: merge(_installed(wheels, scheme, files)),
        tuple(wheel.source for wheel in wheels),
    )


def _environment_layer(wheels: Sequence[PinnedWheel], interpreter: Interpreter, scheme: Scheme) -> LayerSpec:
    """Describe what `python -m venv` makes, without the patch release and the links that nothing reads (lib64)."""
    home = posixpath.dirname(interpreter.executable)
    settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {interpreter.series}\n"
    entries = (
        entry.symlink(f"{_PREFIX}/bin/python", interpreter.executable),
        entry.symlink(f"{_PREFIX}/bin/python3", "python"),
        entry.symlink(f"{_PREFIX}/bin/python{interpreter.series}", "python"),
        entry.directory(scheme.site_packages),
        entry.file(f"{_PREFIX}/pyvenv.cfg", settings.encode()),
    )

    def checked(files: Files) -> Iterable[Entry]:
        merge([("the virtual environment", entries), *_installed(wheels, scheme, files)])
        return entries

    return LayerSpec(
        "environment",
        {**_key("environment", wheels, scheme), "executable": interpreter.executable},
        checked,
        tuple(wheel.source for wheel in wheels),
    )


def _installed(wheels: Sequence[PinnedWheel], scheme: Scheme, files: Files) -> list[tuple[str, tuple[Entry, ...]]]:
    return [
        (f"{pin.name} {pin.version}", wheel_entries(_read(pin, files[pin.source.digest]), scheme)) for pin in wheels
    ]


def _read(pin: PinnedWheel, path: Path) -> Wheel:
    """Read a wheel and check that it is what its file name and its index said."""
    from packaging.version import InvalidVersion, Version  # only who makes a layer compares versions

    wheel = read_wheel(path)
    try:
        same = wheel.name == pin.name and Version(wheel.version) == Version(pin.version)
    except InvalidVersion:
        same = False
    if not same:
        raise IntegrityError(
            f"{pin.source.name} holds {wheel.name} {wheel.version}, and not {pin.name} {pin.version}",
            hint="its file was renamed or its index is wrong; do not use it",
            code="IB511",
        )
    return wheel


def _key(layer: str, wheels: Sequence[PinnedWheel], scheme: Scheme) -> dict[str, Json]:
    return {
        "layer": layer,
        "prefix": scheme.prefix,
        "python": scheme.python,
        "series": scheme.series,
        "wheels": sorted(wheel.source.digest.value for wheel in wheels),
    }
