"""What a sandboxed command is given: a root, folders, an environment and limits; and the words that say so to a rung.

The rungs bubblewrap and namespaces understand the same words, those of bwrap(1), so there is one description of both.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from imagebuilder.sandbox import usage
from layers.errors import BuildError
from layers.on_disk import on_disk
from layers.values import dataclass, field

# The user inside, whoever builds: `nonroot` of our own bases.
UID = 65532
HOME = "/build/home"
# 1980-01-01T00:00:01Z, the usual time in an image; zip archives can hold no earlier one.
EPOCH = 315532801
# Folders that are empty at first and may be written to.
SCRATCH = ("/dev/shm", "/tmp", HOME)  # noqa: S108 inside
# What of a root is never seen, because the sandbox has its own.
OWN = ("build", "dev", "proc", "sys", "tmp")

_CLOSED = ("/dev", "/proc", "/sys")
_FIXED = {
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": str(EPOCH),
    "TZ": "UTC",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a command may take. Sizes are bytes.

    `memory` is the data of each process, `together` what all of them have in memory; `processes` includes threads;
    `written` is all that is in the writable folders at any moment, `temporary` each of /tmp, HOME and /dev/shm, which
    are in memory.
    """

    time_s: float = 3600
    processes: int = 1024
    memory: int = 16 << 30
    together: int = field(default_factory=usage.three_quarters)
    file_size: int = 4 << 30
    written: int = 8 << 30
    temporary: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What is there for a command: a root that it cannot change, and folders of the host at paths inside.

    `readable` may also name files. If root builds, the command runs as another user: what is readable has to be so to
    all, while the writable folders are lent to that user for as long as it takes.
    Raises BuildError IB861 for a path that is not absolute and normalised, or that the sandbox needs for itself.
    """

    root: Path
    writable: Mapping[str, Path] = field(default_factory=dict)
    readable: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for place in (*self.writable, *self.readable):
            if not place.startswith("/") or os.path.normpath(place) != place or "\0" in place:
                raise _unusable(place, "it is not an absolute path")
            if place.startswith(tuple(f"{each}/" for each in _CLOSED)) or _hides(place):
                raise _unusable(place, "the sandbox has its own")
            if _link_on(self.root, place):
                raise _unusable(place, "a link stands on the way")
        for place in self.readable:
            if any(place.startswith(f"{above}/") for above in self.writable):
                raise _unusable(place, "it is in a folder that can be written to")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended that did not fail: the end of what it wrote, and how long it took."""

    output: str
    seconds: float
    rung: str
    lacks: tuple[str, ...]


def environment(given: Mapping[str, str], cwd: str) -> dict[str, str]:
    """Return all variables of a command: those that are given, and the fixed ones where nothing is given.

    Raises BuildError IB861 for what no variable can be.
    """
    for name, value in given.items():
        if not name or "=" in name or "\0" in name + value:
            raise BuildError(
                f"cannot give a command the variable {name!r}",
                hint="a name has no `=`, and neither name nor value has a NUL",
                code="IB861",
            )
    return {**_FIXED, "PWD": cwd, **given}


def places(sandbox: Sandbox) -> list[tuple[str, str, bool]]:
    """List (path inside, real path on the host, writable), a folder before what is in it.

    Raises BuildError IB861 if something of the host is not there.
    """
    both = [(place, host, False) for place, host in sandbox.readable.items()]
    both += [(place, host, True) for place, host in sandbox.writable.items()]
    for place, host, _ in both:
        if not host.exists():
            raise _unusable(place, f"{host} is not there")
    return [(place, os.path.realpath(host), writable) for place, host, writable in sorted(both)]


def mounts(sandbox: Sandbox) -> list[str]:
    """Say which files a command sees.

    The root is put together name by name, and so are its folders in which something else has its place: in one that
    cannot be written to, no place could be made for a mount.
    """
    own = (*sandbox.readable, *sandbox.writable)
    words = []
    for path in sorted(sandbox.root.resolve().iterdir()):
        if path.name not in OWN:
            words += _of_root(path, f"/{path.name}", own)
    words += own_mounts(sandbox.limits)
    for place, host, writable in places(sandbox):
        words += ["--bind" if writable else "--ro-bind", host, place]
    return words


def _of_root(path: Path, place: str, own: Sequence[str]) -> list[str]:
    """Say how a command sees what the root has at a place, among the places of the sandbox's own folders."""
    if place in own:
        return []
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), place]
    if any(each.startswith(f"{place}/") for each in own) and path.is_dir():
        return [word for child in sorted(path.iterdir()) for word in _of_root(child, f"{place}/{child.name}", own)]
    return ["--ro-bind", str(path), place]


def own_mounts(limits: Limits) -> list[str]:
    """Say what every sandbox has of its own."""
    words = ["--hostname", "imagebuilder", "--proc", "/proc", "--dev", "/dev"]
    for place in SCRATCH:
        words += ["--perms", "1777", "--size", str(limits.temporary), "--tmpfs", place]
    return [*words, "--remount-ro", "/dev"]


def start(env: Mapping[str, str], cwd: str) -> list[str]:
    """Say where a command starts, and with which variables."""
    words = ["--chdir", cwd]
    for name in sorted(env):
        words += ["--setenv", name, on_disk(env[name])]
    return words


def _hides(place: str) -> bool:
    return any(f"{own}/".startswith(f"{place.rstrip('/')}/") for own in (*_CLOSED, *SCRATCH))


def _link_on(root: Path, place: str) -> bool:
    """Say whether a link of the root is on the way: it could lead a mount to another place than was asked for."""
    first, *rest = place.strip("/").split("/")
    if first in OWN:
        return False
    path = root / first
    for part in rest:
        if path.is_symlink():
            return True
        path /= part
    return path.is_symlink()


def _unusable(place: str, why: str) -> BuildError:
    return BuildError(
        f"cannot give a command {place!r}: {why}",
        hint="give folders that exist, at paths below /build or /layers",
        code="IB861",
    )
