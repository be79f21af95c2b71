"""Each application in tests/projects is planned, built and run as its expect.toml says; a new folder is a new test."""

import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests import containers, debian_python, locking, mirror, standalones
from tests.containers import Containers, ask, finished, imagebuilder

PROJECTS = Path(__file__).parent / "projects"
EXPECTATION = "expect.toml"
NAMES = sorted(path.parent.name for path in PROJECTS.glob(f"*/{EXPECTATION}"))
WANTED = {name: tomllib.loads((PROJECTS / name / EXPECTATION).read_text()) for name in NAMES}
KEYS = {"uv", "flags", "environment", "left_out", "requires", "labels", "run", "runs", "standalone"}
STOP_S = 9  # an engine kills after ten


@dataclass(frozen=True)
class Project:
    """A copy of a project, and how the command line is called for it."""

    name: str
    folder: Path
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: str, *flags: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a command that has to succeed, and return what it printed."""
        ran = imagebuilder(
            command, str(self.folder), *self.flags, *flags, environment={**self.environment, **(environment or {})}
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


def copied(name: str, parent: Path) -> Project:
    """Copy a project as a careful user keeps it: nobody else may read it.

    A lock that would name an index is not kept in the repository: `uv` in expect.toml says how it is made.
    """
    wanted = WANTED[name]
    app = parent / name
    shutil.copytree(PROJECTS / name, app, symlinks=True, ignore=shutil.ignore_patterns(EXPECTATION, "__pycache__"))
    if "uv" in wanted:
        locking.uv(app, *wanted["uv"], **os.environ)
    chmod(app, folders=0o700, files=0o600)
    return Project(name, app, tuple(wanted.get("flags", ())), wanted.get("environment", {}))


def chmod(app: Path, *, folders: int, files: int) -> None:
    for path in app.rglob("*"):
        if not path.is_symlink():
            path.chmod(folders if path.is_dir() else files)


def elsewhere(project: Project, parent: Path) -> Project:
    """Copy a project that has its lock to another folder, as somebody careless has it."""
    app = parent / "quite another name"
    shutil.copytree(project.folder, app, symlinks=True)
    chmod(app, folders=0o777, files=0o666)
    return Project(project.name, app, project.flags, project.environment)


def test_every_project_says_what_is_expected() -> None:
    assert sorted(path.name for path in PROJECTS.iterdir()) == NAMES
    assert [name for name in NAMES if WANTED[name].keys() - KEYS != {"buildpacks", "python", "processes"}] == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.network] if "uv" in WANTED[name] else []) for name in NAMES]
)
def test_the_plan_is_as_expected(name: str, tmp_path: Path) -> None:
    wanted = WANTED[name]
    plan = json.loads(copied(name, tmp_path).run("plan", "--json"))
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


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The variables that lead to a mirror of standalone Pythons: Debian's of another suite, in their shape."""
    folder = tmp_path_factory.mktemp("pythons")
    version, members = debian_python.members(folder)
    archive = standalones.archive(replace(each, name=f"python/{each.name}") for each in members)
    with mirror.running(folder) as place:
        yield standalones.publish(place, folder, standalones.Build(version, archive))


@pytest.mark.network
@pytest.mark.docker
@pytest.mark.parametrize("name", NAMES)
def test_the_image_runs_as_expected_and_is_the_same_elsewhere(
    name: str,
    tmp_path: Path,
    cache: Path,
    engine: Containers,
    docker_environment: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    project = copied(name, tmp_path)
    if "standalone" in WANTED[name]:
        project = replace(project, environment=request.getfixturevalue("pythons"))
    storage = ("--name", name, "--cache-dir", str(cache))
    built = project.run("build", "--load", "docker", *storage, environment=docker_environment)
    runs(name, engine)
    again = elsewhere(project, tmp_path).run(
        "build", "--output", f"oci:{tmp_path}/again", "--locked", "--offline", "--no-cache", *storage,
        environment={"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert built.rpartition("@")[2] == again.rpartition("@")[2]


def runs(name: str, engine: Containers) -> None:
    """Run the image's processes and compare what they answer."""
    wanted = WANTED[name]
    labels = engine.client.images.get(name).labels
    assert {label: labels.get(label) for label in wanted.get("labels", {})} == wanted.get("labels", {})
    version = finished(engine.run(name, ["-V"], entrypoint="python"))
    assert version.startswith(f"Python {wanted['python']}.")
    answers(name, wanted["run"], engine)
    for type_, run in wanted.get("runs", {}).items():
        answers(name, run, engine, entrypoint=f"/cnb/process/{type_}")


def answers(name: str, run: Mapping[str, object], engine: Containers, **options: object) -> None:
    if "writable" in run:
        options["tmpfs"] = {run["writable"]: ""}
    container = engine.run(name, run.get("arguments"), **options)
    if "ask" in run:
        answer = ask(container, f"http://127.0.0.1:8000{run['ask']}")
        code, seconds = containers.stop(container)
        assert (code, seconds < STOP_S) == (0, True), container.logs().decode()
    else:
        answer = finished(container)
    assert answer.strip() == run["expected"].strip()
