"""The command line: arguments in, a result on stdout and an exit code out. Errors are printed here, nowhere else."""

import gc
import os
import select
import signal
import sys

import imagebuilder
from imagebuilder import again
from layers.errors import BuildError, UsageError

TYPE_CHECKING = False  # as checkers know it; `typing` takes 8 ms
if TYPE_CHECKING:  # whoever gets the last answer again, or help, does not pay for what they do not use
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from imagebuilder.config import Chosen
    from imagebuilder.console import Console

    Commands = Mapping[str, Callable[[Chosen, Console], int]]

_PIPE_CLOSED = 128 + signal.SIGPIPE


class Bug(BuildError):
    """An error of ours: neither a BuildError nor a refusal of the operating system."""

    exit_code = 70


def main() -> int:
    """Run the command line of this process; SIGINT and SIGTERM end it with 130 and 143."""
    # A build makes many values and few cycles: to look for those at every 700th takes a twentieth of its time.
    gc.set_threshold(50_000)
    _prepare_streams()
    _stop_at_signals()
    return run(sys.argv[1:])


def run(argv: "Sequence[str]", *, commands: "Commands | None" = None) -> int:
    """Run a command line and return its exit code. `commands` replaces the table of commands."""
    try:
        return _attempt(argv, commands)
    except BrokenPipeError:
        _close_streams()
        return _PIPE_CLOSED


def _attempt(argv: "Sequence[str]", commands: "Commands | None") -> int:
    console: Console | None = None
    try:
        question = None if commands else again.ask(argv)
        given = again.answer(question) if question else None
        if given is not None:
            return given
        from imagebuilder import arguments

        parsed = arguments.parse(argv, imagebuilder.__version__)
        from imagebuilder import config  # not for `--help`

        chosen = config.choose(parsed, config.process_environment(), question)
        console = _console(chosen)
        if folder := chosen.values.text("directory"):
            _change_folder(folder)
        return (commands or _commands())[parsed.command](chosen, console)
    except SystemExit as stopped:  # after `--help`, or by a signal
        return stopped.code if isinstance(stopped.code, int) else 0
    except Exception as error:  # whatever went wrong is told in the same form
        if isinstance(error, BrokenPipeError) and _reader_has_left():
            raise
        return _fail(error, console or _console(None))


def _commands() -> "Commands":
    from imagebuilder.commands import COMMANDS  # imports the whole builder

    return COMMANDS


def _console(chosen: "Chosen | None") -> "Console":
    """Make the console; the default one is for errors of the command line, when nothing of it can be obeyed yet."""
    from imagebuilder import config
    from imagebuilder.console import Console
    from imagebuilder.settings import Values

    return Console(chosen.values if chosen else Values({}), config.process_environment())


def _fail(error: Exception, console: "Console") -> int:
    if console.traceback:
        import traceback  # only who asks for it pays for it

        traceback.print_exception(error)
    told = _told(error)
    try:
        console.error(told)
    except BrokenPipeError:
        raise
    except OSError:  # a full disk behind stderr: the exit code still says what is wrong
        _close_streams()
    return told.exit_code


def _told(error: Exception) -> BuildError:
    if isinstance(error, BuildError):
        return error
    if isinstance(error, OSError) and error.errno:
        from pathlib import Path

        from layers.blobs import storage_error

        return storage_error(error, Path.cwd())
    return Bug(
        f"this is a bug: {type(error).__name__}: {error}",
        hint="run it again with --traceback and report what it prints, with the command",
        code="IB001",
    )


def _change_folder(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(
            f"cannot change to {folder}: {error.strerror}", hint="give an existing folder to -C", code="IB109"
        ) from error


def _reader_has_left() -> bool:
    """Say whether a pipe that we write to has lost its reader: then it is not an engine's pipe that broke."""
    streams = select.poll()
    for stream in (sys.stdout, sys.stderr):
        streams.register(stream, 0)
    return any(event & select.POLLERR for _, event in streams.poll(0))


def _close_streams() -> None:
    """Point the streams at nothing: who read them has gone, and the interpreter would complain of it at its end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nothing, stream.fileno())


def _prepare_streams() -> None:
    """Write paths as they are, bytes that are no text included; write to nothing where a stream is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        else:
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _stop_at_signals() -> None:
    """Leave in order at the first signal, so that nothing half-written stays; at once at the second."""

    def stop(number: int, _frame: "FrameType | None") -> None:
        signal.signal(number, signal.SIG_DFL)
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells leave it for work in the background
            signal.signal(number, stop)
