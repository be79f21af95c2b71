"""What commands import: how many modules, and how long that takes, of this checkout and of others.

    python benchmarks/imports.py [REPETITIONS] [OTHER CHECKOUT…]

Each command is a new process with `-X importtime`; the checkouts take turns. A module's time is the least of all
repetitions, without what it imports itself: others that use the processors can only add to it. Needs the package index
and a Debian mirror; pushes go to a registry on loopback.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.builds import ADDED  # noqa: E402
from tests.registry import Registry  # noqa: E402

OURS = ("buildpacks", "imagebuilder", "layers", "reproducibility")


class Place:
    """A copy of examples/flask for a checkout, with a cache of its own."""

    def __init__(self, checkout: Path, folder: Path, registry: str) -> None:
        self.checkout = checkout
        self.app = folder / "shop"
        self.name = f"{registry}/{folder.name}"
        shutil.copytree(
            ROOT / "examples" / "flask", self.app, ignore=shutil.ignore_patterns("imagebuilder.lock", "dist")
        )
        self.environment = {**os.environ, "PYTHONPATH": str(checkout), "IMAGEBUILDER_CACHE_DIR": str(folder / "cache")}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever installs the program has its bytecode
        self.requirements = (self.app / "requirements.txt").read_text()

    def run(self, *words: str) -> dict[str, int]:
        """Run a command; return microseconds by module."""
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "imagebuilder", *words],
            cwd=self.app,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
        assert ran.returncode == 0, ran.stderr
        found = {}
        for line in lines[1:]:
            taken, _, name = line.removeprefix("import time:").split("|")
            found[name.strip()] = max(0, int(taken))  # a thread that was begun meanwhile is taken off
        return found

    def scenarios(self, number: int) -> Iterator[tuple[str, dict[str, int]]]:
        """Run each scenario once, and give its name and what it imported."""
        local, pushed = ("build", "--output", "oci:../out"), ("build", "--push", "-t", self.name)
        (self.app / "requirements.txt").write_text(self.requirements)
        (self.app / "changed.py").touch()
        self.run(*local)
        self.run(*pushed)
        yield "--help", self.run("build", "--help")
        yield "plan", self.run("plan")
        yield "inspect", self.run("inspect", "oci:../out")
        time.sleep(0.1)  # files so young could change without a sign
        self.run(*local)
        yield "nothing new", self.run(*local)
        for name, words in (("app change", local), ("app change, push", pushed)):
            (self.app / "changed.py").write_text(f"NUMBER = {number}  # {name}\n")
            yield name, self.run(*words)
        (self.app / "requirements.txt").write_text(f"{self.requirements}{ADDED[number]}\n")
        yield "one added", self.run(*local)


def main(repetitions: str = "5", *others: str) -> None:
    least: dict[tuple[str, Path], dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder, Registry().running() as registry:
        checkouts = [*(Path(other).resolve() for other in others), ROOT]
        places = [
            Place(checkout, Path(folder) / f"place{number}", registry.address)
            for number, checkout in enumerate(checkouts)
        ]
        for number in range(int(repetitions)):
            for place in places:
                for scenario, found in place.scenarios(number):
                    before = least.get((scenario, place.checkout), found)
                    least[scenario, place.checkout] = {
                        name: min(taken, before.get(name, taken)) for name, taken in found.items()
                    }
    for (scenario, checkout), found in sorted(least.items(), key=lambda item: item[0][0]):
        ours = [taken for name, taken in found.items() if name.partition(".")[0] in OURS]
        print(
            f"{scenario:<18}{len(found):4} modules {sum(found.values()) / 1000:7.1f} ms, "
            f"ours {len(ours):4} {sum(ours) / 1000:7.1f} ms   {checkout}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
