"""uv-install: locks of the real uv, what of them goes into the image, and when they are out of date."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildpacks import uv_install
from buildpacks.api import App, BuildPlan, Setting
from layers.errors import BuildError
from tests import apps, index, locking
from tests.locking import WHEELS

PROJECT = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["shop_web[pay] >= 2", "ghost ; sys_platform == 'win32'", "Mixed-Case~=1.0"]

[project.optional-dependencies]
Fast = ["loop", "till!=1.0"]
all = ["shop[fast]"]

[dependency-groups]
dev = ["tester", {include-group = "web"}]
web = ["server"]
"""
ALWAYS = ["card", "drawer", "mixed-case", "reader", "shop-web", "till"]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with its lock. The index is gone when it is installed from."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "pyproject.toml").write_text(PROJECT)
    with index.serve(*WHEELS) as served:
        locking.lock(folder, served.url)
    yield folder


def copy(locked: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    """Copy a project and change its pyproject.toml."""
    text = (locked / "pyproject.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    apps.make(folder / "app", {"pyproject.toml": text, "uv.lock": (locked / "uv.lock").read_text()})
    return folder / "app"


def names(folder: Path, **settings: str) -> list[str]:
    found = locking.pinned(uv_install.BUILDPACK, folder, locking.resolver(folder.parent), **settings)
    return [source.locator for source in found]


def test_paketo_s_variable_names_groups_too(locked: Path, tmp_path: Path) -> None:
    assert names(copy(locked, tmp_path), BP_UV_INSTALL_GROUPS="web") == sorted([*ALWAYS, "loop", "server"])


def test_what_is_always_needed_is_pinned_for_the_image_without_a_network(locked: Path, tmp_path: Path) -> None:
    found = locking.pinned(uv_install.BUILDPACK, copy(locked, tmp_path), locking.resolver(tmp_path))
    assert [source.locator for source in found] == ALWAYS
    by_name = {source.locator: source for source in found}
    assert by_name["reader"] == next(each for each in WHEELS if "313-manylinux_2_28_x86_64" in each.filename).source
    assert by_name["till"].name == "till-1.1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({"groups": "web"}, ["loop", "server"]),
        ({"groups": "dev"}, ["loop", "server", "tester"]),
        ({"extras": "fast"}, ["loop"]),
        ({"extras": "ALL"}, ["loop"]),
    ],
)
def test_extras_and_groups_are_added(locked: Path, tmp_path: Path, settings: dict[str, str], more: list[str]) -> None:
    assert names(copy(locked, tmp_path), **settings) == sorted([*ALWAYS, *more])


@pytest.mark.parametrize(
    "change",
    [
        (">= 2", ">= 2.0.1"),
        ('"Mixed-Case~=1.0"', '"Mixed-Case~=1.0", "loop"'),
        (', "Mixed-Case~=1.0"', ""),
        ("shop_web[pay]", "shop_web"),
        ("sys_platform == 'win32'", "sys_platform == 'linux'"),
        ('"loop", "till!=1.0"', '"loop"'),
        ('all = ["shop[fast]"]', ""),
        ('web = ["server"]', 'web = ["server", "loop"]'),
        ("[dependency-groups]", '[tool.uv]\nconstraint-dependencies = ["till<9"]\n[dependency-groups]'),
        ("[dependency-groups]", '[tool.uv]\noverride-dependencies = ["till<9"]\n[dependency-groups]'),
    ],
)
def test_a_lock_that_was_made_from_other_requirements_is_ib313(
    locked: Path, tmp_path: Path, change: tuple[str, str]
) -> None:
    with pytest.raises(BuildError, match=r"uv\.lock is out of date") as caught:
        names(copy(locked, tmp_path, change))
    assert (caught.value.code, caught.value.exit_code) == ("IB313", 4)
    assert "uv lock" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        ("shop_web[pay] >= 2", "Shop.Web[pay]>=2"),
        ("sys_platform == 'win32'", "os_name == 'nt' and sys_platform == 'win32'"),
        ('"loop", "till!=1.0"', '"till != 1.0", "loop"'),
        ('version = "1.0"', 'version = "1.1"'),
    ],
)
def test_what_is_written_otherwise_and_means_the_same_is_no_change(
    locked: Path, tmp_path: Path, change: tuple[str, str]
) -> None:
    assert names(copy(locked, tmp_path, change)) == ALWAYS


def test_constraints_sources_and_members_of_a_workspace_are_part_of_what_is_compared(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": """
            project = { name = "shop", version = "1.0", requires-python = ">=3.11", dependencies = ["till"] }
            [dependency-groups]
            local = ["core"]
            [tool.uv]
            constraint-dependencies = ["till<1.1"]
            sources = { core = { workspace = true } }
            workspace = { members = ["packages/*"] }
        """,
        "packages/core/pyproject.toml": 'project = { name = "core", version = "1.0", dependencies = ["loop"] }',
    }
    apps.make(tmp_path / "app", files)
    with index.serve(*WHEELS) as served:
        locking.lock(tmp_path / "app", served.url)
    assert names(tmp_path / "app") == ["till"]
    found = locking.wheels(uv_install.BUILDPACK, tmp_path / "app", locking.resolver(tmp_path), groups="local")
    assert [(wheel.name, wheel.source.name) for wheel in found if wheel.built] == [("core", "./packages/core")]
    assert [wheel.name for wheel in found] == ["core", "loop", "till"]
    member = tmp_path / "app" / "packages" / "core" / "pyproject.toml"
    member.write_text(member.read_text().replace("loop", "card"))
    with pytest.raises(BuildError, match="packages/core/pyproject") as caught:
        names(tmp_path / "app")
    assert caught.value.code == "IB313"


def test_every_file_that_decides_is_recorded(locked: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    app = App(copy(locked, tmp_path), on_read=seen.append)
    uv_install.pin(locking.context(app, locking.resolver(tmp_path)))
    assert set(seen) == {"pyproject.toml", "uv.lock"}


@pytest.mark.parametrize(
    ("lock", "code", "words"),
    [
        ("version = 9\n", "IB312", "9"),
        ("version = 1\npackage = 1\n", "IB312", "packages"),
        ('version = 1\nrequires-python = ">=3.11"\n[[package]]\nname = 1\n', "IB312", "uv.lock"),
        ("version = ", "IB103", "uv.lock"),
    ],
)
def test_a_lock_that_cannot_be_read_is_an_error(tmp_path: Path, lock: str, code: str, words: str) -> None:
    project = '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
    apps.make(tmp_path / "app", {"pyproject.toml": project, "uv.lock": lock})
    with pytest.raises(BuildError) as caught:
        names(tmp_path / "app")
    assert caught.value.code == code
    assert words in caught.value.message


def test_a_group_that_is_not_there_is_ib314(locked: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no group wbe") as caught:
        names(copy(locked, tmp_path), groups="wbe")
    assert (caught.value.code, caught.value.hint) == ("IB314", "choose among dev, web")


def test_the_names_of_what_it_asks_for_are_known_before(locked: Path) -> None:
    always = {*ALWAYS, "ghost", "old-python"}  # conditions are not judged
    assert {*uv_install.names(App(locked))} == always
    asked = {name: Setting(value, "--") for name, value in (("extras", "all"), ("groups", "web"))}
    assert {*uv_install.names(App(locked, asked))} == {*always, "loop", "server"}
    assert isinstance(uv_install.detect(App(locked)), BuildPlan)
