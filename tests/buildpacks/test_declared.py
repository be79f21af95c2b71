"""Packages that are named where nothing installs them from are refused, not left out."""

from pathlib import Path

import pytest

from buildpacks import declared, pip_install
from buildpacks.api import Fail
from layers.errors import DetectionError
from tests import apps


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["flask"]\n', "pyproject.toml [project]"),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\npython = "^3.13"\nflask = "*"\n',
            "pyproject.toml [tool.poetry]",
        ),
        ("Pipfile", '[packages]\nflask = "*"\n', "Pipfile"),
        ("pylock.toml", "", "pylock.toml"),
        ("environment.yml", "", "environment.yml"),
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
        ("Pipfile", '[packages]\n[dev-packages]\npytest = "*"\n'),
        ("requirements-dev.txt", "pytest\n"),
        ("requirements/test.txt", "pytest\n"),
        ("docs/requirements.txt", "sphinx\n"),
    ],
)
def test_what_the_application_runs_without_is_left_out(tmp_path: Path, file: str, text: str) -> None:
    app = apps.make(tmp_path, {"main.py": "", file: text})
    declared.refuse(app)
    assert pip_install.detect(app) == Fail("no requirements.txt")


def test_an_empty_requirements_file_says_that_there_is_nothing_to_install(tmp_path: Path) -> None:
    files = {"requirements.txt": "", "pyproject.toml": '[project]\ndependencies = ["flask"]\n'}
    assert not isinstance(pip_install.detect(apps.make(tmp_path, files)), Fail)
