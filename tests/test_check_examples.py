"""The examples are reproducible: built again with everything varied that this machine can vary, they are the same."""

import json
import shutil
from pathlib import Path

import pytest

from reproducibility.scenarios import USUAL
from tests.containers import ROOT, imagebuilder

pytestmark = pytest.mark.network

EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all of them."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_the_same_whatever_is_varied(name: str, tmp_path: Path, cache: Path) -> None:
    app = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, app, ignore=shutil.ignore_patterns("dist"))
    checked = imagebuilder("check", str(app), "--cache-dir", str(cache), "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    scenarios = json.loads(checked.stdout)["scenarios"]
    plain, varied = scenarios["builds"]
    assert plain["digest"] == varied["digest"]
    assert varied["varied"].keys() | scenarios["not_varied"].keys() >= {*USUAL}


def test_downloads_in_another_order_change_nothing(tmp_path: Path, cache: Path) -> None:
    app = tmp_path / "flask"
    shutil.copytree(ROOT / "examples" / "flask", app, ignore=shutil.ignore_patterns("dist"))
    checked = imagebuilder("check", str(app), "--cache-dir", str(cache), "--vary", "downloads", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
