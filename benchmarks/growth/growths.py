"""What was measured of growth: a run for each subject, which a later run of the subject replaces."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path

from benchmarks.growth.fit import Fit, fit
from benchmarks.growth.subjects import SIZES
from benchmarks.peers.measure import Cost, median
from benchmarks.peers.results import commit, machine, now

SCENARIOS = ("cold", "no-op", "app change")
# What a busy machine leaves alone; seconds of the clock measure the neighbours as well.
FITTED = {"cpu_s": "seconds of the processor grow", "memory": "memory grows"}


@dataclass
class Growth:
    """The costs of builds by scenario and size; of each size as many as there were rounds."""

    subject: str
    time: str = field(default_factory=now)
    commit: str = field(default_factory=commit)
    machine: str = field(default_factory=machine)
    load: float = 0.0
    costs: dict[str, dict[int, list[Cost]]] = field(default_factory=lambda: {scenario: {} for scenario in SCENARIOS})

    def add(self, scenario: str, size: int, cost: Cost) -> None:
        self.costs[scenario].setdefault(size, []).append(cost)
        self.load = max(self.load, os.getloadavg()[0])

    @property
    def rounds(self) -> int:
        return min(len(costs) for sizes in self.costs.values() for costs in sizes.values())

    def points(self, scenario: str, figure: str) -> list[tuple[int, float]]:
        """Return the medians of a figure by size."""
        return [(size, getattr(median(costs), figure)) for size, costs in self.costs[scenario].items()]

    def fit(self, scenario: str, figure: str) -> Fit:
        return fit(self.points(scenario, figure))

    def warnings(self) -> Iterator[str]:
        """Yield what grows faster than the work does."""
        for scenario in SCENARIOS:
            for figure, words in FITTED.items():
                if (found := self.fit(scenario, figure)).superlinear:
                    yield f"{scenario}: {words} with the power {found.exponent:.2f} of {self.subject}"


Growths = Mapping[str, Growth]  # by subject


def merged(before: Growths, after: Growths) -> dict[str, Growth]:
    """Return the runs of both, the later one of each subject."""
    both = {**before, **after}
    return {subject: both[subject] for subject in SIZES if subject in both}


def write(growths: Growths, path: Path) -> None:
    path.write_text("[" + ",\n".join(map(_document, growths.values())) + "]\n")


def _document(growth: Growth) -> str:
    rows = {
        scenario: {size: [astuple(cost)[:3] for cost in costs] for size, costs in sizes.items()}
        for scenario, sizes in growth.costs.items()
    }
    return json.dumps({**asdict(growth), "costs": rows})


def read(path: Path) -> dict[str, Growth]:
    """Read runs; there are none before the first."""
    growths = {}
    for document in json.loads(path.read_text()) if path.exists() else []:
        for scenario, sizes in document["costs"].items():
            read_back = {int(size): [Cost(*each) for each in costs] for size, costs in sizes.items()}
            document["costs"][scenario] = read_back
        growths[document["subject"]] = Growth(**document)
    return growths
