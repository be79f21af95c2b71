"""How much memory the processes of a sandbox take together: no limit of the kernel says so without cgroups."""

import os
import re
from pathlib import Path

_PROCESSES = Path("/proc")
# Of a process alone, and what it has in files without a name; its program and libraries are there once for all.
_FIELDS = re.compile(rb"^(PPid|RssAnon|RssShmem):\s*(\d+)", re.MULTILINE)
_KIB = 1024


def memory(first: int) -> int:
    """Add up the bytes that a process and all that descend from it have in memory, as far as they can be seen.

    A page that two processes share since a `fork` counts twice, one that nobody has mapped not at all.
    """
    parents, sizes = {}, {}
    for path in _PROCESSES.iterdir():
        if path.name.isdecimal():
            found, process = _fields(path), int(path.name)
            parents[process] = found.get(b"PPid", 0)
            sizes[process] = found.get(b"RssAnon", 0) + found.get(b"RssShmem", 0)
    inside = {first}
    # Who started later need not have the higher number.
    while more := {process for process, parent in parents.items() if parent in inside} - inside:
        inside |= more
    return sum(sizes.get(process, 0) for process in inside) * _KIB


def three_quarters() -> int:
    """Return how much of this machine's memory a build may take, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 * 3


def _fields(process: Path) -> dict[bytes, int]:
    try:
        text = (process / "status").read_bytes()
    except OSError:
        return {}  # it has ended
    return {name: int(number) for name, number in _FIELDS.findall(text)}
