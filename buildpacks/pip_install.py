"""pip-install: the packages of requirement files, as layers of a virtual environment.

Installed paths are those of `python -m venv /layers/site-packages`, so a package has the same layer digest in every
application. A large wheel has a layer of its own: adding a package makes and sends that package alone. A tiny layer
holds the environment itself; the wheels are checked against each other when it is made.
"""

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from buildpacks import declared, requirements, selection
from buildpacks.api import (
    App,
    BuildContext,
    Buildpack,
    BuildPlan,
    BuildResult,
    Fail,
    Files,
    Interpreter,
    LayerSpec,
    PinContext,
    PinnedWheel,
    Pins,
    Require,
)
from buildpacks.requirements import Requirements
from layers import entry
from layers.canonical import Json
from layers.entry import Entry
from layers.errors import IntegrityError, UsageError
from layers.wheel import Scheme, Wheel, merge, read_wheel, wheel_entries

_PREFIX = "layers/site-packages"
# docs/decisions/0022-a-layer-for-each-large-wheel.md
_LARGE = 1 << 20
_MOST_LAYERS = 64


def requirement_files(app: App) -> tuple[str, ...]:
    """Return the requirement files: the setting `requirements`, BP_PIP_REQUIREMENT, or `requirements.txt`.

    Raises UsageError IB400 if a setting names a file that is not there.
    """
    setting = app.setting("requirements", "BP_PIP_REQUIREMENT")
    if setting is None:
        return ("requirements.txt",) if app.has("requirements.txt") else ()
    paths = tuple(posixpath.normpath(path) for path in setting.value.split())
    for path in paths:
        if path.startswith(("/", "../")) or not app.has(path):
            raise UsageError(
                f"there is no requirement file {path}",
                details=(f"it comes from {setting.origin}",),
                hint="name files of the application, separated by spaces, relative to its folder",
                code="IB400",
            )
    return paths


def detect(app: App) -> BuildPlan | Fail:
    """Fit if there are requirement files (RFC 0001: all of those named); IB305 if packages are named elsewhere."""
    if not requirement_files(app):
        declared.refuse(app)
        return Fail("no requirements.txt")
    return BuildPlan(provides=("site-packages",), requires=(Require("cpython", build=True), Require("pip", build=True)))


def pin(context: PinContext) -> Pins:
    """Resolve the requirements and choose the wheels for the image."""
    roots = requirement_files(context.app)
    asked = requirements.read(context.app, roots)
    if not asked.names:
        return Pins()
    interpreter = _present(context.interpreter)
    pylock = context.resolver.resolve(
        context.app,
        requirements=roots,
        interpreter=interpreter,
        target=context.target,
        previous=context.previous.wheels,
    )
    wheels = selection.select(pylock, interpreter, context.target, hashes=asked.hashes, urls=asked.urls)
    if asked.require_hashes:
        _check_all_have_hashes(wheels, asked)
    return Pins(wheels=wheels)


def build(context: BuildContext) -> BuildResult:
    """Describe the layers: the environment, each large wheel, all small wheels."""
    interpreter = _present(context.interpreter)
    layers = wheel_layers(context.pins.wheels, interpreter)
    return BuildResult(layers, env={"PATH": f"/{_PREFIX}/bin", "VIRTUAL_ENV": f"/{_PREFIX}"})


def _check_all_have_hashes(wheels: Sequence[PinnedWheel], asked: Requirements) -> None:
    """All or none, as pip has it ("Secure installs"): a package that is not checked undoes what the others promise."""
    if without := [f"{wheel.name}=={wheel.version}" for wheel in wheels if wheel.name not in asked.hashes]:
        raise IntegrityError(
            f"the requirements ask for hashes and have none for {', '.join(without[:5])}",
            hint="write them all, as `uv pip compile --generate-hashes` does, or none",
            code="IB412",
        )


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


def _present(interpreter: Interpreter | None) -> Interpreter:
    if interpreter is None:
        raise RuntimeError("in every group cpython comes before pip-install")
    return interpreter


BUILDPACK = Buildpack("pip-install", detect, pin, build)
