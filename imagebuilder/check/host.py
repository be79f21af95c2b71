"""The host of a check: what is usual on this machine, what can be made otherwise, and why the rest cannot.

Nothing is believed of a machine: what is to be varied is tried once, by a program that says what it sees.
"""

import locale
import os
import sys
import time  # noqa: TID251 all builds of a check begin at one time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from imagebuilder.check import children
from imagebuilder.check.disguise import Disguise
from layers.values import dataclass
from reproducibility.scenarios import SCENARIOS

# Where distributions put libfaketime, below /usr.
_FAKETIME = ("lib/*-linux-*/faketime", "lib64/faketime", "lib/faketime", "local/lib/faketime", "local/lib64/faketime")
_CLOCK = 1_700_000_000
# Prints what a program believes of the machine.
_ASKED = "import os, time; print(os.getuid(), os.uname().nodename, int(time.time()))"
# For another user to run this program there is more to read than the interpreter.
_LOADED = "import sys; sys.path.insert(0, sys.argv[1]); import imagebuilder.build, os; print(os.getuid())"


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. `usual` are values of variations as they are here, `locales` those that are installed.

    `setuid`: another user can only be had really, not by a user namespace. `faketime` is the library that sets clocks.
    `workers` are as many as a build has unless told otherwise; `started` is the time in seconds since 1970.
    """

    environment: Mapping[str, str]
    usual: Mapping[str, str]
    locales: tuple[str, ...]
    processors: tuple[int, ...]
    workers: int
    started: int
    setuid: bool = False
    faketime: str = ""

    def value(self, variation: str, number: int) -> str:
        """Return what a variation is in the further build of this number."""
        if variation == "locale":
            return self.locales[(number - 1) % len(self.locales)]
        return SCENARIOS[variation].value(number, unlike=self.usual.get(variation, ""))


def survey(
    environment: Mapping[str, str], wanted: Collection[str], *, workers: int, program: Path
) -> tuple[Host, dict[str, str]]:
    """Look what a machine lets a check vary. Returns with it why some of what is wanted cannot be varied.

    `program` is the folder that this package is imported from.
    """
    why: dict[str, str] = {}
    faketime, setuid = "", False
    if "clock" in wanted:
        faketime, why["clock"] = _find_faketime(environment)
    if "user" in wanted:
        setuid, why["user"] = _other_user(environment, program)
    if "hostname" in wanted:
        why["hostname"] = _refusal(Disguise(hostname="elsewhere"), environment, 1, "elsewhere")
    processors = tuple(sorted(os.sched_getaffinity(0)))
    usual = {
        "umask": f"{_umask():03o}",
        "user": str(os.getuid()),
        "hostname": os.uname().nodename,
        "hashseed": "0",
        "cpus": str(len(processors)),
    }
    host = Host(
        environment,
        usual,
        _locales(environment),
        processors,
        workers,
        int(time.time()),
        setuid=setuid,
        faketime=faketime,
    )
    return host, {name: reason for name, reason in why.items() if reason}


def _find_faketime(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the library that sets clocks, or why there is none."""
    found = sorted(path for place in _FAKETIME for path in Path("/usr").glob(f"{place}/libfaketime.so.1"))
    for path in found:
        if not _refusal(Disguise(clock=_CLOCK, faketime=str(path)), environment, 2, str(_CLOCK)):
            return str(path), ""
    return "", f"{found[0]} has no effect on {sys.executable}" if found else "install libfaketime"


def _other_user(environment: Mapping[str, str], program: Path) -> tuple[bool, str]:
    """Say whether another user has to be a real one, or why there can be none."""
    other = int(SCENARIOS["user"].value(1, unlike=str(os.getuid())))
    refused = _refusal(Disguise(user=other), environment, 0, str(other))
    if not refused or os.geteuid():
        return False, refused
    try:
        disguise = Disguise(user=other, setuid=True)
        children.ask(disguise.command(sys.executable, "-P", "-c", _LOADED, str(program)), environment=environment)
    except OSError as error:
        return False, f"{refused}; and another user cannot run this program: {error}"
    return True, ""


def _refusal(disguise: Disguise, environment: Mapping[str, str], asked: int, wanted: str) -> str:
    """Try a disguise; say why it is refused, or nothing if a program sees what is wanted."""
    try:
        answer = children.ask(disguise.command(sys.executable, "-I", "-S", "-c", _ASKED), environment=environment)
    except OSError as error:
        return str(error)
    return "" if answer.split()[asked] == wanted else "it has no effect here"


def _locales(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return those locales of the table that are installed and not the usual one."""
    usual = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "C")
    before = locale.setlocale(locale.LC_TIME)
    found = []
    for name in SCENARIOS["locale"].values:
        with suppress(locale.Error):
            locale.setlocale(locale.LC_TIME, name)
            found.append(name)
    locale.setlocale(locale.LC_TIME, before)
    return tuple(name for name in found if _same(name) != _same(usual)) or ("C",)


def _same(name: str) -> str:
    """Return a locale as all spell it who mean it."""
    return name.lower().replace("-", "").replace("posix", "c")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
