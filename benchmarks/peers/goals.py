"""What a run should show, and whether it did."""

from collections.abc import Iterator

from benchmarks.peers.measure import Cost
from benchmarks.peers.results import FLOOR, OURS, Run, Runs
from benchmarks.peers.workloads import FILES, FILES_BYTES

# At least so many times faster than a builder, or than the fastest of all but us (empty).
FASTER = {
    ("cold", "docker, uv"): 5.0,
    ("cold", "docker, pip"): 10.0,
    ("one added", ""): 20.0,
    ("app change", ""): 2.0,
}
LARGER = ("medium", "large")
ABOVE_FLOOR = ("cold", "one added", "app change", "no-op")
TIMES_FLOOR = 1.5
NOOP_S, NOOP_CPU_S, FRESH_S, CHANGED_S = 0.12, 0.09, 0.5, 1.0
INPUT_PER_S, MEMORY, BEYOND = 150e6, 150e6, 1e6

Row = tuple[str, str, bool]  # goal, what was measured, whether that meets it


def table(runs: Runs) -> str:
    """Return a row for each goal and workload that was measured."""
    lines = ["| workload | goal | measured | |", "|---|---|---|---|"]
    for workload, run in runs.items():
        lines += [
            f"| {workload} | {goal} | {found} | {'met' if met else '**missed**'} |" for goal, found, met in rows(run)
        ]
    return "\n".join(lines)


def rows(run: Run) -> Iterator[Row]:
    """Yield the goals of a workload."""
    if OURS not in run.builders:
        return
    yield from _ratios(run)
    yield from _above_floor(run)
    ours = {scenario: run.median(scenario, OURS) for scenario, builder in run.costs if builder == OURS}
    yield from _no_op(ours["no-op"])
    yield from _files(ours, run.scale) if run.workload == FILES else _packages(ours, run.workload)
    peak = max(cost.memory for cost in ours.values())
    yield "memory: 150 MB", f"{peak / 1e6:.0f} MB", peak <= MEMORY


def _ratios(run: Run) -> Iterator[Row]:
    for (scenario, peer), goal in FASTER.items():
        if (run.workload in LARGER or scenario == "app change") and (peer in run.peers if peer else run.peers):
            ratio = run.ratio(scenario, peer) if peer else run.lead(scenario)
            words = f"{scenario}: {goal:g} times as fast as {peer or 'the fastest peer'}"
            yield words, f"{ratio:.1f} times", ratio >= goal


def _above_floor(run: Run) -> Iterator[Row]:
    for scenario in ABOVE_FLOOR if FLOOR in run.builders else ():
        times = 1 / run.ratio(scenario, FLOOR)
        yield f"{scenario}: {TIMES_FLOOR:g} times the floor", f"{times:.1f} times", times <= TIMES_FLOOR


def _no_op(cost: Cost) -> Iterator[Row]:
    yield f"no-op: {NOOP_S} s", f"{cost.seconds:.3f} s", cost.seconds <= NOOP_S
    yield f"no-op: {NOOP_CPU_S} s of the processor", f"{cost.cpu_s:.3f} s", cost.cpu_s <= NOOP_CPU_S
    if cost.asked_registry is not None:
        requests = f"{cost.asked_registry} and {cost.asked_index}"
        words = "no-op: one request to the registry for its tag, none to the index"
        yield words, requests, (cost.asked_registry, cost.asked_index) == (1, 0)


def _packages(ours: dict[str, Cost], workload: str) -> Iterator[Row]:
    fresh, added = ours["fresh runner"], ours["one added"]
    yield f"fresh runner: {FRESH_S} s", f"{fresh.seconds:.2f} s", fresh.seconds <= FRESH_S
    yield "fresh runner: no packages fetched", f"{fresh.fetched / 1e6:.2f} MB", fresh.fetched == 0
    if workload in LARGER:
        beyond = added.sent - added.fetched
        yield "one added: 1 MB sent beyond its wheel", f"{beyond / 1e6:.2f} MB", beyond <= BEYOND


def _files(ours: dict[str, Cost], scale: float) -> Iterator[Row]:
    rate = FILES_BYTES * scale / ours["cold"].seconds
    yield "cold: 150 MB of files a second", f"{rate / 1e6:.0f} MB", rate >= INPUT_PER_S
    changed = ours["app change"].seconds
    yield f"app change: {CHANGED_S:g} s", f"{changed:.2f} s", changed <= CHANGED_S
