"""conda-env-update: the packages of a conda environment, its own Python among them, and what pip adds to it."""

from collections.abc import Iterator, Sequence

from buildpacks import conda_files, conda_layers, cpython, declared, locks
from buildpacks.api import (
    App,
    BuildContext,
    Buildpack,
    BuildPlan,
    BuildResult,
    Fail,
    Interpreter,
    PinContext,
    PinnedWheel,
    Pins,
    Require,
    Source,
)
from buildpacks.conda_files import Environment, Named
from buildpacks.pinned import PinnedConda
from buildpacks.services import CondaSolver
from layers.digest import Digest
from layers.errors import BuildError, UsageError
from layers.values import replace

# More rounds would mean that two managers undo each other's choices.
_ROUNDS = 5


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from an environment of conda (RFC 0001).

    Raises UsageError IB915 if the Python is also chosen elsewhere: an environment has its own.
    """
    if fail := declared.unless(app, "conda"):
        return fail
    setting = app.setting("python", "BP_CPYTHON_VERSION")
    if setting:
        raise UsageError(
            f"the Python of a conda environment is one of its packages, and not chosen by {setting.origin}",
            hint=f"remove that, and name `python={setting.value}` in environment.yml",
            code="IB915",
        )
    return BuildPlan(provides=("conda-environment",), requires=(Require("conda", build=True),))


def pin(context: PinContext) -> Pins:
    """Choose the packages: those of a lock, or what the solver finds; then those that pip adds.

    Raises UsageError IB912 for files that cannot be understood, IntegrityError IB914 for a package whose sha256 nobody
    says, BuildError IB917 if something is for Python and there is none, or would have to be built.
    """
    found, solver = conda_files.read(context.app, context.target.platform), context.conda
    if solver is None:
        raise RuntimeError("packages are pinned where there is a solver")
    conda_files.variables(context.app)  # what is wrong with them is said before channels are asked
    if found.packages:
        # A list may name a package twice.
        packages = tuple(sorted({*_locked(found.packages, solver)}, key=lambda package: package.source.locator))
    else:
        packages = solver.solve(found.specs, found.channels, target=context.target, previous=context.previous.conda)
    python = conda_layers.interpreter(packages)
    wheels = _wheels(context, found, python, packages) if found.pip or found.wheels else ()
    return Pins(interpreter=python, wheels=wheels, conda=packages)


def build(context: BuildContext) -> BuildResult:
    """Describe the layers, and set what `conda activate` would set whatever is installed."""
    prefix = f"/{conda_layers.PREFIX}"
    fixed = {"CONDA_PREFIX": prefix, "CONDA_DEFAULT_ENV": prefix, "PATH": f"{prefix}/bin"}
    return BuildResult(conda_layers.layers(context), env={**conda_files.variables(context.app), **cpython.ENV, **fixed})


def _locked(packages: Sequence[Named], solver: CondaSolver) -> Iterator[PinnedConda]:
    """Pin what a lock names; channels are asked for the sha256 of packages of which it does not say any."""
    yield from solver.find([package for package in packages if not package.sha256])
    yield from (_pinned(package) for package in packages if package.sha256)


def _pinned(named: Named) -> PinnedConda:
    stem = named.file.removesuffix(".conda").removesuffix(".tar.bz2")
    name, _, rest = stem.rpartition("-")[0].rpartition("-")
    locator = f"{conda_files.channel_name(named.channel)}/{named.subdir}/{named.file}"
    source = Source("conda", named.file, Digest(f"sha256:{named.sha256}"), named.size, locator)
    return PinnedConda(name, rest, stem.rpartition("-")[2], source)


def _wheels(
    context: PinContext, found: Environment, python: Interpreter | None, packages: Sequence[PinnedConda]
) -> tuple[PinnedWheel, ...]:
    """Choose what pip would add; a package that conda brings is there already, and its version counts."""
    if python is None:
        raise BuildError(
            f"{found.file} names packages for Python, and the environment has none",
            hint="name `python` among the dependencies",
            code="IB917",
        )
    inside = replace(context, interpreter=python)
    if found.wheels:
        wheels = locks.pins(inside, found.wheels, file=found.file).wheels
    else:
        wheels = _beside(inside, found, {locks.normalised(each.name): each.version for each in packages})
    if built := [wheel.name for wheel in wheels if wheel.built]:
        raise conda_layers.not_built(", ".join(built))
    return wheels


def _beside(context: PinContext, found: Environment, there: dict[str, str]) -> tuple[PinnedWheel, ...]:
    text = "".join(f"{requirement}\n" for requirement in found.pip)
    other: list[PinnedWheel] = []
    for _ in range(_ROUNDS):
        wheels = locks.resolved(context, text, file=found.file).wheels
        other = [wheel for wheel in wheels if wheel.name in there and not _same(wheel.version, there[wheel.name])]
        if not other:
            return tuple(wheel for wheel in wheels if wheel.name not in there)
        text += "".join(f"{wheel.name}=={there[wheel.name]}\n" for wheel in other)
    raise BuildError(
        f"what pip adds does not fit what conda installs: {', '.join(wheel.name for wheel in other)}",
        hint="take these packages either from conda or below `pip:`, and not from both",
        code="IB917",
    )


def _same(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version  # only what is not pinned is compared

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


BUILDPACK = Buildpack("conda-env-update", detect, pin, build, conda_files.names)
