"""Time of whole builds, as a user sees them: a new process, from the command to the image on disk.

    python benchmarks/builds.py [REPETITIONS]

Every package is downloaded once, by the first build; that one is shown and has no goal. The other times are medians.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
GOALS_S = {("script", "all layers anew"): 5.0, ("flask", "nothing new"): 0.4, ("medium", "nothing new"): 0.4}


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

    def build(self, *flags: str) -> float:
        """Build and return the seconds it took."""
        places = ("--cache-dir", f"{self.folder}.cache", "--output", f"oci:{self.folder}.oci")
        command = [sys.executable, "-m", "imagebuilder", "build", str(self.folder), *places, *flags]
        started = time.perf_counter()
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        taken = time.perf_counter() - started
        assert done.returncode == 0, done.stderr
        return taken

    def with_one_more(self, name: str) -> float:
        """Build with one more package, choosing its version; what was before is restored."""
        before = {path: path.read_bytes() for path in (self.requirements, self.lock)}
        self.requirements.write_bytes(before[self.requirements] + f"{name}\n".encode())
        taken = self.build()
        for path, content in before.items():
            path.write_bytes(content)
        return taken

    def changed(self, number: int) -> float:
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
    return {name: Application(place / name) for name in ("script", "flask", "medium")}


def measured(app: Application, repetitions: int) -> dict[str, float]:
    def median(once: Callable[[int], float]) -> float:
        return statistics.median(map(once, range(repetitions)))

    times = {"first": app.build()}
    times["all layers anew"] = median(lambda _: app.build("--locked", "--no-cache"))
    if app.requirements.exists():
        times["one package more"] = median(lambda number: app.with_one_more(ADDED[number]))
        app.build()
    times["one file changed"] = median(app.changed)
    times["nothing new"] = median(lambda _: app.build())
    return times


def main(repetitions: str = "5") -> None:
    assert 1 <= int(repetitions) <= len(ADDED)
    with tempfile.TemporaryDirectory() as place:
        for name, app in applications(Path(place)).items():
            for case, seconds in measured(app, int(repetitions)).items():
                goal = GOALS_S.get((name, case))
                verdict = f"   goal {goal} s: {'met' if seconds <= goal else 'MISSED'}" if goal else ""
                print(f"{name:<8} {case:<18}{seconds:7.2f} s{verdict}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
