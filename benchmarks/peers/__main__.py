"""Build the same applications with this program and its peers, in turns, and report what each build and push cost.

    python -m benchmarks.peers --folder FOLDER [--quick] [--rounds N] [--workloads NAMES] [--builders NAMES]

FOLDER keeps the base image and the wheels between runs. Needs root, Debian's docker.io, docker-registry, mmdebstrap and
for buildah its package; the package index and a Debian mirror for what FOLDER does not hold yet. Writes
benchmarks/results/peers.json, the chart beside it, the tables of docs/performance.md, and appends a line to
benchmarks/history.jsonl; `--quick` writes nothing but FOLDER/peers.json.
"""

import argparse
import itertools
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.peers import history, report, results
from benchmarks.peers.builders import Buildah, Builder, Docker, Floor, Ours
from benchmarks.peers.measure import Cost
from benchmarks.peers.results import Run
from benchmarks.peers.workloads import FILES, PACKAGES, WORKLOADS, Application, refreshed, settle, write
from benchmarks.peers.world import Index, Registry, free_port, seeded

BUILDERS = ("imagebuilder", "floor", "docker-uv", "docker-pip", "buildah-uv")


def main() -> int:
    chosen = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that engines and registries are stopped
    rounds = 1 if chosen.quick else chosen.rounds
    runs = {name: Run.begun(name, chosen.scale if name == FILES else 1.0) for name in chosen.workloads}
    with _world(chosen.folder, chosen.workloads, chosen.builders, chosen.scale) as (builders, applications):
        for application, builder in itertools.product(applications.values(), builders):
            builder.prepare(application)
        started = time.monotonic()
        for done in range(1, rounds + 1):
            for workload, application in applications.items():
                _measure(application, builders, chosen.folder / "checkout", runs[workload])
            builders.append(builders.pop(0))  # so that none is always the first
            results.write(runs, chosen.folder / "peers.json")
            if (time.monotonic() - started) * (done + 1) / done > chosen.minutes * 60:
                break
    print(report.tables(runs))
    slower = history.slower(runs) if chosen.compare else []
    if not chosen.quick:
        report.write(runs)
        history.append(runs)
    for line in slower:
        print(f"slower than before: {line}", file=sys.stderr)
    return 1 if slower else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where everything lies; keep its name short")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no round that would end later")
    parser.add_argument("--quick", action="store_true", help="one round, and no results in the repository")
    parser.add_argument(
        "--workloads", type=_names(WORKLOADS), default=tuple(PACKAGES), help="tiny, medium, large, files"
    )
    parser.add_argument("--builders", type=_names(BUILDERS), default=BUILDERS)
    parser.add_argument("--scale", type=float, default=1.0, help=f"of `{FILES}`: 1 is 20,000 files of 2 GB")
    parser.add_argument(
        "--compare", action="store_true", help="exit with 1 if slower than the last line of the history"
    )
    return parser.parse_args()


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return how argparse reads some of these names."""

    def names(text: str) -> tuple[str, ...]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"not {', '.join(unknown)}, but some of {', '.join(known)}")
        return tuple(name for name in known if name in text.split(","))

    return names


@contextmanager
def _world(
    place: Path, workloads: tuple[str, ...], chosen: tuple[str, ...], scale: float
) -> Iterator[tuple[list[Builder], dict[str, Application]]]:
    place.mkdir(parents=True, exist_ok=True)
    seed = seeded(place)
    for name in ("applications", "pins", "work"):
        shutil.rmtree(place / name, ignore_errors=True)
    applications = {workload: write(place, workload, scale) for workload in workloads}
    index = Index({wheel.name: wheel for wheel in (place / "wheels").glob("*/*.whl")})
    (place / "work").mkdir()
    with index.running(), ExitStack() as stack:
        builders = []
        for name in chosen:
            registry = Registry(place / "work" / f"registry of {name}", seed, free_port())
            registry.begin()
            builders.append(_builder(name, place / "work" / name, registry, index))
            stack.callback(builders[-1].close)
        yield builders, applications
    shutil.rmtree(place / "work")


def _builder(name: str, folder: Path, registry: Registry, index: Index) -> Builder:
    if name.startswith("docker-"):
        return Docker(folder, registry, index, name.removeprefix("docker-"))
    kinds = {"imagebuilder": Ours, "floor": Floor, "buildah-uv": Buildah}
    return kinds[name](folder, registry, index)


def _measure(application: Application, builders: list[Builder], checkout: Path, run: Run) -> None:
    """Let every builder go through all scenarios; each scenario begins with what the one before it left."""
    here = refreshed(application, checkout)
    here.take("first")
    settle()

    def each(scenario: str, *, fresh: bool = False) -> None:
        for builder in builders:
            if fresh and not builder.starts_fresh:
                continue
            if scenario == "cold":
                builder.registry.begin()
                builder.forget(base=True)
            elif fresh:
                builder.forget(base=False)
            cost = builder.build(here, run.workload, fresh=fresh)
            run.add(scenario, builder.name, cost, builder.registry.digest(run.workload, "1"))
            _say(run.workload, scenario, builder.name, cost)

    each("cold")
    each("no-op")
    here.change("first")
    each("app change")
    here.take("added")
    each("one added")
    here.take("bumped")
    each("one bumped")
    here.change("second")
    each("fresh runner", fresh=True)
    run.rounds, run.load = run.rounds + 1, max(run.load, os.getloadavg()[0])


def _say(workload: str, scenario: str, builder: str, cost: Cost) -> None:
    figures = f"{cost.seconds:8.3f} s {cost.cpu_s:8.3f} s CPU {cost.memory / 1e6:5.0f} MB"
    sizes = f"{cost.sent / 1e6:8.3f} MB sent {cost.fetched / 1e6:8.3f} MB fetched"
    requests = f"{cost.asked_registry:4} + {cost.asked_index} requests"
    print(f"{workload:<7}{scenario:<13}{builder:<13}{figures} {sizes} {requests}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
