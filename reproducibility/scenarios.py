"""Scenarios: what a check varies between builds, one table.

Each has several other values, so that every further build of a check gets another one. How a value is brought about on
this machine, and whether it can be, is decided by who runs the builds.
"""

from layers.values import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """A condition that must not matter. `changes` is what it is, for people; `values` are others than the usual."""

    name: str
    changes: str
    values: tuple[str, ...]

    def value(self, number: int, *, unlike: str = "") -> str:
        """Return the value for the further build of this number (from 1), never the one that is usual here."""
        others = [value for value in self.values if value != unlike]
        return others[(number - 1) % len(others)]


_TABLE = {
    "source": ("folder of the source, times of its files", ("odd name", "deep", "short")),
    "temp": ("folder for temporary files, and of the store", ("odd name", "deep", "short")),
    "clock": ("date and time", ("+400 days", "+3 hours", "+5000 days")),
    "zone": ("time zone", ("<+14>-14", "<-11>11", "<+0545>-5:45")),
    "locale": ("language and character set", ("C", "C.UTF-8", "tr_TR.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8")),
    "umask": ("umask, and the modes of the source", ("077", "000", "027", "022")),
    "user": ("user and group", ("4321", "1000", "65534")),
    "home": ("home folder", ("new", "deep", "odd name")),
    "hostname": ("name of the host", ("buildd-7", "localhost", "a-host-with-a-long-name-0042")),
    "noise": ("variables of the environment", ("ci", "desktop", "server")),
    "hashseed": ("PYTHONHASHSEED", ("1", "4242", "4294967295")),
    "cpus": ("processors and workers", ("1", "2", "3")),
    "order": ("order in which folders list their files", ("reversed", "shuffled", "rotated")),
    "filesystem": ("file system of the temporary files and the store", ("memory", "other")),
    "downloads": ("everything fetched anew, by another number of workers", ("1", "5", "3")),
    "engine": ("who installs the packages: imagebuilder, or the package manager itself", ("native", "direct")),
}
SCENARIOS = {name: Scenario(name, changes, values) for name, (changes, values) in _TABLE.items()}
# Downloads are known by their hashes, and package managers take long: both are varied only where somebody asks for it.
USUAL = tuple(name for name in SCENARIOS if name not in ("downloads", "engine"))
