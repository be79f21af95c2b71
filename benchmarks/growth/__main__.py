"""Measure how builds and pushes grow with files, packages and bytes; fit and draw it.

    python -m benchmarks.growth --folder FOLDER [--subjects files,packages,bytes] [--rounds N] [--scale SHARE] [--quick]

FOLDER may be that of benchmarks.peers, whose base image it needs (and makes, if it is not there). Writes
benchmarks/results/growth.json, the chart beside it, and a table of docs/performance.md; `--quick` writes nothing. What
is measured of a subject takes the place of what was. Exits with 1 if something grows faster than the work does.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.growth import chart, growths
from benchmarks.growth.fit import Fit
from benchmarks.growth.growths import SCENARIOS, Growth, Growths
from benchmarks.growth.subjects import SIZES, application, shelf
from benchmarks.peers.builders import Ours
from benchmarks.peers.report import RESULTS, between
from benchmarks.peers.workloads import settle
from benchmarks.peers.world import Index, Registry, free_port, seeded

HEAD = "| by | scenario | size | CPU s | seconds | MB of memory | CPU s, fitted | exponents of CPU, memory |"


def main() -> int:
    chosen = _arguments()
    rounds = 1 if chosen.quick else chosen.rounds
    measured = {}
    with _world(chosen.folder) as (builder, place):
        for subject in chosen.subjects:
            measured[subject] = Growth(subject)
            for size in SIZES[subject]:
                if size <= SIZES[subject][-1] * chosen.scale:
                    _measure(builder, place, measured[subject], size, rounds)
    print(_tables(measured))
    if not chosen.quick:
        _write(measured)
    warnings = [warning for growth in measured.values() for warning in growth.warnings()]
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 1 if warnings else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where everything lies; keep its name short")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="leave out sizes above this share of the largest")
    parser.add_argument("--quick", action="store_true", help="one round, and no results in the repository")
    parser.add_argument("--subjects", type=lambda text: text.split(","), default=list(SIZES), help=", ".join(SIZES))
    return parser.parse_args()


@contextmanager
def _world(folder: Path) -> Iterator[tuple[Ours, Path]]:
    place = folder / "growth"
    place.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place / "work", ignore_errors=True)
    (place / "work").mkdir()
    with Index(shelf(place)).running() as index:
        registry = Registry(place / "work" / "registry", seeded(folder), free_port())
        registry.begin()
        builder = Ours(place / "work" / "imagebuilder", registry, index)
        try:
            yield builder, place
        finally:
            builder.close()
    for name in ("work", "application", "pins"):
        shutil.rmtree(place / name)


def _measure(builder: Ours, place: Path, growth: Growth, size: int, rounds: int) -> None:
    made = application(place, growth.subject, size)
    builder.prepare(made)
    made.take("first")
    settle()
    for number in range(rounds):
        builder.registry.begin()
        builder.forget(base=False)
        for scenario in SCENARIOS:
            if scenario == "app change":
                made.change(f"round {number}")
            cost = builder.build(made, growth.subject)
            growth.add(scenario, size, cost)
            figures = f"{cost.seconds:8.3f} s {cost.cpu_s:8.3f} s CPU {cost.memory / 1e6:5.0f} MB"
            print(f"{size:>13,} {growth.subject:<9}{scenario:<11}{figures}", file=sys.stderr, flush=True)


def _write(measured: Growths) -> None:
    kept = growths.merged(growths.read(RESULTS / "growth.json"), measured)
    growths.write(kept, RESULTS / "growth.json")
    (RESULTS / "growth.svg").write_text(chart.lines(kept))
    between("measured of growth", _tables(kept))


def _tables(measured: Growths) -> str:
    """Return a table of the least and the largest of each subject, and where it comes from."""
    origins = [
        f"- {growth.subject}: medians of {growth.rounds}, {growth.time}, commit {growth.commit}; "
        f"{growth.machine}, with a load of up to {growth.load:.1f}"
        for growth in measured.values()
    ]
    rows = [row for growth in measured.values() for scenario in SCENARIOS for row in _row(growth, scenario)]
    return "\n".join([*origins, "", HEAD, "|---|---|---|---|---|---|---|---|", *rows])


def _row(growth: Growth, scenario: str) -> Iterator[str]:
    sizes = list(growth.costs[scenario])
    cells = [f"{sizes[0]:,} to {sizes[-1]:,}"]
    for figure, unit, digits in (("cpu_s", 1.0, 2), ("seconds", 1.0, 2), ("memory", 1e6, 0)):
        points = growth.points(scenario, figure)
        cells.append(" to ".join(f"{points[at][1] / unit:.{digits}f}" for at in (0, -1)))
    cpu, memory = growth.fit(scenario, "cpu_s"), growth.fit(scenario, "memory")
    factor, each = (1e9, "s for each GB") if growth.subject == "bytes" else (1e3, "ms for each")
    cells.append(f"{cpu.base:.2f} s + {cpu.each * factor:.2g} {each}")
    cells.append(f"{_exponent(cpu)}, {_exponent(memory)}")
    yield f"| {growth.subject} | {scenario} | {' | '.join(cells)} |"


def _exponent(fit: Fit) -> str:
    if fit.exponent is None:
        return "none"
    return f"**{fit.exponent:.2f}**" if fit.superlinear else f"{fit.exponent:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
