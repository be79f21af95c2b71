"""What a run should show, and whether it did."""

from collections.abc import Iterator

from benchmarks.peers.results import OURS, SCENARIOS, Results

# At least so many times faster than a builder, or than the fastest of all but us (empty).
FASTER = {
    ("cold", "docker, uv"): 5.0,
    ("cold", "docker, pip"): 10.0,
    ("one added", ""): 20.0,
    ("app change", ""): 2.0,
}
LARGER = ("medium", "large")
NOOP_S, NOOP_CPU_S, FRESH_S, MEMORY, BEYOND = 0.12, 0.09, 0.5, 150e6, 1e6


def table(results: Results) -> str:
    """Return a row for each goal and workload that was measured."""
    lines = ["| workload | goal | measured | |", "|---|---|---|---|"]
    if OURS in results.builders:
        for workload in results.workloads:
            rows = (*_ratios(results, workload), *_limits(results, workload))
            lines += [
                f"| {workload} | {goal} | {found} | {'met' if met else '**missed**'} |" for goal, found, met in rows
            ]
    return "\n".join(lines)


def _ratios(results: Results, workload: str) -> Iterator[tuple[str, str, bool]]:
    peers = [builder for builder in results.builders if builder != OURS]
    for (scenario, peer), goal in FASTER.items():
        chosen = [peer] if peer in peers else [] if peer else peers
        if chosen and (workload in LARGER or scenario == "app change"):
            ratio = min(results.ratio(workload, scenario, each) for each in chosen)
            words = f"{scenario}: {goal:g} times as fast as {peer or 'the fastest peer'}"
            yield words, f"{ratio:.1f} times", ratio >= goal


def _limits(results: Results, workload: str) -> Iterator[tuple[str, str, bool]]:
    noop, fresh = (results.median(workload, scenario, OURS) for scenario in ("no-op", "fresh runner"))
    yield f"no-op: {NOOP_S} s", f"{noop.seconds:.3f} s", noop.seconds <= NOOP_S
    yield f"no-op: {NOOP_CPU_S} s of the processor", f"{noop.cpu_s:.3f} s", noop.cpu_s <= NOOP_CPU_S
    yield f"fresh runner: {FRESH_S} s", f"{fresh.seconds:.2f} s", fresh.seconds <= FRESH_S
    yield "fresh runner: no packages fetched", f"{fresh.fetched / 1e6:.2f} MB", fresh.fetched == 0
    added = results.median(workload, "one added", OURS)
    beyond = added.sent - added.fetched
    yield "one added: 1 MB sent beyond its wheel", f"{beyond / 1e6:.2f} MB", beyond <= BEYOND
    peak = max(results.median(workload, scenario, OURS).memory for scenario in SCENARIOS)
    yield "memory: 150 MB", f"{peak / 1e6:.0f} MB", peak <= MEMORY
