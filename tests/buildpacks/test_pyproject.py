"""pyproject: dependencies of a project that no package manager has locked."""

from pathlib import Path

import pytest

from buildpacks import pyproject
from buildpacks.api import App, Setting
from layers.errors import BuildError
from tests import apps, index, locking
from tests.locking import WHEELS

PROJECT = """
[project]
name = "shop"
version = "1.0"
dependencies = ["shop_web[pay]", "ghost ; sys_platform == 'win32'"]
[project.optional-dependencies]
fast = ["loop"]
all = ["Shop[fast]", "mixed-case"]
[dependency-groups]
dev = ["tester", {include-group = "web"}]
web = ["server"]
"""
ALWAYS = ["card", "drawer", "reader", "shop-web", "till"]


def names(folder: Path, text: str, **settings: str) -> list[str]:
    apps.make(folder / "app", {"pyproject.toml": text})
    with index.serve(*WHEELS) as served:
        resolves = locking.resolver(folder, served.url)
        found = locking.pinned(pyproject.BUILDPACK, folder / "app", resolves, **settings)
    return [source.locator for source in found]


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({}, []),
        ({"extras": "fast"}, ["loop"]),
        ({"extras": "all"}, ["loop", "mixed-case"]),
        ({"groups": "dev"}, ["loop", "server", "tester"]),
    ],
)
def test_what_the_project_asks_for_is_resolved(tmp_path: Path, settings: dict[str, str], more: list[str]) -> None:
    assert names(tmp_path, PROJECT, **settings) == sorted([*ALWAYS, *more])


def test_the_form_of_every_requirement_file_is_kept(tmp_path: Path) -> None:
    assert names(tmp_path, '[project]\ndependencies = ["till==1.0", "till>=1"]\n') == ["till"]


@pytest.mark.parametrize(
    ("text", "settings", "code", "words"),
    [
        ('[project]\ndynamic = ["dependencies"]\n', {}, "IB316", "dependencies"),
        (PROJECT + "[tool.uv.sources]\ntill = { path = '.' }\n", {}, "IB311", "[tool.uv.sources]"),
        (PROJECT + "[tool.uv]\nconstraint-dependencies = ['till<1.1']\n", {}, "IB311", "constraint-dependencies"),
        ('[project]\ndependencies = ["x @ file:///tmp/x"]\n', {}, "IB877", "/tmp/x"),
        (PROJECT, {"groups": "wbe"}, "IB314", "no group wbe"),
        ('[project]\ndependencies = ["nonsense !"]\n', {}, "IB318", "nonsense"),
        ('[project]\ndependencies = ["nowhere"]\n', {}, "IB405", "nowhere"),
    ],
)
def test_what_cannot_be_installed_is_an_error(
    tmp_path: Path, text: str, settings: dict[str, str], code: str, words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        names(tmp_path, text, **settings)
    assert caught.value.code == code
    assert words in caught.value.message


def test_the_names_of_what_it_asks_for_are_known_before(tmp_path: Path) -> None:
    apps.make(tmp_path, {"pyproject.toml": PROJECT})
    assert pyproject.names(App(tmp_path)) == ("shop-web", "ghost")
    asked = {name: Setting(value, "--") for name, value in (("extras", "all"), ("groups", "web"))}
    assert pyproject.names(App(tmp_path, asked)) == ("shop-web", "ghost", "server", "mixed-case", "loop")
