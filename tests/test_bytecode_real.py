"""Bytecode of a real application: all that it imports comes from there, and everybody makes the same."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import containers
from tests.containers import ROOT, Containers, finished, imagebuilder
from tests.test_same_digest import NOBODY, Machine, python_of_nobody

pytestmark = pytest.mark.network

FLAGS = ("--bytecode", "unchecked-hash")
# Compares all bytecode with the source that it is of.
SCAN = """
import importlib.util, json, os, sys
found = {"files": 0, "of": set(), "stale": [], "checked": []}
for folder, _, names in os.walk("/layers/bytecode"):
    for name in names:
        path = os.path.join(folder, name)
        tag = "." + sys.implementation.cache_tag + ".pyc"
        source = path.removeprefix("/layers/bytecode").removesuffix(tag) + ".py"
        content = open(path, "rb").read()
        found["files"] += 1
        found["of"].add("/".join(source.split("/")[:3]))
        if importlib.util.cache_from_source(source) != path or content[:4] != importlib.util.MAGIC_NUMBER:
            found["stale"].append(path)
        elif content[8:16] != importlib.util.source_hash(open(source, "rb").read()):
            found["stale"].append(path)
        if content[4:8] != b"\\1\\0\\0\\0":
            found["checked"].append(path)
print(json.dumps({**found, "of": sorted(found["of"])}))
"""
# What `python -v` says of a module that was compiled, and of one whose bytecode was read.
COMPILED = re.compile(r"^# code object from (/\S+)$", re.MULTILINE)
READ = re.compile(r"^# code object from '(/\S+)'$", re.MULTILINE)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder = tmp_path_factory.mktemp("bytecode")
    app = folder / "django"
    shutil.copytree(ROOT / "examples/django", app, ignore=shutil.ignore_patterns("dist", "imagebuilder.lock"))
    locked = imagebuilder("lock", str(app), "--cache-dir", str(folder / "cache"))
    assert locked.returncode == 0, locked.stderr
    return Machine(app, folder / "cache")


@pytest.fixture
def engine(docker_environment: dict[str, str]) -> Iterator[Containers]:
    with containers.running(docker_environment) as found:
        yield found


@pytest.mark.docker
def test_nothing_but_the_application_is_compiled_at_run_time(
    machine: Machine, engine: Containers, docker_environment: dict[str, str]
) -> None:
    built = imagebuilder(
        "build", str(machine.app), "--cache-dir", str(machine.cache), "--load", "docker", "-t", "compiled", *FLAGS,
        environment=docker_environment,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    said = finished(engine.run("compiled", ["-v", "manage.py", "check"], entrypoint="python"))
    assert "no issues" in said
    assert {path.split("/")[1] for path in COMPILED.findall(said)} == {"workspace"}
    read = READ.findall(said)
    assert len(read) > 300 and all(path.startswith("/layers/bytecode/") for path in read)
    scan = json.loads(finished(engine.run("compiled", ["-c", SCAN], entrypoint="python")))
    assert scan == {"files": scan["files"], "of": ["/layers/site-packages", "/usr/lib"], "stale": [], "checked": []}
    assert scan["files"] > 1000


@pytest.mark.root
def test_everybody_makes_the_same_bytecode(machine: Machine, tmp_path: Path) -> None:
    reference = machine.digest(tmp_path / "image", *FLAGS)
    folder = Path("/tmp") / f"imagebuilder-bytecode-{os.getpid()}"
    before = os.umask(0o022)
    try:
        shutil.copytree(machine.app, folder / "another" / "app")
        python, path = python_of_nobody(folder)
        for place in [folder, *folder.rglob("*")]:
            os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
        os.umask(0o077)
        other = Machine(folder / "another/app", folder / "cache")
        environment = {"HOME": str(folder), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        flags = (*FLAGS, "--workers", "1")
        assert other.digest(folder / "image", *flags, python=python, user=NOBODY, environment=environment) == reference
    finally:
        os.umask(before)
        shutil.rmtree(folder)
