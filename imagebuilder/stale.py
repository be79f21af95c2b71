"""Staleness: why a lock does not fit an application; found from its files alone, without a network."""

from collections.abc import Mapping

from buildpacks.api import App, Interpreter, Setting
from imagebuilder.lock import LockedStep, PlatformLock
from imagebuilder.request import BuildRequest
from imagebuilder.resolve import Plan, Step
from layers.digest import Digest
from layers.errors import BuildError


def reasons(plan: Plan, request: BuildRequest, lock: PlatformLock | None) -> tuple[str, ...]:
    """Say why a lock does not fit the application; empty if it does. Reads files, asks no network."""
    if lock is None:
        return (f"there are no pins for {request.platform}",)
    found = []
    if reason := base_reason(request, lock):
        found.append(reason)
    interpreter = None
    for step in plan.steps:
        locked = lock.steps.get(step.buildpack.id)
        if reason := step_reason(step, locked, request.app, interpreter):
            found.append(f"{step.buildpack.id}: {reason}")
        if locked and not interpreter:
            interpreter = locked.pins.interpreter
    gone = sorted(lock.steps.keys() - {step.buildpack.id for step in plan.steps})
    found += [f"{id_}: it does not take part any more" for id_ in gone]
    asked = packages(request, lock.steps), build_packages(request)
    if not found and asked != (lock.packages, lock.build_packages):
        found.append("the OS packages asked for have changed")
    if not found and request.native:
        from imagebuilder.native import tools  # few builds install natively

        if tool := tools.missing(lock):
            found.append(f"{tool}, which is to install, is not in the lock")
    return tuple(found)


def step_reason(step: Step, locked: LockedStep | None, app: App, interpreter: Interpreter | None) -> str:
    """Say why the pins of a buildpack do not fit; empty if they do."""
    if locked is None:
        return "it is not in the lock"
    if locked.version != step.buildpack.version:
        return f"its version is {step.buildpack.version or 'none'}, the lock has {locked.version or 'none'}"
    if locked.requires != step.requires:
        return "what is required of it has changed"
    if locked.interpreter != (interpreter.version if interpreter else ""):
        return "the interpreter has changed"
    for path, known in locked.files.items():
        if digest(app, path) != known:
            return f"{path} has changed"
    for name, value in locked.settings.items():
        if _value(app, name) != value:
            return f"the setting {name} has changed"
    return ""


def _value(app: App, name: str) -> str:
    settings, key = (app.processes, name.removeprefix("processes.")) if "." in name else (app.settings, name)
    if key == "*":
        return names(settings)
    return settings[key].value if key in settings else ""


def names(settings: Mapping[str, Setting]) -> str:
    """Name the settings that there are, as the lock keeps them."""
    return " ".join(sorted(settings))


def base_reason(request: BuildRequest, lock: PlatformLock) -> str:
    """Say why the base in a lock is not the one that is asked for; empty if it is."""
    if request.base != lock.base.name:
        return f"the base is {request.base}, the lock has {lock.base.name}"
    return ""


def digest(app: App, path: str) -> str:
    """Return the digest of a file of the application; empty if it cannot be read."""
    try:
        return Digest.of(app.text(path).encode()).value
    except BuildError:
        return ""


def packages(request: BuildRequest, steps: Mapping[str, LockedStep]) -> tuple[str, ...]:
    """List the Debian packages that the request and the buildpacks want in the image."""
    return tuple(sorted({*request.packages, *(name for step in steps.values() for name in step.pins.os_packages)}))


def build_packages(request: BuildRequest) -> tuple[str, ...]:
    """List the Debian packages that the request wants for builds."""
    return tuple(sorted({*request.build_packages}))
