"""The ways to make a sandbox, the best first: which of them work here, and why the others do not.

What a rung needs of a kernel, an engine or a distribution's rules cannot be read anywhere, so each is tried: a sandbox
with nothing in it is made and left again.
"""

import functools
import os
import shutil
import sys
from pathlib import Path
from typing import Literal

from imagebuilder.sandbox import box, process
from imagebuilder.sandbox.box import UID, Limits
from layers.errors import BuildError
from layers.values import dataclass

Name = Literal["bubblewrap", "namespaces", "chroot"]
NAMES: tuple[Name, ...] = ("bubblewrap", "namespaces", "chroot")

_HERE = Path(__file__).parent
_USER = ("--uid", str(UID), "--gid", str(UID))


@dataclass(frozen=True, slots=True)
class Rung:
    """A way to make a sandbox: why it does not work here, empty if it does, and what it cannot cut off."""

    name: Name
    problem: str = ""
    lacks: tuple[str, ...] = ()


def rungs() -> tuple[Rung, ...]:
    """Try every rung."""
    return tuple(map(_tried, NAMES))


def choose(name: str = "") -> Name:
    """Return the best rung that works, or the named one.

    Raises BuildError IB860 if none does, IB861 if the named one does not.
    """
    tried = []
    for each in NAMES:
        if name in ("", each):
            rung = _tried(each)
            if not rung.problem:
                return each
            tried.append(f"{each}: {rung.problem}")
    raise BuildError(
        "commands of a build cannot be shut in here",
        details=tuple(tried),
        hint="install bubblewrap, or allow user namespaces; in a container, build as root or with seccomp=unconfined",
        code="IB861" if name else "IB860",
    )


def program(name: Name) -> list[str]:
    """Return what makes a sandbox of this kind; it takes the words of `box`."""
    # Nothing of the site: no .pth file, no sitecustomize. What is started needs the standard library alone.
    python = (sys.executable, "-I", "-S", "-B")
    if name == "bubblewrap":
        isolated = ("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts")
        ended = ("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv")
        return [*python, str(_HERE / "keyless.py"), shutil.which("bwrap") or "bwrap", *isolated, *ended, *_USER]
    return [*python, str(_HERE / "launcher.py"), *_USER]


@functools.cache
def _tried(name: Name) -> Rung:
    problem = _unsuited(name)
    if problem:
        return Rung(name, problem)
    limits = Limits(time_s=20, temporary=1 << 20)
    own = ["--hostname", "imagebuilder", "--chroot", str(_HERE)] if name == "chroot" else box.own_mounts(limits)
    # There is no such command; a sandbox that can say so works.
    ended = process.supervise(program(name), [*own, *box.start({}, "/")], ["/none"], limits, lambda: 0)
    if ended.code is None:
        return Rung(name, ended.output.strip().rpartition("\n")[2] or "it ends without a word")
    return Rung(name, lacks=ended.lacks)


def _unsuited(name: Name) -> str:
    root = os.geteuid() == 0
    if name == "chroot":
        return "" if root else "only root can change the root"
    if name == "bubblewrap" and root:
        return "root needs none: the other ways leave less to the command"
    if name == "bubblewrap" and not shutil.which("bwrap"):
        return "it is not installed"
    return ""
