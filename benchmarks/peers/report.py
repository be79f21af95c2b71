"""The tables and the charts of runs."""

import re
from pathlib import Path

from benchmarks.peers import chart, goals, results
from benchmarks.peers.measure import Cost
from benchmarks.peers.results import FLOOR, OURS, SCENARIOS, Run, Runs
from benchmarks.peers.workloads import FILES, WORKLOADS

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "performance.md"
HEAD = "| scenario | builder | seconds | times ours | CPU s | MB sent | MB from the index | requests | MB of memory |"


def write(runs: Runs) -> None:
    """Let new runs take the place of those of their workloads: in the results, the charts, and the document."""
    RESULTS.mkdir(exist_ok=True)
    kept = results.merged(results.read(RESULTS / "peers.json"), runs, WORKLOADS)
    results.write(kept, RESULTS / "peers.json")
    (RESULTS / "peers.svg").write_text(chart.dots(kept, columns=2))
    (RESULTS / "peers-narrow.svg").write_text(chart.dots(kept, columns=1))
    between("measured", tables(kept))


def between(mark: str, words: str, document: Path = DOCUMENT) -> None:
    """Put words between two marks of a document."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of what was {mark} -->"
    marked = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    text, found = marked.subn(lambda _: f"{begin}\n{words}\n{end}", document.read_text())
    assert found == 1, f"{document} has {found} places between {begin} and {end}"
    document.write_text(text)


def tables(runs: Runs) -> str:
    """Return a table for each workload: seconds first, then what else it cost."""
    parts = [part for run in runs.values() for part in (f"### {_title(run)}", _origin(run), _table(run))]
    digests = ("### Two cold builds, one digest?", _digests(runs))
    return "\n\n".join([*parts, *digests, "### Goals", goals.table(runs)])


def _title(run: Run) -> str:
    if run.workload != FILES:
        return run.workload
    return f"{FILES}: {20_000 * run.scale:,.0f} files, {2 * run.scale:.1f} GB"


def _origin(run: Run) -> str:
    times = "One round" if run.rounds == 1 else f"Medians of {run.rounds} rounds"
    return f"{times}, {run.time}, commit {run.commit}; {run.machine}, with a load of up to {run.load:.1f}."


def _table(run: Run) -> str:
    others = [builder for builder in run.builders if builder not in (OURS, FLOOR)]
    lines = [HEAD, re.sub("[^|]+", "---", HEAD)]
    for scenario in SCENARIOS:
        for builder in (OURS, *others, FLOOR):
            if (scenario, builder) in run.costs:
                times = f"{run.ratio(scenario, builder):.1f}" if OURS in run.builders else ""
                lines.append(f"| {scenario} | {builder} | {_figures(run.median(scenario, builder), times)} |")
    return "\n".join(lines)


def _figures(cost: Cost, times: str) -> str:
    sizes = (f"{size / 1e6:.2f}" for size in (cost.sent, cost.fetched))
    requests = "" if cost.asked_registry is None else f"{cost.asked_registry} + {cost.asked_index}"
    memory = f"{cost.memory / 1e6:.0f}"
    return " | ".join((f"{cost.seconds:.3f}", times, f"{cost.cpu_s:.2f}", *sizes, requests, memory))


def _digests(runs: Runs) -> str:
    words = {True: "yes", False: "no", None: "built once"}
    builders = dict.fromkeys(builder for run in runs.values() for builder in run.builders)
    lines = [f"| | {' | '.join(runs)} |", "|---|" + "---|" * len(runs)]
    for builder in builders:
        cells = [words[run.reproducible(builder)] if builder in run.builders else "" for run in runs.values()]
        lines.append(f"| {builder} | {' | '.join(cells)} |")
    return "\n".join(lines)
