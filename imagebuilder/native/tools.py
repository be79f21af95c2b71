"""Tools: the package managers that install natively, pinned by hash as everything else. None gets into the image."""

from collections.abc import Iterable, Mapping

from buildpacks import selection
from buildpacks.api import Circumstances, Folder, Interpreter, PinnedWheel, Target
from buildpacks.services import Resolver
from imagebuilder.lock import LockedStep, PlatformLock
from layers.errors import UsageError

# Who installs what a buildpack has pinned.
OF_BUILDPACKS = {
    "pip-install": "pip",
    "pipenv-install": "pipenv",
    "poetry-install": "poetry",
    "pyproject": "pip",
    "uv-install": "uv",
}


def tool_of(steps: Mapping[str, LockedStep]) -> str:
    """Return the tool that installs what is pinned; empty if nothing is.

    Raises UsageError IB900 for packages that none of them installs.
    """
    found = ""
    for name, step in steps.items():
        if not step.pins.wheels:
            continue
        if name not in OF_BUILDPACKS:
            raise _unknown(f"{name} pins packages, and has no tool that would install them")
        found = OF_BUILDPACKS[name]
        for wheel in step.pins.wheels:
            if not isinstance(wheel.source, Folder) and wheel.source.kind == "git" and found != "pip":
                raise _unknown(f"{wheel.name} is a repository, which {found} would fetch anew")
    return found


def installed(wheels: Iterable[PinnedWheel]) -> tuple[PinnedWheel, ...]:
    """Return what a tool installs: all but folders of the application, whose wheels we build and install ourselves."""
    return tuple(wheel for wheel in wheels if not isinstance(wheel.source, Folder))


def missing(lock: PlatformLock) -> str:
    """Return the tool that the native engine needs and the lock does not have; empty if there is nothing to add."""
    tool = tool_of(lock.steps)
    return tool if tool not in {"", *(wheel.name for wheel in lock.tools)} else ""


def pin(
    steps: Mapping[str, LockedStep],
    interpreter: Interpreter | None,
    target: Target,
    *,
    resolver: Resolver,
    previous: Iterable[PinnedWheel],
) -> tuple[PinnedWheel, ...]:
    """Choose the newest tool for the interpreter, and what it depends on; versions of `previous` are kept."""
    tool = tool_of(steps)
    if not tool or interpreter is None:
        return ()
    circumstances = Circumstances(interpreter, target, tuple(previous))
    document = resolver.resolve_text(f"{tool}\n", circumstances, dependencies=True)
    return selection.select(document, interpreter, target, hashes={}, urls={})


def _unknown(reason: str) -> UsageError:
    return UsageError(
        f'cannot install with engine = "native": {reason}',
        hint=f"leave `engine` out: `direct` installs everything; `native` is for {', '.join(sorted(OF_BUILDPACKS))}",
        code="IB900",
    )
