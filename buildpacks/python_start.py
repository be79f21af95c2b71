"""python-start: what the image starts when nobody says it better, and the need for an interpreter (Paketo RFC 0001)."""

from buildpacks import command, frameworks
from buildpacks.api import (
    App,
    BuildContext,
    Buildpack,
    BuildPlan,
    BuildResult,
    Fail,
    PinContext,
    Pins,
    Process,
    Require,
)
from buildpacks.command import Command

_SIGNS = (
    "requirements.txt",
    "pyproject.toml",
    "setup.py",
    "Pipfile",
    "Pipfile.lock",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pylock.toml",
    "environment.yml",
    "package-list.txt",
    "pixi.lock",
)

# By convention a server listens on $PORT. gunicorn and FastAPI's command do so by themselves; without a shell nothing
# could tell the others (docs/decisions/0031-processes-ports-and-signals.md).
_PORT = {"PORT": "8000"}


def detect(app: App) -> BuildPlan | Fail:
    """Fit if it looks like Python. The packages come first: an image is not to leave them out because it could."""
    if not app.glob("*.py") and not app.glob("*/__main__.py") and not any(map(app.has, _SIGNS)):
        return Fail(f"no *.py, */__main__.py, {', '.join(_SIGNS)}")
    return BuildPlan(
        requires=_launch("cpython", "site-packages"),
        alternatives=(
            BuildPlan(requires=_launch("cpython", "uv-environment")),
            BuildPlan(requires=_launch("cpython", "poetry-venv")),
            BuildPlan(requires=_launch("conda-environment")),
            BuildPlan(requires=_launch("cpython")),
        ),
    )


def pin(context: PinContext) -> Pins:
    """Ask for the shell that the user's command line needs."""
    entry = context.app.setting("entry")
    return Pins(os_packages=command.os_packages(context.app, command.parse(entry)) if entry else ())


def build(context: BuildContext) -> BuildResult:
    """Define the default process `web`: what the user says, else what the application looks like, else `python`."""
    app = context.app
    entry = app.setting("entry")
    if entry:
        parsed, origin = command.parse(entry), entry.origin
    else:
        start = frameworks.find(app, context.distributions)
        parsed, origin = Command(start.words, start.words), start.origin
    web = Process("web", parsed.words, origin, default=True, stop_signal=command.stop_signal(app, parsed))
    return BuildResult(processes=(web,), env={**_PORT, **frameworks.environment(context.distributions)})


def _launch(*names: str) -> tuple[Require, ...]:
    return tuple(Require(name, launch=True) for name in names)


BUILDPACK = Buildpack("python-start", detect, pin, build)
