"""Commands of a build: run in a sandbox, and what it means if they do not end well."""

import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from imagebuilder.sandbox import box, chroot, folders, process, rungs
from imagebuilder.sandbox.box import HOME, Finished, Sandbox
from imagebuilder.sandbox.process import Ended
from layers.errors import BuildError

# Of the output of a command that failed: what compilers and Python say last tells the most.
_LAST_LINES = 20


def run(
    sandbox: Sandbox,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str = HOME,
    rung: str = "",
) -> Finished:
    """Run a command to its end. It has the variables `env` and the fixed ones of `box`, and nothing outlives it.

    `rung` chooses the way to make the sandbox, which otherwise is the best that works here.
    Raises BuildError IB860 or IB861 if there can be no sandbox, IB862 if the command fails, IB863 if it takes too
    long, IB864 if it writes too much, IB971 if its processes take too much memory together.
    """
    way = rungs.choose(rung)
    words = box.start(box.environment(env or {}, cwd), cwd)
    with ExitStack() as stack:
        writable = tuple(sandbox.writable.values())
        if way == "chroot":
            stage, writable = stack.enter_context(chroot.staged(sandbox))
            words = ["--hostname", "imagebuilder", "--chroot", str(stage), *words]
        else:
            words = [*box.mounts(sandbox), "--remount-ro", "/", *words]
        stack.enter_context(folders.lent(writable))
        ended = process.supervise(rungs.program(way), words, command, sandbox.limits, lambda: folders.size(writable))
    _check(ended, command[0], sandbox)
    return Finished(ended.output, ended.seconds, way, ended.lacks)


def _check(ended: Ended, name: str, sandbox: Sandbox) -> None:
    last = tuple(ended.output.splitlines()[-_LAST_LINES:])
    if ended.stopped == "time":
        raise BuildError(
            f"{name} was stopped: it took more than {sandbox.limits.time_s:.0f} s",
            details=last,
            hint="see in its last lines what it was waiting for; there is no network and no keyboard in a sandbox",
            code="IB863",
        )
    if ended.stopped == "space":
        raise BuildError(
            f"{name} was stopped: it wrote more than {sandbox.limits.written} bytes, or folders that nobody can open",
            details=last,
            hint="find out what it writes; a package that does not build in this space can be brought as a wheel",
            code="IB864",
        )
    if ended.stopped == "memory":
        raise BuildError(
            f"{name} was stopped: its processes took more than {sandbox.limits.together} bytes of memory together",
            details=last,
            hint="build it on a machine with more memory or fewer processors, or bring the package as a wheel",
            code="IB971",
        )
    if ended.code is None:
        raise BuildError(
            f"cannot shut in {name}",
            details=last,
            hint="see whether the folders that it is given are there; `imagebuilder explain IB861` says more",
            code="IB861",
        )
    if ended.code:
        raise BuildError(
            f"{name} failed: {_reason(ended.code)}",
            details=last,
            hint="its last lines say why; what it needs from Debian can be named in `build-packages`",
            code="IB862",
        )


def _reason(code: int) -> str:
    number = code - 128
    if number in signal.valid_signals():
        return f"it was ended by {signal.Signals(number).name}"
    return f"exit status {code}"
