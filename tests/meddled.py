"""The command line in a process of its own: with somebody who meddles with its files, and with its memory measured.

`python -m tests.meddled REPORT WATCHED CODE WORDS…` runs a command line. When it opens a file whose path ends in
WATCHED, the code runs: before the file is opened, or with `+` in front of the name, once it is open. The most memory
that was taken, in bytes, is written to REPORT.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.world import World


@dataclass(frozen=True)
class Ran:
    """How a command line ended, what it wrote, and the most memory that it took in bytes."""

    returncode: int
    stdout: str
    stderr: str
    memory: int


def run(place: World, *words: str, on: str = "", code: str = "", prefix: Sequence[str] = ()) -> Ran:
    """Run a command line; `prefix` is a program that starts it."""
    report = place.folder / "memory"
    report.unlink(missing_ok=True)
    ran = subprocess.run(
        [*prefix, sys.executable, "-m", "tests.meddled", str(report), on, code, *words],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        timeout=240,
        check=False,
    )
    output, errors = (text.decode("utf-8", "surrogateescape") for text in (ran.stdout, ran.stderr))
    return Ran(ran.returncode, output, errors, int(report.read_text()))


def _meddle(watched: str, code: str) -> None:
    """Run code at the first time that a file is opened."""
    waiting = [code]
    usual, once_open, name = os.open, watched.startswith("+"), watched.removeprefix("+")

    def meddling(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        met = bool(waiting) and os.fspath(path).endswith(name)
        if met and not once_open:
            exec(waiting.pop(), {"os": os})
        descriptor = usual(path, flags, mode, dir_fd=dir_fd)
        if met and once_open:
            exec(waiting.pop(), {"os": os})
        return descriptor

    os.open = meddling


def main() -> int:
    report, watched, code, *words = sys.argv[1:]
    if watched:
        _meddle(watched, code)
    sys.argv[1:] = words
    from imagebuilder import cli

    try:
        return cli.main()
    finally:
        # Of this program alone: what getrusage says also counts the process that it was forked from.
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        Path(report).write_text(str(int(peak[1]) * 1024 if peak else 0))


if __name__ == "__main__":
    sys.exit(main())
