"""A standalone Python in an image: fetched from a mirror, and run on the base without Debian's Python."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from docker.models.containers import Container

from imagebuilder.base import debian
from imagebuilder.fetch import Downloader
from layers.blobs import BlobStore
from layers.content import Reader
from layers.deb import read_deb
from layers.entry import Entry, Kind
from tests import containers, debs, mirror, standalones
from tests.containers import finished, imagebuilder
from tests.debs import Member
from tests.standalones import Build

pytestmark = [pytest.mark.network, pytest.mark.docker]

SUITE, SERIES = "bookworm", "3.11"
PACKAGES = f"/layers/site-packages/lib/python{SERIES}/site-packages"
# Some of its packages are not merged into /usr yet.
LIBRARY = re.compile(r"(?:usr/)?lib/x86_64-linux-gnu/(lib[^/]+)")
# Debian's pyconfig.h includes that of the architecture by this path.
HEADERS = f"usr/include/python{SERIES}/"
MACHINE_HEADERS = f"usr/include/x86_64-linux-gnu/python{SERIES}/"
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


def place_of(path: str) -> str:
    """Return where a standalone build has a file of Debian's packages; empty if it has none."""
    if path.startswith((f"usr/bin/python{SERIES}", f"usr/lib/python{SERIES}/")):
        return path.replace("usr/", "python/", 1)
    if path.startswith((HEADERS, MACHINE_HEADERS)):
        return f"python/include/python{SERIES}/" + path.removeprefix(HEADERS).removeprefix("usr/include/")
    library = LIBRARY.fullmatch(path)
    return f"python/lib/{library[1]}" if library else ""


def member(found: Entry, reader: Reader) -> Member:
    if found.kind is Kind.SYMLINK:
        return debs.symlink(place_of(found.path), found.target)
    return debs.file(place_of(found.path), b"".join(reader.read(found.content)), mode=found.mode)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Debian's Python of another suite in the shape of a standalone one."""
    folder = tmp_path_factory.mktemp("standalone")
    mirrors = debian.find_mirrors()
    downloader = Downloader()
    index = debian.load_index(SUITE, "amd64", mirrors=mirrors, download=downloader.get)
    (python,) = [each for each in debian.interpreters(index) if each.series == SERIES]
    pins = debian.pin(index, interpreter=python, packages=(f"lib{python.packages[0]}-dev",))
    finder = replace(
        downloader, locate=lambda source: debian.candidates(source, mirrors=mirrors, snapshot=pins.snapshot)
    )
    files = finder.fetch_all(
        [deb.source for deb in (*pins.tiers[1], *pins.tiers[2]) if "python" in deb.name or deb in pins.tiers[1]],
        BlobStore(folder / "store"),
    )
    found: dict[str, Member] = {}
    with closing(Reader()) as reader:
        for number, path in enumerate(files.values()):
            for each in read_deb(path, spool=folder / f"{number}.tar").entries:
                leads_out = each.target.startswith(("/", "../"))
                if place_of(each.path) and each.kind is not Kind.DIRECTORY and not leads_out:
                    found[each.path] = member(each, reader)
    return Build(python.version, standalones.archive(found[path] for path in sorted(found)))


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
