"""Whole builds with a cache in a registry: what one machine has built from source, others neither build nor fetch."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from imagebuilder.sandbox import rungs
from tests import sdists
from tests.imagebuilder import test_collectstatic as static_files
from tests.imagebuilder.test_projects_built import project
from tests.registry import Registry
from tests.world import World

pytestmark = pytest.mark.skipif(
    all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here"
)


@dataclass
class Team:
    """An application with a project of its own, and the registry of those who build it."""

    world: World
    registry: Registry

    def name(self, repository: str) -> str:
        return f"{self.registry.address}/{repository}"

    def build(self, *flags: str, app: str = "app", **environment: str) -> Mapping[str, object]:
        """Build on a machine that has the application and its lock, and nothing else."""
        shutil.rmtree(self.world.folder / "cache", ignore_errors=True)
        self.world.mirror.asked.clear()
        self.world.index.seen.clear()
        self.registry.traffic.requests.clear()
        ran = self.world.run("build", app, "--json", *flags, **environment)
        assert ran.returncode == 0, ran.stderr
        document: dict[str, object] = json.loads(ran.stdout)
        return document

    @property
    def fetched(self) -> bool:
        """Whether anything came from the mirror or the index."""
        return bool(self.world.mirror.asked or self.world.index.seen)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with (
        sdists.running(tmp_path_factory.mktemp("world"), static_files.DJANGO) as world,
        Registry().running() as registry,
    ):
        world.app(project())
        found = Team(world, registry)
        found.build("--push", "-t", found.name("shop:1"), "--cache-to", found.name("shop:cache"))
        yield found


def made(document: Mapping[str, object]) -> set[str]:
    found = document["layers"]
    assert isinstance(found, list)
    return {layer["name"] for layer in found if not layer["cached"]}


def first(team: Team) -> str:
    return team.registry.repository("shop").tags["1"]


def test_a_fresh_machine_pushes_without_a_byte_of_packages(team: Team) -> None:
    document = team.build("--push", "-t", team.name("other:1"), "--cache-from", team.name("shop:cache"), "--locked")
    assert document["manifest_digest"] == first(team)
    assert made(document) == {"application"}  # launchers are the same for everybody
    assert not team.fetched
    assert team.registry.traffic.asked("GET", "/blobs/") == 0
    sent = [one for one in team.registry.traffic.requests if one.body.received]
    assert len(sent) == 3  # the application, the config and the manifest
    assert document["warnings"] == []


def test_another_registry_is_sent_what_the_cache_has(team: Team) -> None:
    with Registry().running() as other:
        name = f"{other.address}/shop:1"
        document = team.build("--push", "-t", name, "--cache-from", team.name("shop:cache"), "--locked")
        assert other.repository("shop").tags == {"1": first(team)}
    assert not team.fetched
    assert document["warnings"] == []


def test_an_image_that_stays_here_is_made_of_what_the_cache_has(team: Team) -> None:
    flags = ("-o", "oci:out", "--locked")
    document = team.build(*flags, IMAGEBUILDER_CACHE_FROM=team.name("shop:cache"))
    assert (document["manifest_digest"], made(document)) == (first(team), {"application"})
    assert not team.fetched
    assert team.world.run("inspect", "oci:out", "--files").returncode == 0
    assert made(team.build(*flags)) > {"shop"}
    assert team.fetched


def test_static_files_are_collected_with_packages_that_nobody_here_has(team: Team) -> None:
    app = static_files.project(team.world, "static", root='"staticfiles"')
    push = ("--push", "-t", team.name("static:1"))
    first = team.build(*push, app="static")
    (app / "assets/style.css").write_text("p {}\n")
    by_the_lock = team.build(*push, "--locked", "--cache-to", team.name("static:cache"), app="static")
    assert made(by_the_lock) == {"launchers", "application", "static files"}
    assert team.world.index.asked(".whl") == 0
    assert by_the_lock["manifest_digest"] != first["manifest_digest"]
    push = ("--push", "-t", team.name("another:1"), "--cache-from", team.name("static:cache"), "--locked")
    by_the_cache = team.build(*push, app="static")
    assert made(by_the_cache) & {"launchers", "application", "static files"} == {"application"}
    assert by_the_cache["manifest_digest"] == by_the_lock["manifest_digest"]
