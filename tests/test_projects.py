"""Each application in tests/projects is planned, built and run as its expect.toml says; a new folder is a new test."""

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import containers
from tests.containers import Containers, ask, finished, imagebuilder

PROJECTS = Path(__file__).parent / "projects"
NAMES = sorted(path.parent.name for path in PROJECTS.glob("*/expect.toml"))
EXPECTATION = "expect.toml"
STOP_S = 3


def expectation(name: str) -> dict:
    return tomllib.loads((PROJECTS / name / EXPECTATION).read_text())


def copy(name: str, folder: Path) -> Path:
    """Copy a project as a careful user keeps it: nobody else may read it."""
    app = folder / name
    shutil.copytree(PROJECTS / name, app, symlinks=True, ignore=shutil.ignore_patterns(EXPECTATION, "__pycache__"))
    for path in app.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
    return app


def test_every_project_says_what_is_expected() -> None:
    assert sorted(path.name for path in PROJECTS.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_is_as_expected(name: str, tmp_path: Path) -> None:
    wanted = expectation(name)
    planned = imagebuilder("plan", str(copy(name, tmp_path)), "--json")
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert [buildpack["id"] for buildpack in plan["buildpacks"]] == wanted["buildpacks"]
    versions = [
        f"{each['name']} {each['version']} ({each['version_source']})"
        for each in plan["requirements"]
        if each["version"]
    ]
    assert versions == wanted.get("requires", [])
    processes = {process["type"]: process for process in plan["processes"]}
    assert {
        type_: {key: process[key] for key in ("command", "origin")} for type_, process in processes.items()
    } == wanted["processes"]
    assert [type_ for type_, process in processes.items() if process["default"]] == ["web"]
    assert [each["path"] for each in plan["left_out"]] == wanted.get("left_out", [])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache is shared: what differs is what is made."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def engine(docker_environment: dict[str, str]) -> Iterator[Containers]:
    with containers.running(docker_environment) as found:
        yield found


@pytest.mark.network
@pytest.mark.docker
@pytest.mark.parametrize("name", NAMES)
def test_the_image_runs_as_expected(
    name: str, tmp_path: Path, cache: Path, engine: Containers, docker_environment: dict[str, str]
) -> None:
    wanted = expectation(name)
    app = copy(name, tmp_path)
    built = imagebuilder(
        "build", str(app), "--load", "docker", "--name", name, "--cache-dir", str(cache), environment=docker_environment
    )
    assert built.returncode == 0, built.stderr
    labels = engine.client.images.get(name).labels
    assert {label: labels.get(label) for label in wanted.get("labels", {})} == wanted.get("labels", {})
    version = finished(engine.run(name, ["-V"], entrypoint="python"))
    assert version.startswith(f"Python {wanted['python']}.")
    container = engine.run(name, wanted["run"].get("arguments"))
    if "ask" in wanted["run"]:
        answer = ask(container, f"http://127.0.0.1:8000{wanted['run']['ask']}")
        code, seconds = containers.stop(container)
        assert (code, seconds < STOP_S) == (0, True)
    else:
        answer = finished(container)
    assert answer.strip() == wanted["run"]["expected"].strip()
