"""Which projects of the application are built: when it is one itself, and what a folder is called."""

from pathlib import Path

import pytest

from buildpacks import local
from buildpacks.api import Folder, PinnedWheel
from layers.errors import BuildError
from tests import apps

BACKEND = '[build-system]\nrequires = []\nbuild-backend = "hatchling.build"\n'
NAMED = '[project]\nname = "Shop_Web"\n'


@pytest.mark.parametrize(
    ("text", "installed"),
    [
        (NAMED + BACKEND, True),
        (NAMED + "[tool.uv]\npackage = true\n", True),
        (NAMED, False),
        (NAMED + BACKEND + "[tool.uv]\npackage = false\n", False),
        (NAMED + BACKEND + "[tool.poetry]\npackage-mode = false\n", False),
        (NAMED + BACKEND + "[tool.pdm]\ndistribution = false\n", False),
    ],
)
def test_a_project_is_installed_if_it_is_a_package(tmp_path: Path, text: str, *, installed: bool) -> None:
    app = apps.make(tmp_path, {"pyproject.toml": text})
    found = local.project(app, app.toml("pyproject.toml"))
    assert found == ((PinnedWheel("shop-web", "", Folder(".")),) if installed else ())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", NAMED),
        ("pyproject.toml", "[tool.poetry]\nname = 'shop-web'\n"),
        ("pyproject.toml", "[tool.flit.metadata]\nmodule = 'shop_web'\n"),
        ("setup.cfg", "[metadata]\nname = shop.web\n"),
        ("setup.py", "from setuptools import setup\nsetup(\n    name='shop-web',\n)\n"),
    ],
)
def test_the_name_of_a_project_is_read_from_its_files(tmp_path: Path, file: str, text: str) -> None:
    files = {"libs/shop/setup.py": "", f"libs/shop/{file}": text}
    found = local.folder(apps.make(tmp_path, files), "./libs/shop/", origin="requirements.txt:1")
    assert found == PinnedWheel("shop-web", "", Folder("libs/shop"))
    assert str(found) == "shop-web (./libs/shop)"


def test_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"libs/shop/pyproject.toml": NAMED})
    (tmp_path / "shop").symlink_to("libs/shop")
    assert local.folder(app, "shop", origin="x").source == Folder("libs/shop")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../shop", "IB877"),
        ("..", "IB877"),
        ("/srv/shop", "IB877"),
        ("out", "IB103"),
        ("none", "IB103"),
        ("libs", "IB878"),
    ],
)
def test_a_folder_that_is_none_of_the_application_or_no_project_is_an_error(
    tmp_path: Path, path: str, code: str
) -> None:
    app = apps.make(tmp_path / "app", {"libs/shop/pyproject.toml": NAMED})
    (tmp_path / "app/out").symlink_to("..")
    with pytest.raises(BuildError) as caught:
        local.folder(app, path, origin="requirements.txt:1")
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["", "[project\n", "[tool.other]\n"])
def test_a_project_without_a_name_is_ib879(tmp_path: Path, text: str) -> None:
    app = apps.make(tmp_path, {"pyproject.toml": text, "setup.cfg": "nonsense", "setup.py": "setup(name=NAME)"})
    with pytest.raises(BuildError, match="nothing in it says") as caught:
        local.folder(app, ".", origin="requirements.txt:1")
    assert caught.value.code == "IB879"


def test_what_decides_the_pins_is_told_and_so_makes_a_lock_stale(tmp_path: Path) -> None:
    read: list[str] = []
    files = {"libs/shop/setup.py": "setup(name='shop')", "libs/shop/shop.py": ""}
    app = apps.make(tmp_path, files)
    recording = type(app)(app.root, on_read=read.append)
    local.folder(recording, "libs/shop", origin="x")
    assert {*read} == {"libs/shop/pyproject.toml", "libs/shop/setup.py"}
