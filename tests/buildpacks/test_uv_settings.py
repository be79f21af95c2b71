"""uv_settings: locks of the real uv, and changes of its settings that make them out of date."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildpacks import uv_install
from layers.errors import BuildError
from tests import apps, index, locking
from tests.locking import WHEELS

FILES = {
    "pyproject.toml": """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11.2"
dependencies = ["till"]
[project.optional-dependencies]
old = ["till==1.0"]
New_one = ["till==1.1"]
[tool.uv]
environments = ["sys_platform == 'linux' and python_version < '3.20'", "sys_platform == 'darwin'"]
conflicts = [[{ extra = "new-one" }, { extra = "old" }]]
resolution = "lowest-direct"
fork-strategy = "fewest"
build-constraint-dependencies = ["setuptools<90"]
exclude-dependencies = ["ghost"]
[tool.uv.workspace]
members = ["libs/*"]
exclude = ["libs/left-out"]
""",
    "libs/core/pyproject.toml": '[project]\nname = "core"\nversion = "1.0"\nrequires-python = "~=3.11"\n',
    "libs/left-out/pyproject.toml": '[project]\nname = "left-out"\nversion = "1.0"\n',
}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The lock of these projects."""
    folder = tmp_path_factory.mktemp("locked")
    apps.make(folder, FILES)
    with index.serve(*WHEELS) as served:
        locking.lock(folder, served.url)
    yield (folder / "uv.lock").read_text()


def pin(folder: Path, locked: str, *changes: tuple[str, str], **more: str) -> list[str]:
    """Pin with a changed pyproject.toml, and with more files."""
    text = FILES["pyproject.toml"]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    apps.make(folder / "app", {**FILES, "pyproject.toml": text, "uv.lock": locked, **more})
    return [each.name for each in locking.pinned(uv_install.BUILDPACK, folder / "app", locking.resolver(folder))]


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ((">=3.11.2", ">=3.11.2, <4"),),
        (("python_version < '3.20'", "python_full_version < '3.20'"), ("linux", "linux2"), ("linux2", "linux")),
        (('{ extra = "new-one" }, { extra = "old" }', '{ extra = "Old" }, { extra = "new_one" }'),),
        (('resolution = "lowest-direct"\n', ""),),
        (('["setuptools<90"]', '["SetupTools <90"]'),),
    ],
)
def test_what_means_the_same_is_no_change(locked: str, tmp_path: Path, changes: tuple[tuple[str, str], ...]) -> None:
    assert pin(tmp_path, locked, *changes) == ["till-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ((">=3.11.2", ">=3.12"), "requires-python"),
        ((">=3.11.2", ">=3.11"), "requires-python"),
        (("sys_platform == 'darwin'", "sys_platform == 'win32'"), "environments"),
        (("environments = [", "required-environments = ["), "environments"),
        (("conflicts = [[{ extra", "conflicts = [[{ group"), "conflicts"),
        (("lowest-direct", "highest"), "resolution"),
        (('"fewest"', '"requires-python"'), "fork-strategy"),
        (("[tool.uv]", '[tool.uv]\nprerelease = "allow"'), "prerelease"),
        (("setuptools<90", "setuptools<91"), "build-constraint-dependencies"),
        (('exclude-dependencies = ["ghost"]', ""), "exclude-dependencies"),
        (('exclude = ["libs/left-out"]', ""), "libs/left-out/pyproject.toml is a new member"),
    ],
)
def test_a_lock_that_was_made_with_other_settings_is_ib313(
    locked: str, tmp_path: Path, change: tuple[str, str], name: str
) -> None:
    with pytest.raises(BuildError, match=r"uv\.lock is out of date") as caught:
        pin(tmp_path, locked, change)
    assert caught.value.code == "IB313"
    assert name in caught.value.message


def test_uv_s_own_file_counts_before_pyproject(locked: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="fork-strategy") as caught:
        pin(tmp_path, locked, **{"uv.toml": 'fork-strategy = "requires-python"\n'})
    assert caught.value.code == "IB313"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((">=3.11.2", ">=nonsense"), "IB312"),
        (("sys_platform == 'darwin'", "nonsense"), "IB312"),
        (("setuptools<90", "setuptools<nonsense"), "IB318"),
    ],
)
def test_a_setting_that_is_none_is_an_error(locked: str, tmp_path: Path, change: tuple[str, str], code: str) -> None:
    with pytest.raises(BuildError) as caught:
        pin(tmp_path, locked, change)
    assert caught.value.code == code
