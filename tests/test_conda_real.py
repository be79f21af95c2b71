"""A conda environment with a real Python and library, from packages of both formats: the same for all, and running."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import condas, containers, debian_python, debs, mirror
from tests.condas import PLACEHOLDER, PREFIX, Conda
from tests.debian_python import SERIES
from tests.test_same_digest import NOBODY, Machine, python_of_nobody

pytestmark = pytest.mark.network

MAIN = """\
import click, ctypes, json, os, subprocess, sys
library = ctypes.CDLL(sys.prefix + "/lib/libgreeting.so")
library.greeting.restype = ctypes.c_char_p
place = library.greeting().decode()
print(json.dumps({
    "prefix": sys.prefix,
    "place": place,
    "greeting": open(place).read(),
    "tool": subprocess.run(["greet"], capture_output=True, text=True).stdout,
    "click": click.__file__,
    "conda": sorted(os.listdir(sys.prefix + "/conda-meta")),
    "variables": [os.environ["CONDA_PREFIX"], os.environ["GREETED"]],
    "bytecode": any(name == "__pycache__" for _, folders, _ in os.walk("/layers") for name in folders),
    "other": os.path.exists("/usr/bin/python3"),
}))
"""
# Debian's Python looks for packages elsewhere than others do, and finds its libraries through no path of its own.
SITE = f'import site, sys\nsite.addsitedir(sys.prefix + "/lib/python{SERIES}/site-packages")\n'
ENVIRONMENT = f"""\
channels: [forge]
dependencies:
- python={SERIES}
- greet
- pip:
  - click
variables:
  LD_LIBRARY_PATH: /{PREFIX}/lib
  GREETED: world
"""


def greeting(folder: Path) -> Conda:
    """Compile a library that knows the path it was built for, as libraries of conda do."""
    source = folder / "greeting.c"
    source.write_text(f'const char *greeting(void) {{ return "{PLACEHOLDER}/share/greeting.txt"; }}\n')
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libgreeting.so", source], check=True)
    return Conda(
        "greeting",
        members=(
            debs.file("lib/libgreeting.so", (folder / "libgreeting.so").read_bytes(), mode=0o755),
            debs.file("share/greeting.txt", f"hello from {PLACEHOLDER}\n".encode()),
        ),
        placeholders={"lib/libgreeting.so": "binary", "share/greeting.txt": "text"},
        form=".tar.bz2",
    )


GREET = Conda(
    "greet",
    subdir="noarch",
    noarch="python",
    members=(debs.file("site-packages/greet.py", b"def main():\n    print('greetings')\n"),),
    depends=("python >=3.9", "greeting"),
    entry_points=("greet = greet:main",),
)


@dataclass
class Place:
    machine: Machine
    environment: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An application with its lock, and a channel."""
    folder = tmp_path_factory.mktemp("conda")
    version, members = debian_python.members(folder)
    links = (
        debs.symlink("bin/python", f"python{SERIES}"),
        debs.file(f"lib/python{SERIES}/sitecustomize.py", SITE.encode()),
    )
    kept = [each for each in members if each.name not in {link.name for link in links}]
    python = condas.python(version, (*kept, *links))
    app = folder / "greeter"
    app.mkdir()
    (app / "main.py").write_text(MAIN)
    (app / "environment.yml").write_text(ENVIRONMENT)
    with mirror.running(folder) as server:
        for path, content in condas.channel([python, greeting(folder), GREET]).items():
            server.files[f"/forge/{path}"] = content
        environment = {"CONDA_CHANNEL_ALIAS": server.address}
        locked = containers.imagebuilder(
            "lock", str(app), "--cache-dir", str(folder / "cache"), environment=environment
        )
        assert locked.returncode == 0, locked.stderr
        yield Place(Machine(app, folder / "cache"), environment)


@pytest.mark.docker
def test_a_conda_environment_runs(place: Place, docker_environment: dict[str, str]) -> None:
    ran = containers.imagebuilder(
        "build", str(place.machine.app), "--cache-dir", str(place.machine.cache), "--load", "docker", "-t", "greeter",
        environment={**docker_environment, **place.environment},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    with containers.running(docker_environment) as engine:
        found = json.loads(containers.finished(engine.run("greeter")))
    assert found == {
        "prefix": f"/{PREFIX}",
        "place": f"/{PREFIX}/share/greeting.txt",
        "greeting": f"hello from /{PREFIX}\n",
        "tool": "greetings\n",
        "click": f"/{PREFIX}/lib/python{SERIES}/site-packages/click/__init__.py",
        "conda": ["greet-1.0-0.json", "greeting-1.0-0.json", "history", found["conda"][-1]],
        "variables": [f"/{PREFIX}", "world"],
        "bytecode": False,
        "other": False,
    }


@pytest.mark.root
def test_everybody_builds_the_same_environment(place: Place, tmp_path: Path) -> None:
    reference = place.machine.digest(tmp_path / "image", environment=place.environment)
    folder = Path("/tmp") / f"imagebuilder-conda-{os.getpid()}"
    before = os.umask(0o022)
    try:
        shutil.copytree(place.machine.app, folder / "another" / "app")
        python, path = python_of_nobody(folder)
        for each in [folder, *folder.rglob("*")]:
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
        os.umask(0o077)
        other = Machine(folder / "another" / "app", folder / "cache")
        environment = {"HOME": str(folder), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **place.environment}
        assert other.digest(folder / "image", python=python, user=NOBODY, environment=environment) == reference
    finally:
        os.umask(before)
        shutil.rmtree(folder)
