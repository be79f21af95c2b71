"""C extensions from real source distributions: the same bytes for everybody, running where there is no compiler."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from buildpacks.api import App
from imagebuilder import index as index_settings
from imagebuilder.fetch import Downloader
from imagebuilder.simple import IndexFile
from tests import containers, sdists
from tests.test_same_digest import NOBODY, Machine, python_of_nobody

pytestmark = pytest.mark.network

# The last one is made by cffi, which has an extension of its own and needs what is before it.
REAL = (
    ("markupsafe", "3.0.2"), ("pyyaml", "6.0.2"), ("psycopg2", "2.9.10"),
    ("pycparser", "2.22"), ("cffi", "2.0.0"), ("argon2-cffi-bindings", "25.1.0"),
)  # fmt: skip
SETTINGS = 'packages = ["libpq5", "libffi8"]\nbuild-packages = ["gcc", "libpq-dev", "libffi-dev"]\n'
MAIN = """
import clocked, markupsafe._speedups, psycopg2, shutil, yaml
from _argon2_cffi_bindings import lib
print(clocked.made(), psycopg2.__version__, yaml.safe_load("a: 1"), hex(lib.ARGON2_VERSION_NUMBER), shutil.which("gcc"))
"""
# An extension that writes down when and where it was made, and what its compiler was told.
CLOCKED = {
    "pyproject.toml": '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
    '[project]\nname = "clocked"\nversion = "1.0"\n',
    "setup.py": "from setuptools import Extension, setup\n"
    "setup(py_modules=[], ext_modules=[Extension('clocked', ['src/clocked.c'], extra_compile_args=['-g3'])])\n",
    "src/clocked.c": """
#include <Python.h>
static PyObject *made(PyObject *self, PyObject *none)
{ return PyUnicode_FromString(__DATE__ " " __TIME__ " " __FILE__); }
static PyMethodDef methods[] = {{"made", made, METH_NOARGS, 0}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "clocked", 0, -1, methods};
PyMODINIT_FUNC PyInit_clocked(void) { return PyModule_Create(&module); }
""",
}


def published(name: str, version: str) -> IndexFile:
    """Ask the index for the source of a project."""
    settings = index_settings.load(App(Path()), os.environ, home=Path.home(), prefix=Path("/"))
    files = Downloader(settings, environment=os.environ).files(name)
    return next(file for file in files if file.name.lower() == f"{name.replace('-', '_')}-{version}.tar.gz")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """An application with its lock, in which everything comes from source."""
    folder = tmp_path_factory.mktemp("sources")
    app = folder / "app"
    (app / "links").mkdir(parents=True)
    clocked = sdists.Wheel(
        "clocked-1.0.tar.gz", sdists.packed({f"clocked-1.0/{path}": text for path, text in CLOCKED.items()})
    )
    (app / "links" / clocked.filename).write_bytes(clocked.content)
    files = [(name, version, published(name, version)) for name, version in REAL]
    files.append(("clocked", "1.0", IndexFile(clocked.filename, "https://example.com/x", clocked.sha256)))
    pylock = 'lock-version = "1.0"\ncreated-by = "a test"\n'
    for name, version, file in files:
        pylock += f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        pylock += f'sdist = {{name = "{file.name}", url = "{file.url}", hashes = {{sha256 = "{file.sha256}"}}}}\n'
    for path, text in (("pylock.toml", pylock), ("main.py", MAIN), ("imagebuilder.toml", SETTINGS)):
        (app / path).write_text(text)
    locked = containers.imagebuilder("lock", str(app), "--cache-dir", str(folder / "cache"), environment=links(app))
    assert locked.returncode == 0, locked.stderr
    yield Machine(app, folder / "cache")
    shutil.rmtree(folder)


def links(app: Path) -> Mapping[str, str]:
    return {"PIP_FIND_LINKS": str(app / "links")}


@pytest.mark.root
def test_everybody_builds_the_same_extensions(machine: Machine, tmp_path: Path) -> None:
    reference = machine.digest(tmp_path / "image", environment=links(machine.app))
    folder = Path("/tmp") / f"imagebuilder-sources-{os.getpid()}"
    before = os.umask(0o022)
    try:
        shutil.copytree(machine.app, folder / "another" / "app")
        python, path = python_of_nobody(folder)
        for place in [folder, *folder.rglob("*")]:
            os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
        os.umask(0o077)
        other = Machine(folder / "another/app", folder / "cache")
        environment = {"HOME": str(folder), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **links(other.app)}
        assert other.digest(folder / "image", python=python, user=NOBODY, environment=environment) == reference
    finally:
        os.umask(before)
        shutil.rmtree(folder)


@pytest.mark.docker
def test_what_was_built_runs_where_there_is_no_compiler(machine: Machine, docker_environment: dict[str, str]) -> None:
    ran = containers.imagebuilder(
        "build", str(machine.app), "--cache-dir", str(machine.cache), "--load", "docker", "-t", "from-source",
        environment={**docker_environment, **links(machine.app)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    with containers.running(docker_environment) as engine:
        said = containers.finished(engine.run("from-source"))
    assert said == "Jan  1 1980 00:00:01 src/clocked.c 2.9.10 (dt dec pq3 ext lo64) {'a': 1} 0x13 None\n"


def test_without_a_compiler_the_hint_names_it(tmp_path: Path) -> None:
    file = published(*REAL[0])
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.py").write_text("")
    (app / "requirements.txt").write_text(f"markupsafe==3.0.2 --hash=sha256:{file.sha256}\npsycopg2==2.9.10\n")
    ran = containers.imagebuilder("lock", str(app), "--cache-dir", str(tmp_path / "cache"))
    assert ran.returncode == 4 and "IB872" in ran.stderr, ran.stderr
    assert "psycopg2" in ran.stderr and 'build-packages = ["libpq-dev"]' in ran.stderr
