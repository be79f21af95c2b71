"""The conda environment: pinned packages as layers of `/layers/conda-environment`, and wheels beside them.

A package has the same layer in every application: which ones share one is the matter of buildpacks/grouping.py.
A tiny layer makes the folder an environment for conda; all packages are checked against each other when it is made.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from buildpacks import environment
from buildpacks.api import BuildContext, Files, Interpreter, LayerSpec, PinnedWheel, Source
from buildpacks.grouping import Group, groups
from buildpacks.pinned import PinnedConda
from layers import entry
from layers.canonical import Json
from layers.entry import Entry
from layers.errors import BuildError, IntegrityError
from layers.wheel import Scheme, merge, wheel_entries

if TYPE_CHECKING:
    from layers.conda import CondaPackage

PREFIX = "layers/conda-environment"
# With those of the base and four others no more than 100.
_MOST_PACKAGE_LAYERS, _MOST_WHEEL_LAYERS = 60, 32


def interpreter(packages: Iterable[PinnedConda]) -> Interpreter | None:
    """Return the Python of an environment, if there is one."""
    for package in packages:
        if package.name == "python":
            series = ".".join(package.version.split(".")[:2])
            return Interpreter(package.version, f"/{PREFIX}/bin/python{series}", f"conda {package.build}")
    return None


def has(interpreter: Interpreter) -> bool:
    """Say whether an interpreter is the Python of a conda environment."""
    return interpreter.executable.startswith(f"/{PREFIX}/")


def not_built(packages: str) -> BuildError:
    """Return the error for packages that would have to be built for the Python of a conda environment."""
    return BuildError(
        f"cannot build {packages} from source: into a conda environment only wheels are installed",
        hint="take it from a conda channel, or bring a wheel with --find-links",
        code="IB917",
    )


def layers(context: BuildContext) -> tuple[LayerSpec, ...]:
    """Describe the layers of an environment, those of its wheels last."""
    packages, wheels = context.pins.conda, context.pins.wheels
    python = interpreter(packages)
    scheme = Scheme(PREFIX, python.series if python else "", f"/{PREFIX}/bin/python")
    return (
        _environment_layer(packages, wheels, scheme),
        *(_packages_layer(group, packages, scheme, context) for group in _grouped(packages)),
        *(_wheels_layer(group, alike, scheme) for group, alike in environment.grouped(wheels, _MOST_WHEEL_LAYERS)),
    )


def _grouped(packages: Sequence[PinnedConda]) -> tuple[Group, ...]:
    return groups({package.name: package.size for package in packages}, most=_MOST_PACKAGE_LAYERS)


def _environment_layer(packages: Sequence[PinnedConda], wheels: Sequence[PinnedWheel], scheme: Scheme) -> LayerSpec:
    own = (entry.file(f"{PREFIX}/conda-meta/history", b""),)

    def checked(files: Files) -> Iterable[Entry]:
        from layers.conda_install import promised  # only who makes a layer reads packages

        read = [(pin, _read(pin, files)) for pin in packages]
        installed = [(f"{pin.name} {pin.version} of conda", promised(package, scheme)) for pin, package in read]
        merge([*installed, *_installed(wheels, scheme, files)])
        return own

    everything: tuple[PinnedConda | PinnedWheel, ...] = (*packages, *wheels)
    return LayerSpec("conda", _key("conda", everything, scheme), checked, _sources(everything), pinned=True)


def _wheels_layer(group: Group, wheels: Sequence[PinnedWheel], scheme: Scheme) -> LayerSpec:
    return LayerSpec(
        group.layer("site-packages"),
        _key("conda wheels", wheels, scheme),
        lambda files: merge(_installed(wheels, scheme, files)),
        _sources(wheels),
        packages=group.members,
        why=group.why,
        pinned=True,
    )


def _installed(wheels: Sequence[PinnedWheel], scheme: Scheme, files: Files) -> list[tuple[str, tuple[Entry, ...]]]:
    return [
        (f"{pin.name} {pin.version}", wheel_entries(environment.read(pin, files[pin.sources[0].digest]), scheme))
        for pin in wheels
    ]


def _packages_layer(group: Group, pinned: Sequence[PinnedConda], scheme: Scheme, context: BuildContext) -> LayerSpec:
    packages = [package for package in pinned if package.name in group.members]

    def entries(files: Files) -> Iterable[Entry]:
        installed = _installer(scheme, files, context.scratch, context.warn)
        return merge([(f"{pin.name} {pin.version}", installed(pin)) for pin in packages])

    return LayerSpec(
        group.layer("conda-environment"),
        _key("conda packages", packages, scheme),
        entries,
        _sources(packages),
        packages=group.members,
        why=group.why,
        pinned=True,
    )


def _installer(
    scheme: Scheme, files: Files, scratch: Path | None, warn: Callable[[str], None]
) -> Callable[[PinnedConda], tuple[Entry, ...]]:
    def installed(pin: PinnedConda) -> tuple[Entry, ...]:
        if scratch is None:
            raise RuntimeError("layers are made where there is a folder for what is unpacked")
        from layers.conda_install import conda_entries  # only who makes a layer reads packages

        package = _read(pin, files)
        if package.for_python and not scheme.series:
            raise IntegrityError(
                f"{pin.name} {pin.version} is for Python, and the environment has none",
                hint="name `python` among the dependencies",
                code="IB917",
            )
        if package.hooks:
            warn(f"{pin.name} {pin.version} has {', '.join(package.hooks)}, which nobody runs: see if it is needed")
        folder = scratch / f"conda-{pin.source.digest.hex}"
        folder.mkdir()
        return conda_entries(package, scheme, folder=folder, origin=_origin(pin.source))

    return installed


def _origin(source: Source) -> dict[str, Json]:
    """Say what file a package was, as records of conda do; those who read them insist on an address."""
    return {
        "channel": source.locator.rsplit("/", 2)[0],
        "fn": source.name,
        "sha256": source.digest.hex,
        "url": f"conda:{source.locator}",
    }


def _read(pin: PinnedConda, files: Files) -> "CondaPackage":
    """Read a package and check that it is what its file name and its channel said."""
    from layers.conda import read_conda  # only who makes a layer reads packages

    package = read_conda(files[pin.source.digest])
    if (package.name, package.version, package.build) != (pin.name, pin.version, pin.build):
        raise IntegrityError(
            f"{pin.source.name} holds {package.name} {package.version} {package.build}",
            hint="its file was renamed or its channel is wrong; do not use it",
            code="IB911",
        )
    return package


def _sources(packages: Sequence[PinnedConda | PinnedWheel]) -> tuple[Source, ...]:
    return tuple(source for package in packages for source in package.sources)


def _key(layer: str, packages: Sequence[PinnedConda | PinnedWheel], scheme: Scheme) -> dict[str, Json]:
    """Name what decides the bytes; the series of Python only says where files for Python go."""
    return {
        "layer": layer,
        "prefix": scheme.prefix,
        "series": scheme.series,
        "packages": sorted(f"{source.digest} {source.locator}" for source in _sources(packages)),
    }
