"""What was measured: a run for each workload, with costs and digests by scenario and builder.

Runs are kept apart, so that a workload can be measured alone: its new run takes the place of the one before.
"""

import datetime as dt
import json
import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from benchmarks.peers.measure import Cost, median

SCENARIOS = ("cold", "no-op", "app change", "one added", "one bumped", "fresh runner")
OURS, FLOOR = "imagebuilder", "floor"
FIGURES = tuple(figure.name for figure in fields(Cost))


@dataclass
class Run:
    """A workload, measured in rounds in which the builders took turns; `scale` is that of the one of many files."""

    workload: str
    time: str
    commit: str
    machine: str
    scale: float = 1.0
    rounds: int = 0
    load: float = 0.0  # the most of the system's load averages after each round: on a busy machine seconds mean little
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=lambda: defaultdict(list))
    digests: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def begun(cls, workload: str, scale: float) -> "Run":
        """Return a run that begins now."""
        return cls(workload, now(), commit(), machine(), scale)

    def add(self, scenario: str, builder: str, cost: Cost, digest: str) -> None:
        self.costs[scenario, builder].append(cost)
        self.digests[scenario, builder].append(digest)

    @property
    def builders(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(builder for _, builder in self.costs))

    @property
    def peers(self) -> tuple[str, ...]:
        """Those that others use."""
        return tuple(builder for builder in self.builders if builder not in (OURS, FLOOR))

    def median(self, scenario: str, builder: str) -> Cost:
        return median(self.costs[scenario, builder])

    def ratio(self, scenario: str, builder: str) -> float:
        """Return how many times our seconds a builder takes."""
        return self.median(scenario, builder).seconds / self.median(scenario, OURS).seconds

    def lead(self, scenario: str) -> float:
        """Return how many times our seconds the fastest peer takes."""
        return min(self.ratio(scenario, peer) for peer in self.peers)

    def reproducible(self, builder: str) -> bool | None:
        """Return whether all cold builds gave one digest; None if there was one only."""
        digests = self.digests["cold", builder]
        return len(set(digests)) == 1 if len(digests) > 1 else None


Runs = Mapping[str, Run]  # by workload


def merged(before: Runs, after: Runs, order: Iterable[str]) -> dict[str, Run]:
    """Return the runs of both, the later one of each workload, in this order of workloads."""
    both = {**before, **after}
    return {workload: both[workload] for workload in order if workload in both}


def read(path: Path) -> dict[str, Run]:
    """Read runs; there are none before the first."""
    documents = json.loads(path.read_text()) if path.exists() else []
    return {document["workload"]: _run(document) for document in documents}


def _run(document: dict[str, object]) -> Run:
    cells = document.pop("cells")
    run = Run(**document)
    for cell in cells:
        key = (cell["scenario"], cell["builder"])
        columns = [cell[figure] for figure in FIGURES]
        run.costs[key] = [Cost(*figures) for figures in zip(*columns, strict=True)]
        run.digests[key] = cell["digests"]
    return run


def write(runs: Runs, path: Path) -> None:
    """Write runs as JSON, with a line for each cell of their tables."""
    path.write_text("[" + ",".join(map(_document, runs.values())) + "]\n")


def _document(run: Run) -> str:
    about = {name: value for name, value in vars(run).items() if name not in ("costs", "digests")}
    cells = [
        {
            "scenario": scenario,
            "builder": builder,
            **{figure: [getattr(cost, figure) for cost in costs] for figure in FIGURES},
            "digests": run.digests[scenario, builder],
        }
        for (scenario, builder), costs in run.costs.items()
    ]
    return json.dumps(about)[:-1] + ', "cells": [\n' + ",\n".join(map(json.dumps, cells)) + "\n]}"


def now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def commit() -> str:
    """Return the commit that is measured; it ends with -dirty if a file was changed since."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
