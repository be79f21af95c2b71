"""Children: processes that a check starts. Each leads a group of its own, and nothing of a group outlives its run."""

import os
import signal
import subprocess  # noqa: TID251 a check runs this program itself, and what users want to be run before it
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

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


def ask(command: Sequence[str], *, environment: Mapping[str, str]) -> str:
    """Run a program that answers at once and return what it printed. Raises OSError with the last line of what it said
    against it.
    """
    try:
        ran = subprocess.run(
            command,
            env=dict(environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"no answer within {_PATIENCE_S} s") from error
    if ran.returncode:
        raise OSError((ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1])
    return ran.stdout.strip()
