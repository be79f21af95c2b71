"""A standalone Python in an image: fetched from a mirror, and run on the base without Debian's Python."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests import containers, debian_python, mirror, standalones
from tests.containers import finished, imagebuilder
from tests.debian_python import SERIES
from tests.standalones import Build

pytestmark = [pytest.mark.network, pytest.mark.docker]

PACKAGES = f"/layers/site-packages/lib/python{SERIES}/site-packages"
PROGRAM = """\
import ctypes.util, json, os, sqlite3, ssl, sys, sysconfig
import click, netifaces
print(json.dumps({
    "version": sys.version.split()[0],
    "prefixes": [sys.prefix, sys.base_prefix],
    "library": os.__file__,
    "click": click.__file__,
    "netifaces": netifaces.__file__,
    "purelib": sysconfig.get_path("purelib"),
    "sqlite": sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0],
    "certificates": len(ssl.create_default_context().get_ca_certs()) > 100,
    "libc": ctypes.CDLL(None).getpid() == os.getpid() and ctypes.util.find_library("c"),
    "read": [module.__cached__ for module in (sqlite3, click) if os.path.exists(module.__cached__)],
    "bytecode": any(name == "__pycache__" for _, folders, _ in os.walk("/layers") for name in folders),
    "other": os.path.exists("/usr/bin/python3") or os.path.exists("/usr/lib/python3.13"),
    "uid": os.getuid(),
}))
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Debian's Python of another suite in the shape of a standalone one."""
    version, members = debian_python.members(tmp_path_factory.mktemp("standalone"))
    return Build(version, standalones.archive(replace(each, name=f"python/{each.name}") for each in members))


@pytest.fixture
def run(docker_environment: dict[str, str]) -> Iterator[Callable[..., Container]]:
    with containers.running(docker_environment) as engine:
        yield engine.run


def test_a_standalone_python_runs_on_the_base_without_python(
    build: Build, docker_environment: dict[str, str], run: Callable[..., Container], tmp_path: Path
) -> None:
    app = tmp_path / "separate"
    app.mkdir()
    (app / "main.py").write_text(PROGRAM)
    (app / "requirements.txt").write_text("click\nnetifaces\n")
    # Of netifaces there is no wheel for this Python. A build of the project has the libraries linked in.
    (app / "imagebuilder.toml").write_text(
        'python = "3.11"\nbytecode = "unchecked-hash"\npackages = ["libexpat1"]\n'
        'build-packages = ["gcc", "libc6-dev", "libffi8"]\n'
        '[env]\nLD_LIBRARY_PATH = "/layers/cpython/lib"\n'
    )
    with mirror.running(tmp_path) as place:
        variables = standalones.publish(place, tmp_path, build)
        cache = ("--cache-dir", str(tmp_path / "cache"))
        built = imagebuilder(
            "build", str(app), *cache, "--load", "docker", cwd=tmp_path, environment={**docker_environment, **variables}
        )
        assert built.returncode == 0, built.stderr
    found = json.loads(finished(run("separate")))
    assert found == {
        "version": build.version,
        "prefixes": ["/layers/site-packages", "/layers/cpython"],
        "library": f"/layers/cpython/lib/python{SERIES}/os.py",
        "netifaces": f"{PACKAGES}/netifaces.cpython-311-x86_64-linux-gnu.so",
        "click": f"{PACKAGES}/click/__init__.py",
        "purelib": PACKAGES,
        "sqlite": 42,
        "certificates": True,
        "libc": "libc.so.6",
        "read": [
            f"/layers/bytecode{path}/__init__.cpython-311.pyc"
            for path in (f"/layers/cpython/lib/python{SERIES}/sqlite3", f"{PACKAGES}/click")
        ],
        "bytecode": False,
        "other": False,
        "uid": 65532,
    }
