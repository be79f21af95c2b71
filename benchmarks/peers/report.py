"""The tables and the chart of a run."""

import os
import re
from pathlib import Path

from benchmarks.peers import chart, goals
from benchmarks.peers.measure import Cost
from benchmarks.peers.results import OURS, SCENARIOS, Results

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


def write(results: Results) -> None:
    """Write the results, the chart, and the tables between their marks in the document."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "peers.json").write_text(results.to_json())
    (RESULTS / "peers.svg").write_text(chart.bars(results))
    document = DOCUMENT.read_text()
    marked = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    DOCUMENT.write_text(marked.sub(lambda _: f"{BEGIN}\n{tables(results)}\n{END}", document))


def tables(results: Results) -> str:
    """Return a table for each workload: seconds first, then what else it cost."""
    busy = f"{os.cpu_count()} cores with a load of up to {results.load:.1f}, the benchmark's own included"
    parts = [f"Medians of {results.rounds} in one run; {busy}."]
    for workload in results.workloads:
        parts += [f"### {_title(workload, results)}", _table(workload, results)]
    digests = ("### Two cold builds, one digest?", _digests(results))
    return "\n\n".join([*parts, *digests, "### Goals", goals.table(results)])


def _title(workload: str, results: Results) -> str:
    if workload != "files":
        return workload
    return f"files: {20_000 * results.scale:,.0f} files, {2 * results.scale:.1f} GB"


def _table(workload: str, results: Results) -> str:
    peers = [builder for builder in results.builders if builder != OURS]
    lines = [
        "| scenario | builder | seconds | times ours | CPU s | MB sent | MB from the index | MB of memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for scenario in SCENARIOS:
        for builder in (*([OURS] if OURS in results.builders else []), *peers):
            times = f"{results.ratio(workload, scenario, builder):.1f}" if OURS in results.builders else ""
            cost = results.median(workload, scenario, builder)
            lines.append(f"| {scenario} | {builder} | {_figures(cost, times)} |")
    return "\n".join(lines)


def _figures(cost: Cost, times: str) -> str:
    sizes = (f"{size / 1e6:.2f}" for size in (cost.sent, cost.fetched))
    return " | ".join((f"{cost.seconds:.3f}", times, f"{cost.cpu_s:.2f}", *sizes, f"{cost.memory / 1e6:.0f}"))


def _digests(results: Results) -> str:
    words = {True: "yes", False: "no", None: "built once"}
    lines = [f"| | {' | '.join(results.workloads)} |", "|---|" + "---|" * len(results.workloads)]
    for builder in results.builders:
        cells = [words[results.reproducible(workload, builder)] for workload in results.workloads]
        lines.append(f"| {builder} | {' | '.join(cells)} |")
    return "\n".join(lines)
