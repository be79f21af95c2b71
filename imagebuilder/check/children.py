"""Children: processes that a check starts. Each leads a group of its own, and nothing of a group outlives its run."""

import os
import signal
import subprocess  # noqa: TID251 a check runs this program itself, and what users want to be run before it
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# libfaketime keeps the clock of a process here, by its number, and leaves it behind (faketime 0.9.10).
_CLOCKS = ("/dev/shm/faketime_shm_{}", "/dev/shm/sem.faketime_sem_{}")  # noqa: S108 it chooses these names
_PATIENCE_S = 30  # of questions to the machine that take milliseconds


def run(command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path) -> int:
    """Run a program to its end, its output into a file, and return its exit code (negative: the signal it died of).

    However that ends, by Ctrl-C too, whatever the program left running is killed.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return child.wait()
        finally:
            with suppress(ProcessLookupError):  # nothing of the group is left
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            _forget_clock(child.pid)


def ask(command: Sequence[str], *, environment: Mapping[str, str]) -> str:
    """Run a program that answers at once and return what it printed. Raises OSError with the last line of what it said
    against it.
    """
    with subprocess.Popen(
        command,
        env=dict(environment),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as child:
        try:
            said, against = child.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise OSError(f"no answer within {_PATIENCE_S} s") from error
        finally:
            _forget_clock(child.pid)
    if child.returncode:
        raise OSError((against.strip().splitlines() or [f"exit code {child.returncode}"])[-1])
    return said.strip()


def _forget_clock(process: int) -> None:
    for clock in _CLOCKS:
        with suppress(PermissionError):  # another user's, who took over the number
            Path(clock.format(process)).unlink(missing_ok=True)
