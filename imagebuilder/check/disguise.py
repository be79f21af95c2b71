"""The disguise of a build: a program that is run as if on another machine and by another user.

    python -I -S disguise.py SETTINGS -- PROGRAM ARGUMENT…

It puts on what SETTINGS (JSON) say and becomes PROGRAM. It needs the standard library alone: nothing of the environment
that it is about to hand over decides how it runs itself.
"""

import ctypes
import json
import os
import socket
import sys
import time  # noqa: TID251 a clock is set by how far it is from the right one
from dataclasses import asdict, dataclass  # noqa: TID251 it runs without the rest of the program
from pathlib import Path

_CLONE_NEWUTS = 0x04000000
_CLONE_NEWUSER = 0x10000000
FAILED = 125  # what env(1), chroot(1) and their like exit with if it is they who failed


@dataclass(frozen=True, slots=True)
class Disguise:
    """What to put on. None, or empty, leaves what is there.

    `user` is the number of the user and the group: seen in a user namespace, where they stand for the caller's own, or
    taken on really with `setuid`. `clock` is the time at which the program begins, in seconds since 1970; it needs the
    library `faketime`, and reaches every program that asks the C library for the time.
    """

    user: int | None = None
    setuid: bool = False
    hostname: str = ""
    umask: int | None = None
    processors: tuple[int, ...] = ()
    clock: int | None = None
    faketime: str = ""

    def command(self, *program: str) -> list[str]:
        """Return the command that runs a program in this disguise."""
        settings = json.dumps(asdict(self))  # noqa: TID251 read again a moment later; nothing of it is stored
        return [sys.executable, "-I", "-S", __file__, settings, "--", *program]

    def put_on(self) -> None:
        """Change this process. Raises OSError where the kernel refuses."""
        if self.user is not None and not self.setuid:
            _enter_namespace(_CLONE_NEWUSER | (_CLONE_NEWUTS if self.hostname else 0), self.user, self.user)
        elif self.hostname:
            try:
                _unshare(_CLONE_NEWUTS)
            except PermissionError:  # only root may; in a user namespace of its own everybody is
                _enter_namespace(_CLONE_NEWUSER | _CLONE_NEWUTS, os.getuid(), os.getgid())
        if self.hostname:
            socket.sethostname(self.hostname)
        if self.user is not None and self.setuid:
            os.setgroups([])
            os.setgid(self.user)
            os.setuid(self.user)
        if self.umask is not None:
            os.umask(self.umask)
        if self.processors:
            os.sched_setaffinity(0, self.processors)

    def variables(self) -> dict[str, str]:
        """Return what sets the clock of the program that is run now.

        An offset, as libfaketime (0.9.10) takes a moment for one of the local time, which programs change. The times of
        files are left alone: an offset would move those of files that are older than the check. So is waiting: only in
        this setting do threads of Python neither hang nor spin. It breaks `time.sleep` of Python.
        """
        if self.clock is None:
            return {}
        return {
            "FAKETIME": f"{self.clock - time.time():+.6f}",
            "NO_FAKE_STAT": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "LD_PRELOAD": self.faketime,
        }


def _enter_namespace(flags: int, user: int, group: int) -> None:
    """Enter new namespaces, seen as this user and group there (user_namespaces(7))."""
    outside = os.getuid(), os.getgid()
    _unshare(flags)
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {outside[0]} 1")
    (own / "gid_map").write_text(f"{group} {outside[1]} 1")


def _unshare(flags: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)  # os.unshare comes with Python 3.12
    if library.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main(settings: str, _separator: str, *program: str) -> int:
    """Put on a disguise and become the program."""
    worn = Disguise(**json.loads(settings))
    try:
        worn.put_on()
        os.environ.update(worn.variables())  # noqa: TID251 handed over to the program
        os.execvp(program[0], program)  # noqa: S606 it becomes the program
    except OSError as error:
        sys.stderr.write(f"cannot become another machine: {error}\n")
    return FAILED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
