"""The process of a sandbox, as its parent sees it: started, limited, listened to, stopped when it takes too much."""

import json
import os
import resource
import selectors
import signal
import subprocess  # noqa: TID251 the one place where commands of builds are started
import time  # noqa: TID251 how long a command may take, and took
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

from imagebuilder.sandbox import calls, usage
from imagebuilder.sandbox.box import Limits
from layers.values import dataclass

_TAIL = 64 << 10
_STATUS_MAX = 1 << 20
# Pause between two looks at what was written, as a multiple of what a look takes, and at least this long.
_LOOK_RARELY, _LOOK_S = 20, 0.25
# How long what was killed may take to be gone.
_GRACE_S = 10.0

Stopped = Literal["", "time", "space", "memory"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: the exit code, None if the command was never started; the end of its output; why it was stopped."""

    code: int | None
    output: str
    seconds: float
    lacks: tuple[str, ...]
    stopped: Stopped


def supervise(
    program: Sequence[str], words: Sequence[str], command: Sequence[str], limits: Limits, written: Callable[[], int]
) -> Ended:
    """Run a command in a sandbox that a program makes as the words say, and wait until nothing of it is left.

    `written` says how many bytes are in the writable folders. Whatever ends the wait, ends the command too.
    """
    status_read, status = os.pipe()
    block, block_write = os.pipe()
    output_read, output = os.pipe()
    # Not as arguments: those can be read inside, and by all users of the host.
    said = _in_memory(b"".join(os.fsencode(word) + b"\0" for word in words))
    told = ["--json-status-fd", str(status), "--block-fd", str(block), "--args", str(said)]
    refused = _in_memory(calls.program(os.uname().machine))
    told += ["--seccomp", str(refused)] if os.fstat(refused).st_size else []
    try:
        outer = subprocess.Popen(
            [*program, *told, "--", *command],
            env={},  # as for the words
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(status, block, said, refused),
            start_new_session=True,
            umask=0o022,
        )
    except BaseException:
        _close(status_read, block_write, output_read)
        raise
    finally:
        _close(status, block, output, said, refused)
    run = _Run(outer, status_read, block_write, output_read, limits, written)
    try:
        return run.wait()
    finally:
        run.end()


class _Run:
    """A sandbox that runs."""

    def __init__(
        self,
        outer: subprocess.Popen[bytes],
        status: int,
        block: int,
        output: int,
        limits: Limits,
        written: Callable[[], int],
    ) -> None:
        self._outer = outer
        self._status, self._block, self._output = status, block, output
        self._limits = limits
        self._written = written
        self._said = b""
        self._tail = bytearray()
        self._child = 0
        self._stopped: Stopped = ""
        self._started = time.monotonic()
        self._deadline = self._started + limits.time_s
        self._next_look = self._started + _LOOK_S

    def wait(self) -> Ended:
        """Listen until the sandbox has closed all that it could write to."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ, self._hear)
            selector.register(self._status, selectors.EVENT_READ, self._note)
            while selector.get_map():
                for key, _ in selector.select(self._pause()):
                    chunk = os.read(key.fd, _TAIL)
                    if chunk:
                        key.data(chunk)
                    else:
                        selector.unregister(key.fd)
                self._look()
        self._outer.wait()
        seconds = time.monotonic() - self._started
        if not self._stopped and self._written() > self._limits.written:
            self._stopped = "space"
        fields = _fields(self._said)
        # Bubblewrap reports no exit code of a command that it could not start.
        code = fields.get("exit-code", 127 if b"bwrap: execvp " in self._tail else None)
        lacks = fields.get("lacks")
        return Ended(
            code if isinstance(code, int) else None,
            self._tail.decode("utf-8", "backslashreplace"),
            seconds,
            tuple(each for each in lacks if isinstance(each, str)) if isinstance(lacks, list) else (),
            self._stopped,
        )

    def end(self) -> None:
        """Leave nothing behind, also after an error."""
        if self._outer.poll() is None:
            self._kill()
            with suppress(subprocess.TimeoutExpired):
                self._outer.wait(_GRACE_S)
            self._outer.kill()
            self._outer.wait()
        _close(self._status, self._block, self._output)

    def _hear(self, chunk: bytes) -> None:
        self._tail += chunk
        del self._tail[:-_TAIL]

    def _note(self, chunk: bytes) -> None:
        """Take in a report. The first says which process is held back until it has its limits."""
        if len(self._said) < _STATUS_MAX:
            self._said += chunk
        child = _fields(self._said).get("child-pid")
        if not self._child and isinstance(child, int):
            self._child = child
            with suppress(ProcessLookupError):
                _limit(child, self._limits)
            with suppress(BrokenPipeError):
                os.write(self._block, b"\0")

    def _pause(self) -> float:
        return max(0.0, min(self._deadline, self._next_look) - time.monotonic())

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._deadline:
            self._stop("time")
        elif now >= self._next_look:
            if self._written() > self._limits.written:
                self._stop("space")
            elif usage.memory(self._outer.pid) > self._limits.together:
                self._stop("memory")
            after = time.monotonic()
            self._next_look = after + max(_LOOK_S, _LOOK_RARELY * (after - now))

    def _stop(self, why: Stopped) -> None:
        """Kill the sandbox; if it is still there after a while, its outermost process too."""
        self._outer.kill() if self._stopped else self._kill()
        self._stopped = self._stopped or why
        self._deadline = time.monotonic() + _GRACE_S
        self._next_look = self._deadline

    def _kill(self) -> None:
        """Kill the first process inside, and with it all others; the outermost one then waits until they are gone."""
        if self._outer.poll() is None:  # or its number could be another's by now
            with suppress(ProcessLookupError):
                os.kill(self._child or self._outer.pid, signal.SIGKILL)


def _fields(said: bytes) -> dict[str, object]:
    """Read the whole lines of a report; later ones count more."""
    fields: dict[str, object] = {}
    for line in said.split(b"\n")[:-1]:
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                fields |= found
    return fields


def _limit(process: int, limits: Limits) -> None:
    """Give a process the limits that those it starts inherit; none above what we have ourselves."""
    for kind, size in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NOFILE, 4096),
        (resource.RLIMIT_NPROC, limits.processes),
    ):
        _, most = resource.prlimit(process, kind)
        at_most = size if most == resource.RLIM_INFINITY else min(size, most)
        resource.prlimit(process, kind, (at_most, at_most))


def _in_memory(content: bytes) -> int:
    """Return a file that is in memory only, to be read from its start."""
    file = os.memfd_create("words")
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _close(*descriptors: int) -> None:
    for each in descriptors:
        os.close(each)
