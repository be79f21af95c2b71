"""Time of whole builds, as a user sees them: a new process, from the command to the image on disk.

    python benchmarks/builds.py [REPETITIONS]

Every package is downloaded once, by the first build; that one is shown and has no goal. The other times are medians.
Beside the time stand the seconds of the processor and the peak of memory; and what Python takes to do nothing.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
MEDIUM = ("django", "psycopg[binary]", "celery", "redis", "boto3", "gunicorn")
# Small, without dependencies, and in none of the applications: each repetition adds one that no layer has.
ADDED = (
    "humanize",
    "tabulate",
    "toolz",
    "cachetools",
    "inflection",
    "wrapt",
    "pyfiglet",
    "docopt",
    "toml",
    "xmltodict",
)
GOALS_S = {("script", "all layers anew"): 5.0, ("flask", "nothing new"): 0.12, ("medium", "nothing new"): 0.12}
FILES = 20_000
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
_ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever installs the program has its bytecode


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    seconds: float
    cpu_s: float
    memory: int

    def __str__(self) -> str:
        return f"{self.seconds:7.3f} s {self.cpu_s:7.3f} s CPU {self.memory / 1e6:5.0f} MB"


def run(*command: str) -> Cost:
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, *command], env=_ENVIRONMENT, stdout=log, stderr=log)
        _, process.returncode, used = os.wait4(process.pid, 0)
        taken = time.perf_counter() - started
        log.seek(0)
        assert process.returncode == 0, log.read().decode()
    return Cost(taken, used.ru_utime + used.ru_stime, used.ru_maxrss << 10)


def median(costs: Iterable[Cost]) -> Cost:
    costs = tuple(costs)
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.memory for cost in costs),
    )


@dataclass(frozen=True)
class Application:
    """A copy of an application, with a cache and an output of its own."""

    folder: Path

    @property
    def requirements(self) -> Path:
        return self.folder / "requirements.txt"

    @property
    def lock(self) -> Path:
        return self.folder / "imagebuilder.lock"

    def build(self, *flags: str) -> Cost:
        """Build and return what it took."""
        places = ("--cache-dir", f"{self.folder}.cache", "--output", f"oci:{self.folder}.oci")
        return run("-m", "imagebuilder", "build", str(self.folder), *places, *flags)

    def with_one_more(self, name: str) -> Cost:
        """Build with one more package, choosing its version; what was before is restored."""
        before = {path: path.read_bytes() for path in (self.requirements, self.lock)}
        self.requirements.write_bytes(before[self.requirements] + f"{name}\n".encode())
        taken = self.build()
        for path, content in before.items():
            path.write_bytes(content)
        return taken

    def changed(self, number: int) -> Cost:
        """Build after a change of one source file."""
        (self.folder / "changed.py").write_text(f"NUMBER = {number}\n")
        return self.build()


def applications(place: Path) -> dict[str, Application]:
    for name in ("script", "flask"):
        shutil.copytree(
            ROOT / "examples" / name, place / name, ignore=shutil.ignore_patterns("imagebuilder.lock", "dist")
        )
    shutil.copytree(place / "flask", place / "medium")
    (place / "medium" / "requirements.txt").write_text("\n".join(("flask", *MEDIUM)) + "\n")
    shutil.copytree(place / "script", place / "many files")
    for number in range(FILES):
        file = place / "many files" / f"package_{number // 100}" / f"module_{number}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"NUMBER = {number}\n" * 20)
    return {name: Application(place / name) for name in ("script", "flask", "medium", "many files")}


def measured(app: Application, repetitions: int) -> dict[str, Cost]:
    def repeated(once: Callable[[int], Cost]) -> Cost:
        return median(map(once, range(repetitions)))

    times = {"first": app.build()}
    times["all layers anew"] = repeated(lambda _: app.build("--locked", "--no-cache"))
    if app.requirements.exists():
        times["one package more"] = repeated(lambda number: app.with_one_more(ADDED[number]))
        app.build()
    times["one file changed"] = repeated(app.changed)
    times["another label"] = repeated(lambda number: app.build("--created", str(number)))
    app.build()
    times["nothing new"] = repeated(lambda _: app.build())
    times["Python alone"] = repeated(lambda _: run("-c", "pass"))
    return times


def main(repetitions: str = "5") -> None:
    assert 1 <= int(repetitions) <= len(ADDED)
    with tempfile.TemporaryDirectory() as place:
        for name, app in applications(Path(place)).items():
            for case, cost in measured(app, int(repetitions)).items():
                goal = GOALS_S.get((name, case))
                verdict = f"   goal {goal} s: {'met' if cost.seconds <= goal else 'MISSED'}" if goal else ""
                print(f"{name:<11} {case:<18}{cost}{verdict}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
