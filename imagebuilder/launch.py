"""How the image starts: its processes, the default one, and a launcher script for each of them.

Everything is decided when the image is built: the entrypoint is the default process's command itself, so nothing runs
between the engine and the application. Another process is started by its launcher: `--entrypoint /cnb/process/worker`.
"""

from collections.abc import Iterable

from buildpacks.api import LayerSpec, Process
from imagebuilder import text
from layers import entry
from layers.entry import Entry
from layers.errors import UsageError
from layers.expression import expression
from layers.values import replace

# CNB platform specification, launch.toml: a process type is letters, digits, dots, hyphens and underscores.
_TYPE = expression(r"[A-Za-z0-9._-]{1,128}")

# -I: nothing of the environment or the working directory is imported here; -S: site-packages are not needed here.
# The process itself gets the environment unchanged, and its program is looked up on PATH.
_LAUNCHER = """\
#!{interpreter} -IS
import os
import sys

command = {command}
try:
    os.execvp(command[0], command + sys.argv[1:])
except OSError as error:
    sys.exit(f"cannot start {{command[0]}}: {{error.strerror}}")
"""


def merge_processes(processes: Iterable[Process]) -> tuple[Process, ...]:
    """Return one process of each type, sorted by type; the last definition of a type wins.

    At most one is the default: the last that says so, unless its type is defined again without saying so (CNB
    platform specification, "Launch").
    """
    merged: dict[str, Process] = {}
    for process in processes:
        _check(process)
        if process.default:
            merged = {type_: replace(other, default=False) for type_, other in merged.items()}
        merged[process.type] = process
    return tuple(merged[type_] for type_ in sorted(merged))


def choose_default(processes: tuple[Process, ...], wanted: str = "") -> Process:
    """Return the process the image starts: `wanted`, else the default one, else `web`, else the only one.

    Raises UsageError IB650 if there is no such process, or several and none of them is the default.
    """
    by_type = {process.type: process for process in processes}
    if wanted:
        if wanted not in by_type:
            raise _no_process(f"there is no process {wanted!r}", wanted, by_type)
        return by_type[wanted]
    default = next((process for process in processes if process.default), by_type.get("web"))
    if default:
        return default
    if len(processes) != 1:
        raise _no_process("no process is the default one", "", by_type)
    return processes[0]


def launcher_layer(processes: tuple[Process, ...], interpreter: str) -> LayerSpec:
    """Describe the layer of `/cnb/process/<type>`; `interpreter` is the absolute path of a Python in the image."""
    entries = tuple(_launcher(process, interpreter) for process in processes)
    return LayerSpec(
        "launchers",
        {"launchers": {process.type: process.command for process in processes}, "interpreter": interpreter},
        lambda _files: entries,
    )


def _launcher(process: Process, interpreter: str) -> Entry:
    # ascii: the file is the same and is read the same whatever the encodings of the builder and of the image.
    script = _LAUNCHER.format(interpreter=interpreter, command=ascii(list(process.command)))
    return entry.file(f"cnb/process/{process.type}", script.encode("ascii"), executable=True)


def _check(process: Process) -> None:
    if not _TYPE.fullmatch(process.type) or process.type in (".", ".."):
        raise UsageError(
            f"not a process type: {process.type!r}",
            details=(f"it comes from {process.origin}",),
            hint="use letters, digits, dots, hyphens and underscores",
            code="IB650",
        )
    if not process.command or not process.command[0]:
        raise UsageError(
            f"the process {process.type!r} has no command",
            details=(f"it comes from {process.origin}",),
            hint="give it a command, or remove it",
            code="IB650",
        )


def _no_process(what: str, wanted: str, by_type: dict[str, Process]) -> UsageError:
    near = text.nearest(wanted, by_type)
    return UsageError(
        what,
        details=(f"processes: {', '.join(by_type) or 'none'}",),
        hint=f"did you mean `--process {near}`?" if near else "choose one with `--process TYPE`",
        code="IB650",
    )
