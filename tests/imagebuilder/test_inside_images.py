"""Bases that are images: what is built and run upon them, in a root of their layers, as upon a base of packages."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagebuilder.sandbox import rungs
from tests import sdists
from tests.imagebuilder import test_collectstatic, test_native
from tests.registry import Registry
from tests.world import World

pytestmark = pytest.mark.skipif(
    all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here"
)

SHOP = {
    "backend.py": sdists.BACKEND.format(name="shop", version="1.0", tag="py3-none-any", needs=[], requires=["plain"]),
    "shop.py": "import plain\n",
    "pyproject.toml": sdists.PYPROJECT.format(requires=[])
    + '[project]\nname = "shop"\nversion = "1.0"\ndependencies = ["plain"]\n',
    "main.py": "import shop\n",
}
BROKEN = "\nraise SystemExit('x.c:3:10: fatal error: libpq-fe.h: No such file or directory')\n"


@dataclass(frozen=True)
class Place:
    """A world, and a registry that has its Debian with Python as an image."""

    world: World
    registry: Registry

    @property
    def base(self) -> str:
        return f"{self.registry.address}/library/python:{sdists.SERIES}"

    def layers(self, app: Path, *flags: str, **environment: str) -> Mapping[str, str]:
        """Build an application and return the digests of its layers by their names."""
        ran = self.world.run("build", str(app), "--json", *flags, **environment)
        assert ran.returncode == 0, ran.stderr
        return {layer["name"]: layer["digest"] for layer in json.loads(ran.stdout)["layers"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    files = (*test_native.SHELF, sdists.sdist("broken", code=BROKEN), test_collectstatic.DJANGO)
    with ExitStack() as stack:
        world = stack.enter_context(sdists.running(tmp_path_factory.mktemp("world"), *files))
        found = Place(world, stack.enter_context(Registry().running()))
        pushed = world.run("build", str(world.app({"main.py": ""}, "base")), "--push", "-t", found.base)
        assert pushed.returncode == 0, pushed.stderr
        yield found


def test_what_is_built_and_compiled_is_what_it_is_upon_packages(place: Place) -> None:
    app = place.world.app(SHOP, "shop")
    flags = ("--bytecode", "unchecked-hash")
    there = place.layers(app, *flags)
    other = {"IMAGEBUILDER_CACHE_DIR": str(place.world.folder / "other")}
    here = place.layers(app, "--base", place.base, *flags, **other)
    names = {"shop", "plain", "bytecode python", "bytecode shop", "bytecode plain"}
    assert {name: here[name] for name in names} == {name: there[name] for name in names}


def test_layers_of_the_base_come_once_and_only_if_something_is_run(place: Place) -> None:
    def asked() -> int:
        return sum("/blobs/" in path for method, path in place.registry.traffic.requests if method == "GET")

    app = place.world.app(SHOP, "once")
    environment = {"IMAGEBUILDER_CACHE_DIR": str(place.world.folder / "once-cache")}
    place.layers(app, "--base", place.base, **environment)
    place.registry.traffic.requests.clear()
    (app / "shop.py").write_text("import plain  # changed\n")
    place.layers(app, "--base", place.base, "--offline", **environment)
    assert asked() == 0


def test_a_check_finds_what_is_built_upon_an_image_reproducible(place: Place) -> None:
    app = place.world.app(SHOP, "checked")
    ran = place.world.run("check", str(app), "--base", place.base)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_static_files_are_collected_in_an_image(place: Place) -> None:
    app = test_collectstatic.project(place.world, "static", root='"staticfiles"')
    there = place.layers(app)
    assert place.layers(app, "--base", place.base)["static files"] == there["static files"]


def test_a_package_manager_installs_in_an_image_what_we_do(place: Place) -> None:
    app = place.world.app({"main.py": "", "requirements.txt": "flask\nplain\n"}, "native")
    direct = place.layers(app, "--base", place.base)
    assert place.layers(app, "--base", place.base, "--engine", "native") == direct


def test_what_an_image_lacks_cannot_be_added_and_the_hint_says_so(place: Place) -> None:
    app = place.world.app({"main.py": "", "requirements.txt": "broken==1.0\n"}, "lacking")
    ran = place.world.run("build", str(app), "--base", place.base)
    assert ran.returncode == 4 and "IB872" in ran.stderr, ran.stderr
    assert "choose a base that has compilers and headers" in ran.stderr and "build-packages" not in ran.stderr
