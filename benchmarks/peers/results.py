"""What was measured: costs and digests by workload, scenario and builder."""

import json
import os
import platform
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.peers.measure import Cost, median

SCENARIOS = ("cold", "no-op", "app change", "one added", "one bumped", "fresh runner")
OURS = "imagebuilder"
Cell = tuple[str, str, str]


@dataclass
class Results:
    """All costs of a run; `scale` is that of the workload of many files."""

    scale: float
    rounds: int = 0
    load: float = 0.0  # the most of the system's load averages after each round: on a busy machine seconds mean little
    costs: dict[Cell, list[Cost]] = field(default_factory=lambda: defaultdict(list))
    digests: dict[Cell, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, workload: str, scenario: str, builder: str, cost: Cost, digest: str) -> None:
        self.costs[workload, scenario, builder].append(cost)
        self.digests[workload, scenario, builder].append(digest)

    @property
    def workloads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(workload for workload, _, _ in self.costs))

    @property
    def builders(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(builder for _, _, builder in self.costs))

    def median(self, workload: str, scenario: str, builder: str) -> Cost:
        return median(self.costs[workload, scenario, builder])

    def ratio(self, workload: str, scenario: str, peer: str) -> float:
        """Return how many times our seconds a peer takes."""
        ours = self.median(workload, scenario, OURS).seconds
        return self.median(workload, scenario, peer).seconds / ours

    def reproducible(self, workload: str, builder: str) -> bool | None:
        """Return whether all cold builds gave one digest; None if there was one only."""
        digests = self.digests[workload, "cold", builder]
        return len(set(digests)) == 1 if len(digests) > 1 else None

    def to_json(self) -> str:
        cells = [
            {
                "workload": workload,
                "scenario": scenario,
                "builder": builder,
                **self.median(workload, scenario, builder).to_json(),
                "all_seconds": [round(cost.seconds, 4) for cost in costs],
                "digests": len(set(self.digests[workload, scenario, builder])),
            }
            for (workload, scenario, builder), costs in self.costs.items()
        ]
        machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        return (
            json.dumps({"rounds": self.rounds, "scale": self.scale, "machine": machine, "cells": cells}, indent=1)
            + "\n"
        )
