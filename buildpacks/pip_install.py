"""pip-install: the packages of requirement files."""

import posixpath
from collections.abc import Sequence

from buildpacks import declared, environment, frameworks, local, locks, requirements, selection
from buildpacks.api import (
    App,
    Buildpack,
    BuildPlan,
    Built,
    Circumstances,
    Fail,
    PinContext,
    PinnedWheel,
    Pins,
    Require,
)
from buildpacks.requirements import Requirements
from layers.errors import IntegrityError, UsageError


def requirement_files(app: App) -> tuple[str, ...]:
    """Return the requirement files: the setting `requirements`, BP_PIP_REQUIREMENT, or `requirements.txt`.

    There are none if the packages come from elsewhere: what other tools export for pip may hold what no build of ours
    can do (`-e .`). Raises UsageError IB400 if a setting names a file that is not there, and as `declared.find` does.
    """
    place = declared.find(app)
    if place is None or place.manager != "pip":
        return ()
    setting = app.setting("requirements", "BP_PIP_REQUIREMENT")
    if setting is None:
        return ("requirements.txt",)
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
    """Fit if the packages come from requirement files (RFC 0001: all of those named)."""
    if fail := declared.unless(app, "pip"):
        return fail
    locks.asked(app, " ".join(requirement_files(app)))
    return BuildPlan(provides=("site-packages",), requires=(Require("cpython", build=True), Require("pip", build=True)))


def pin(context: PinContext) -> Pins:
    """Resolve the requirements and choose the wheels for the image."""
    roots = requirement_files(context.app)
    asked = requirements.read(context.app, roots)
    built = tuple(
        Built(local.wheel(context, each), each.extras)
        for each in asked.unpublished
        if locks.holds(each.marker, context, file=each.place)
    )
    if not asked.names and not built:
        return Pins()
    interpreter = environment.interpreter_of(context.interpreter)
    circumstances = Circumstances(interpreter, context.target, context.previous.wheels, built)
    pylock = context.resolver.resolve(context.app, roots, circumstances)
    known = {each.wheel.name: each.wheel for each in built}
    wheels = selection.select(
        pylock,
        interpreter,
        context.target,
        hashes=asked.hashes,
        urls=asked.urls,
        unpublished=lambda package: known[package.name],
    )
    if asked.require_hashes:
        _check_all_have_hashes(wheels, asked)
    return Pins(wheels=wheels)


def _check_all_have_hashes(wheels: Sequence[PinnedWheel], asked: Requirements) -> None:
    """All or none, as pip has it ("Secure installs"): a package that is not checked undoes what the others promise."""
    if without := [f"{wheel.name}=={wheel.version}" for wheel in wheels if wheel.name not in asked.hashes]:
        raise IntegrityError(
            f"the requirements ask for hashes and have none for {', '.join(without[:5])}",
            hint="write them all, as `uv pip compile --generate-hashes` does, or none",
            code="IB412",
        )


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of the packages that are asked for."""
    asked = requirements.read(app, requirement_files(app)).requested
    return frameworks.named(f"{one.name}[{','.join(one.extras)}]" for one in asked if not one.constraint)


BUILDPACK = Buildpack("pip-install", detect, pin, environment.build, names)
