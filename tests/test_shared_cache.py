"""One cache for many: builds side by side while it is pruned; and caches that are read-only, or another user's."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from imagebuilder import cli
from imagebuilder.cache import Cache
from layers.errors import StorageError
from tests import world
from tests.registry import Registry
from tests.world import World

PROCESSES, BUILDS = 8, 50
# So many builds begin at the same moment: just before it nobody holds the lock, and pruning has its chance.
TOGETHER = 5
NOBODY = 65534
CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Place:
    """An application with its lock, and the digest of its image."""

    world: World
    app: Path
    digest: str

    @property
    def words(self) -> list[str]:
        return ["build", str(self.app), "--locked", "-q"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with world.running(tmp_path_factory.mktemp("shared")) as found:
        app = found.app({"requirements.txt": "flask\n", "main.py": "import flask\n"})
        ran = found.run("build", str(app), "-q", "-o", "oci:first")
        assert ran.returncode == 0, ran.stderr
        yield Place(found, app, ran.stdout.strip().rpartition("@")[2])


def build_often(words: Sequence[str], environment: Mapping[str, str], number: int, begin: Barrier, said: Path) -> None:
    """Build again and again: what is made anew, what the cache has, and what was answered just before."""
    os.environ.clear()
    os.environ.update(environment)
    with said.open("w") as sys.stdout, said.with_suffix(".errors").open("w") as sys.stderr:
        for turn in range(BUILDS):
            if turn % TOGETHER == 0:
                begin.wait(120)
            code = cli.run([*words, "--no-cache"] if turn % TOGETHER == number % TOGETHER else words)
            assert code == 0, turn


def prune_until(ended: Event, root: Path, said: Path) -> None:
    """Prune whenever nobody builds, now all and now what is left over."""
    pruned = 0
    while not ended.wait(0.0005):
        try:
            Cache(root).prune(keep_bytes=pruned % 2 << 20)
            pruned += 1
        except StorageError as error:
            assert error.code == "IB610", error.message
    said.write_text(str(pruned))


def test_builds_side_by_side_while_the_cache_is_pruned_give_one_image(
    place: Place, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("attacks", PROCESSES * BUILDS)
    root = place.world.folder / "cache"
    begin, ended = CONTEXT.Barrier(PROCESSES), CONTEXT.Event()
    pruner = CONTEXT.Process(target=prune_until, args=(ended, root, tmp_path / "pruned"))
    builders = []
    for number in range(PROCESSES):
        words = [*place.words, "-o", f"oci:{tmp_path}/image-{number}"]
        given = (words, place.world.environment, number, begin, tmp_path / f"{number}.said")
        builders.append(CONTEXT.Process(target=build_often, args=given))
    for each in (pruner, *builders):
        each.start()
    for each in builders:
        each.join()
    ended.set()
    pruner.join()
    errors = [path.read_text() for path in tmp_path.glob("*.errors")]
    assert [each.exitcode for each in (pruner, *builders)] == [0] * (PROCESSES + 1), errors
    lines = [line for path in tmp_path.glob("*.said") for line in path.read_text().splitlines()]
    assert len(lines) == PROCESSES * BUILDS
    assert {line.rpartition("@")[2] for line in lines} == {place.digest}
    assert int((tmp_path / "pruned").read_text()) > 0
    assert Cache(root).verify() == ()


def test_pushes_side_by_side_to_one_repository_give_one_image(place: Place) -> None:
    with Registry().running() as registry:
        commands = [
            [sys.executable, "-m", "imagebuilder", *place.words, "-t", f"{registry.address}/app:{tag}", "--push"]
            for tag in ("same", "same", "same", "same", "1", "2", "3", "4")
        ]
        pushing = [
            subprocess.Popen(
                command, env=place.world.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for command in commands
        ]
        for each in pushing:
            said, errors = each.communicate(timeout=120)
            assert (each.returncode, said.strip().rpartition("@")[2]) == (0, place.digest), errors
        there = registry.repository("app")
        assert there.tags == dict.fromkeys(("same", "1", "2", "3", "4"), place.digest)
        assert there.uploads == {} and place.digest in there.manifests


def test_a_cache_that_cannot_be_written_to_is_said(place: Place) -> None:
    cache = place.world.folder / "cache"
    shut = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    words = [sys.executable, "-m", "imagebuilder", *place.words, "-o", f"oci:{place.world.folder}/unwritten"]
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", shut, str(cache)]
    ran = subprocess.run(
        [*unshare, *words], env=place.world.environment, capture_output=True, text=True, timeout=60, check=False
    )
    if "unshare" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip("there are no namespaces here")
    assert (ran.returncode, ran.stdout) == (7, "")
    assert "error[IB601]: cannot use" in ran.stderr and "the file system is read-only" in ran.stderr
    assert "--cache-dir" in ran.stderr


@pytest.mark.root
@pytest.mark.parametrize("asked_before", [False, True])
def test_a_cache_of_another_user_is_ib970(place: Place, tmp_path: Path, asked_before: bool) -> None:
    """Not even root uses it, nor answers that lie in it: what they say would be the other user's word."""
    cache = tmp_path / "cache"
    shutil.copytree(place.world.folder / "cache", cache)
    words = [*place.words, "-o", f"oci:{tmp_path}/image", "--cache-dir", str(cache)]
    if asked_before:
        assert place.world.run(*words).returncode == 0
    for path in (cache, *cache.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    ran = place.world.run(*words)
    assert (ran.returncode, ran.stdout) == (7, "")
    assert f"error[IB970]: the cache {cache} belongs to another user" in ran.stderr
