"""What commands cost, with the daemons that work for them."""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Seconds, seconds of the processor, peak memory; bytes that came to the registry and from the index; requests."""

    seconds: float
    cpu_s: float
    memory: int
    sent: int = 0
    fetched: int = 0
    asked_registry: int | None = None  # not counted
    asked_index: int | None = None


def median(costs: Iterable[Cost]) -> Cost:
    """Return the medians, each figure by itself; of memory the most."""
    costs = tuple(costs)
    requests = ([cost.asked_registry for cost in costs], [cost.asked_index for cost in costs])
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.memory for cost in costs),
        int(statistics.median(cost.sent for cost in costs)),
        int(statistics.median(cost.fetched for cost in costs)),
        *(None if None in counts else int(statistics.median(counts)) for counts in requests),
    )


def run(commands: Sequence[Sequence[str]], environment: Mapping[str, str], daemons: Sequence[int] = ()) -> Cost:
    """Run commands one after the other; `daemons` are the sessions whose processes work for them."""
    for process in _processes(daemons):
        with suppress(OSError):
            (process / "clear_refs").write_text("5")  # proc(5): the peak begins anew
    before = sum(map(_ticks, _processes(daemons)))
    cpu, peak, started = 0.0, 0, time.perf_counter()
    for command in commands:
        used = _run(command, environment)
        cpu += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss << 10)
    seconds = time.perf_counter() - started
    cpu += (sum(map(_ticks, _processes(daemons))) - before) / TICKS
    return Cost(round(seconds, 4), round(cpu, 4), peak + sum(map(_peak, _processes(daemons))))


def _run(command: Sequence[str], environment: Mapping[str, str]) -> "os.struct_rusage":
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')[-3000:]}")
    return used


def _processes(sessions: Sequence[int]) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*") if sessions else ():
        with suppress(OSError):
            if os.getsid(int(process.name)) in sessions:
                found.append(process)
    return found


def _ticks(process: Path) -> int:
    """Return what a process and the children it has waited for took: fields 14 to 17 of proc(5)'s stat."""
    with suppress(OSError):
        return sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:15]))
    return 0


def _peak(process: Path) -> int:
    with suppress(OSError):
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0
