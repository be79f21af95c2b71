"""Start-up of containers with bytecode in the image, against without: examples/django and examples/pandas.

    python benchmarks/start_up.py [REPETITIONS]

Needs root and Docker: an engine is started and stopped. The containers take turns; times are medians, of the process
alone (as the engine notes it), and of `docker run` from the start to the end.
"""

import datetime as dt
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests import engine  # noqa: E402

KINDS = ("none", "unchecked-hash")
# What is run of an example, with which arguments; what `django` starts with is all that `manage.py` needs.
CASES = {
    "django: python -c pass": ("django", "python", ["-c", "pass"]),
    "django: manage.py check": ("django", "python", ["manage.py", "check"]),
    "pandas: main.py": ("pandas", "python", ["main.py"]),
}


def build(name: str, place: Path, environment: Mapping[str, str]) -> None:
    app = place / name
    shutil.copytree(ROOT / "examples" / name, app, ignore=shutil.ignore_patterns("imagebuilder.lock", "dist"))
    for kind in KINDS:
        command = [sys.executable, "-m", "imagebuilder", "build", str(app), "--bytecode", kind, "--load", "docker"]
        command += ["-t", f"{name}:{kind}", "--cache-dir", str(place / "cache")]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


def once(case: str, kind: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a container to its end; return the seconds of its process, and of everything."""
    name, program, arguments = CASES[case]
    options = ["--read-only", "--network=none", "--name=start-up", f"--entrypoint={program}"]
    started = time.perf_counter()
    docker(["run", *options, f"{name}:{kind}", *arguments], environment)
    whole = time.perf_counter() - started
    times = docker(["inspect", "--format={{.State.StartedAt}} {{.State.FinishedAt}}", "start-up"], environment).split()
    docker(["rm", "start-up"], environment)
    begin, end = (dt.datetime.fromisoformat(each) for each in times)
    return (end - begin).total_seconds(), whole


def docker(words: list[str], environment: Mapping[str, str]) -> str:
    ran = subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def main(repetitions: str = "9") -> None:
    with tempfile.TemporaryDirectory() as place, engine.running() as environment:
        for name in dict.fromkeys(name for name, _, _ in CASES.values()):
            build(name, Path(place), environment)
        print(f"{'':<26}{'without':>10}{'with':>10}{'ratio':>8}   docker run: without, with, ratio")
        for case in CASES:
            for kind in KINDS:
                once(case, kind, environment)  # files that were never read come from the disk
            measured = {kind: [] for kind in KINDS}
            for _ in range(int(repetitions)):
                for kind, seconds in measured.items():
                    seconds.append(once(case, kind, environment))
            line = f"{case:<26}"
            for which in (0, 1):
                without, with_bytecode = (statistics.median(each[which] for each in measured[kind]) for kind in KINDS)
                line += f"{without:8.2f} s{with_bytecode:8.2f} s{without / with_bytecode:8.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
