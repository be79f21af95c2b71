"""The history of runs, by which a regression shows: a line of JSON for each.

Machines differ, so what is compared is not seconds but how many times our seconds the fastest peer took in the same
run.
"""

import datetime as dt
import json
import subprocess
from pathlib import Path

from benchmarks.peers.results import OURS, Results

HISTORY = Path(__file__).parent.parent / "history.jsonl"
TOLERANCE = 1.25


def ratios(results: Results) -> dict[str, float]:
    """Return for each workload and scenario how many times our seconds the fastest peer took."""
    peers = [builder for builder in results.builders if builder != OURS]
    cells = dict.fromkeys((workload, scenario) for workload, scenario, _ in results.costs)
    return {
        f"{workload}, {scenario}": round(min(results.ratio(workload, scenario, peer) for peer in peers), 3)
        for workload, scenario in cells
        if peers and OURS in results.builders
    }


def append(results: Results) -> None:
    """Add a run to the history."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%MZ")
    seconds = {", ".join(cell): round(results.median(*cell).seconds, 4) for cell in results.costs if cell[2] == OURS}
    line = {
        "time": now,
        "commit": commit.strip(),
        "rounds": results.rounds,
        "ratios": ratios(results),
        "seconds": seconds,
    }
    with HISTORY.open("a") as file:
        file.write(json.dumps(line) + "\n")


def slower(results: Results) -> list[str]:
    """Return the cells that lost more than the tolerance since the last run of the history."""
    if not HISTORY.exists() or not (lines := HISTORY.read_text().splitlines()):
        return []
    before = json.loads(lines[-1])["ratios"]
    return [
        f"{cell}: the fastest peer takes {now:.2f} times our seconds, it was {before[cell]:.2f}"
        for cell, now in ratios(results).items()
        if cell in before and now * TOLERANCE < before[cell]
    ]
