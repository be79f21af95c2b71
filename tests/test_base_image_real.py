"""A base of our own, published like an official Python image; applications upon it, pushed beside it and run."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

from tests import containers
from tests.containers import ROOT, ask, finished, imagebuilder
from tests.registry import Registry

pytestmark = pytest.mark.network

NAME = "library/python"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def registry(folder: Path) -> Iterator[Registry]:
    """A registry that has Debian's Python as an image of its own: `python:3.13`, without an application."""
    with Registry().running() as running:
        (folder / "empty").mkdir()
        (folder / "empty" / "main.py").write_text("")
        (folder / "empty" / "imagebuilder.toml").write_text('packages = ["dash"]\n')
        build(folder, "empty", "--debian-expired", "--push", "-t", f"{running.address}/{NAME}:3.13")
        yield running


def build(folder: Path, app: str, *flags: str, cache: str = "cache", **environment: str) -> str:
    built = imagebuilder("build", app, "--cache-dir", cache, *flags, cwd=folder, environment=environment)
    assert built.returncode == 0, built.stderr
    return built.stdout.strip()


def example(folder: Path, name: str, registry: Registry) -> str:
    """Copy an example without its lock, and set its base."""
    if not (folder / name).exists():
        subprocess.run(["cp", "-r", str(ROOT / "examples" / name), str(folder / name)], check=True)
        for left in ("imagebuilder.lock", "dist"):
            subprocess.run(["rm", "-rf", str(folder / name / left)], check=True)
    locked = imagebuilder(
        "lock", name, "--cache-dir", "cache", cwd=folder, environment={"IMAGEBUILDER_BASE": base(registry)}
    )
    assert locked.returncode == 0, locked.stderr
    return name


def base(registry: Registry) -> str:
    return f"{registry.address}/{NAME}:3.13"


def test_a_base_is_understood_and_not_downloaded_when_pushing_beside_it(folder: Path, registry: Registry) -> None:
    app = example(folder, "flask", registry)
    lock = tomli.loads((folder / app / "imagebuilder.lock").read_text())["platforms"]["linux/amd64"]["base"]
    assert lock["glibc"] == "2.41"
    assert lock["distribution"] == "debian:13"
    assert lock["certificates"] == "/etc/ssl/certs/ca-certificates.crt"
    assert lock["shells"] == ["dash"]
    assert [each["executable"] for each in lock["interpreters"]] == ["/usr/bin/python3.13"]
    registry.traffic.requests.clear()
    sent = registry.traffic.sent
    flags = ("--base", base(registry), "--locked", "--push", "-t", f"{registry.address}/team/flask:1")
    build(folder, app, *flags, cache="other")
    for layer in lock["layers"]:
        assert registry.traffic.asked("GET", layer["digest"]) == 0
        assert layer["digest"] in registry.repository("team/flask").blobs
    assert registry.traffic.sent - sent < 64 << 10
    assert sum(layer["size"] for layer in lock["layers"]) > 10 << 20


def test_the_digest_is_the_same_from_another_cache_in_another_folder(folder: Path, registry: Registry) -> None:
    app = example(folder, "flask", registry)
    one = build(folder, app, "--base", base(registry), "-o", "oci:one.oci", cache="cache")
    subprocess.run(["cp", "-r", str(folder / app), str(folder / "elsewhere")], check=True)
    flags = ("--base", base(registry), "-o", "oci:two.oci")
    two = build(folder, "elsewhere", *flags, cache="third", TZ="Asia/Tokyo")
    assert one.partition("@")[2] == two.partition("@")[2]
    manifest = json.loads(next((folder / "two.oci" / "blobs" / "sha256").glob(two.rpartition(":")[2])).read_bytes())
    assert all((folder / "two.oci" / "blobs" / "sha256" / each["digest"][7:]).exists() for each in manifest["layers"])


PROJECT = """
[project]
name = "shop"
version = "1.0"
description = "A shop"
dependencies = ["idna==3.10"]
[build-system]
requires = ["flit_core>=3.11,<4"]
build-backend = "flit_core.buildapi"
"""


def test_a_project_is_built_and_compiled_by_the_python_of_the_base(folder: Path, registry: Registry) -> None:
    (folder / "shop").mkdir()
    (folder / "shop" / "pyproject.toml").write_text(PROJECT)
    (folder / "shop" / "shop.py").write_text('"""A shop."""\nimport idna\n')
    (folder / "shop" / "main.py").write_text("import shop\n")
    flags = ("--debian-expired", "--json", "--bytecode", "unchecked-hash")
    upon = [
        {
            layer["name"]: layer["digest"]
            for layer in json.loads(build(folder, "shop", "--base", each, *flags))["layers"]
        }
        for each in ("debian:trixie", base(registry))
    ]
    names = {"shop", "bytecode python", "bytecode shop"}
    assert {name: upon[0][name] for name in names} == {name: upon[1][name] for name in names}


@pytest.mark.docker
def test_applications_upon_the_base_run(folder: Path, registry: Registry, docker_environment: dict[str, str]) -> None:
    for app in ("flask", "script"):
        example(folder, app, registry)
        build(folder, app, "--base", base(registry), "--load", "docker", "-t", f"on-{app}", **docker_environment)
    with containers.running(docker_environment) as engine:
        server = engine.run("on-flask")
        assert ask(server, "http://127.0.0.1:8000/") == "Hello from a reproducible image!\n"
        assert json.loads(ask(server, "http://127.0.0.1:8000/health"))["uid"] == 65532
        assert "python 3.13." in finished(engine.run("on-script"))
