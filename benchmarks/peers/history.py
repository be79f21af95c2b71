"""The history of runs, by which a regression shows: a line of JSON for each.

Machines differ, so what is compared is not seconds but how many times our seconds the fastest peer took in the same
run.
"""

import json
from pathlib import Path

from benchmarks.peers.results import FLOOR, OURS, SCENARIOS, Run, Runs

HISTORY = Path(__file__).parent.parent / "history.jsonl"
TOLERANCE = 1.25


def entry(run: Run) -> dict[str, object]:
    """Return the line of a run, by scenario: our seconds, those of the floor and of the fastest peer as times ours."""
    cells = {
        scenario: round(run.median(scenario, OURS).seconds, 4)
        for scenario in SCENARIOS
        if (scenario, OURS) in run.costs
    }
    floor = {scenario: round(run.ratio(scenario, FLOOR), 3) for scenario in cells if (scenario, FLOOR) in run.costs}
    return {
        "time": run.time,
        "commit": run.commit,
        "workload": run.workload,
        "scale": run.scale,
        "peers": run.peers,
        "rounds": run.rounds,
        "load": round(run.load, 1),
        "seconds": cells,
        "floor": floor,
        "fastest peer": {scenario: round(run.lead(scenario), 3) for scenario in cells if run.peers},
    }


def append(runs: Runs, history: Path = HISTORY) -> None:
    """Add runs to the history."""
    with history.open("a") as file:
        file.writelines(json.dumps(entry(run)) + "\n" for run in runs.values())


def slower(runs: Runs, history: Path = HISTORY) -> list[str]:
    """Return what lost more than the tolerance since the last run of the same work beside the same peers."""
    lines = history.read_text().splitlines() if history.exists() else []
    before = {_work(line): line["fastest peer"] for line in map(json.loads, lines)}
    return [
        f"{run.workload}, {scenario}: the fastest peer takes {now:.2f} times our seconds, it was {then:.2f}"
        for run in runs.values()
        for line in [entry(run)]
        for scenario, then in before.get(_work(line), {}).items()
        if (now := line["fastest peer"].get(scenario, then)) * TOLERANCE < then
    ]


def _work(line: dict[str, object]) -> tuple[object, ...]:
    return line["workload"], line["scale"], *line["peers"]
