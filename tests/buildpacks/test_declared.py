"""Packages that are named where nothing installs them from are refused, not left out."""

from pathlib import Path

import pytest

from buildpacks import declared, pip_install
from buildpacks.api import Fail
from layers.errors import DetectionError, UsageError
from tests import apps


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        ("requirements/prod.txt", "flask\n", "requirements/prod.txt"),
        ("requirements-web.txt", "flask\n", "requirements-web.txt"),
    ],
)
def test_packages_named_elsewhere_are_ib305(tmp_path: Path, file: str, text: str, place: str) -> None:
    app = apps.make(tmp_path, {"main.py": "", file: text})
    with pytest.raises(DetectionError) as caught:
        pip_install.detect(app)
    assert caught.value.code == "IB305"
    assert place in caught.value.message and "requirements" in caught.value.hint


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[project]\nname = "x"\ndependencies = []\n[project.optional-dependencies]\ntest = ["x"]\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.13"\n'),
        ("requirements-dev.txt", "pytest\n"),
        ("requirements/test.txt", "pytest\n"),
        ("docs/requirements.txt", "sphinx\n"),
    ],
)
def test_what_the_application_runs_without_is_left_out(tmp_path: Path, file: str, text: str) -> None:
    app = apps.make(tmp_path, {"main.py": "", file: text})
    assert declared.find(app) is None
    assert pip_install.detect(app) == Fail("no requirements.txt")


def test_an_empty_requirements_file_says_that_there_is_nothing_to_install(tmp_path: Path) -> None:
    files = {"requirements.txt": "", "pyproject.toml": '[project]\ndependencies = ["flask"]\n'}
    assert not isinstance(pip_install.detect(apps.make(tmp_path, files)), Fail)


@pytest.mark.parametrize(
    ("files", "settings", "manager"),
    [
        ("requirements.txt", {}, "pip"),
        ("pylock.toml requirements.txt", {}, "pylock"),
        ("pylock.toml requirements.txt", {"manager": "pip"}, "pip"),
        ("uv.lock pylock.toml requirements.txt", {}, "uv"),
        ("poetry.lock requirements.txt", {}, "poetry"),
        ("Pipfile requirements.txt", {}, "pipenv"),
        ("Pipfile.lock pylock.toml", {}, "pipenv"),
        ("pyproject.toml", {"manager": "pyproject"}, "pyproject"),
        ("poetry.lock uv.lock", {"manager": "poetry"}, "poetry"),
        ("poetry.lock uv.lock requirements.txt", {"requirements": "requirements.txt"}, "pip"),
        ("pylock.toml requirements.txt", {"requirements": "requirements.txt"}, "pip"),
        ("requirements.txt", {"requirements": "pylock.web.toml"}, "pylock"),
    ],
)
def test_one_rule_says_whose_files_count(tmp_path: Path, files: str, settings: dict[str, str], manager: str) -> None:
    place = declared.find(apps.make(tmp_path, dict.fromkeys(files.split(), ""), settings=settings))
    assert place is not None and place.manager == manager


def test_the_reason_not_to_fit_names_what_counts_instead(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"requirements.txt": "", "pylock.toml": ""})
    assert pip_install.detect(app) == Fail("the packages come from pylock.toml")


def test_a_manager_without_its_files_is_ib311(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"requirements.txt": ""}, settings={"manager": "pylock"})
    with pytest.raises(UsageError, match=r"no pylock\.toml.*--manager") as caught:
        declared.find(app)
    assert (caught.value.code, caught.value.exit_code) == ("IB311", 2)


def test_requirement_files_have_no_groups_ib314(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"requirements.txt": ""}, settings={"groups": "web"})
    with pytest.raises(UsageError, match=r"requirements\.txt has no group web") as caught:
        pip_install.detect(app)
    assert caught.value.code == "IB314"


def test_the_locks_of_two_managers_are_ib310_and_both_are_named(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"poetry.lock": "", "uv.lock": ""})
    with pytest.raises(UsageError, match=r"both uv\.lock and poetry\.lock") as caught:
        declared.find(app)
    assert (caught.value.code, caught.value.exit_code) == ("IB310", 2)
    assert 'manager = "uv"' in caught.value.hint


def test_packages_that_only_poetry_can_resolve_need_its_lock_ib311(tmp_path: Path) -> None:
    text = '[tool.poetry.dependencies]\npython = "^3.13"\nflask = "*"\n'
    with pytest.raises(UsageError, match=r"no poetry\.lock.*\[tool\.poetry\]") as caught:
        declared.find(apps.make(tmp_path, {"pyproject.toml": text}))
    assert caught.value.code == "IB311"


@pytest.mark.parametrize("text", ['dependencies = ["flask"]', 'dynamic = ["dependencies"]'])
def test_a_project_counts_where_nothing_else_names_its_packages(tmp_path: Path, text: str) -> None:
    app = apps.make(tmp_path, {"pyproject.toml": f"[project]\n{text}\n"})
    assert declared.find(app) == declared.Place("pyproject", "pyproject.toml [project]")
    (tmp_path / "requirements.txt").touch()
    assert declared.find(app) == declared.Place("pip", "requirements.txt")
