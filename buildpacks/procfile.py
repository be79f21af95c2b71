"""procfile: the processes of a Procfile and of the configuration."""

from collections.abc import Mapping

from buildpacks import command
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
    Setting,
)
from layers.errors import UsageError
from layers.expression import expression

_FILE = "Procfile"

# The grammar of a Procfile line, as in Paketo's and Heroku's buildpacks.
_LINE = expression(r"([A-Za-z0-9_-]+):\s*(.+)")


def detect(app: App) -> BuildPlan | Fail:
    """Fit if there are processes; the buildpack provides what it requires, so that it can stand in any group."""
    if not _command_lines(app):
        return Fail(f"no {_FILE} and no processes in the configuration")
    return BuildPlan(provides=("procfile",), requires=(Require("procfile", launch=True),))


def pin(context: PinContext) -> Pins:
    """Ask for the shells that the command lines need."""
    commands = map(command.parse, _command_lines(context.app).values())
    packages = {package for parsed in commands for package in command.os_packages(context.app, parsed)}
    return Pins(os_packages=tuple(sorted(packages)))


def build(context: BuildContext) -> BuildResult:
    """Define the processes. The default is `web`, else `worker`, else the only one."""
    app = context.app
    lines = dict(_command_lines(app))
    if app.setting("entry"):  # the user said what `web` is; python-start has made it the default
        lines.pop("web", None)
        default = None
    else:
        only = next(iter(lines)) if len(lines) == 1 else None
        default = next((type_ for type_ in ("web", "worker") if type_ in lines), only)
    return BuildResult(
        processes=tuple(_process(app, type_, line, default=type_ == default) for type_, line in sorted(lines.items()))
    )


def _process(app: App, type_: str, line: Setting, *, default: bool) -> Process:
    parsed = command.parse(line)
    return Process(type_, parsed.words, line.origin, default=default, stop_signal=command.stop_signal(app, parsed))


def _command_lines(app: App) -> Mapping[str, Setting]:
    """Return the command line of each process; the configuration has the last word, Paketo's variable the first."""
    variable = app.setting("BP_PROCFILE_DEFAULT_PROCESS")
    return {
        **({"web": variable} if variable else {}),
        **(_parse(app.text(_FILE)) if app.has(_FILE) else {}),
        **app.processes,
    }


def _parse(text: str) -> Mapping[str, Setting]:
    lines: dict[str, Setting] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise _malformed(
                f"line {number} is {line!r}", "write each process as `type: command`, for example `web: …`"
            )
        type_, value = match.groups()
        if type_ in lines:
            raise _malformed(f"line {number} defines {type_!r} again", "keep one line for each process")
        lines[type_] = Setting(value, _FILE)
    return lines


def _malformed(what: str, hint: str) -> UsageError:
    return UsageError(f"cannot read {_FILE}: {what}", hint=hint, code="IB304")


BUILDPACK = Buildpack("procfile", detect, pin, build)
