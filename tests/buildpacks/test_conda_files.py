"""What an application says of its conda environment, and whose files count."""

from pathlib import Path

import pytest

from buildpacks import conda_env_update, conda_files, miniconda, order
from buildpacks.api import BuildPlan, Fail, Require
from layers.descriptor import Platform
from tests import apps

LINUX = Platform("linux", "amd64")


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        ("conda-forge", "conda-forge"),
        ("conda-forge/label/rc", "conda-forge/label/rc"),
        ("https://conda.example.com/conda-forge/", "conda-forge"),
        ("https://user:secret@conda.example.com/t/tk-secret/team/label/dev", "team/label/dev"),
        ("https://conda.example.com/t/${TOKEN}/team", "team"),
        ("./vendor", "vendor"),
        ("file:///home/somebody/channel", "channel"),
        ("https://conda.example.com", "channel"),
        ("..", "channel"),
    ],
)
def test_a_channel_is_called_the_same_wherever_it_is(channel: str, name: str) -> None:
    assert conda_files.channel_name(channel) == name


@pytest.mark.parametrize(
    ("listed", "channels"),
    [
        ("", ("main",)),
        ("channels: [conda-forge]", ("conda-forge",)),
        ("channels: [conda-forge, defaults]", ("conda-forge", "main")),
        ("channels: [conda-forge, nodefaults]", ("conda-forge",)),
        ("channels: [nodefaults]", ()),
    ],
)
def test_channels_are_those_that_conda_would_ask(listed: str, channels: tuple[str, ...], tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"environment.yml": f"name: x\n{listed}\n"})
    assert conda_files.read(app, LINUX).channels == channels


@pytest.mark.parametrize(
    ("files", "file"),
    [
        ("conda-lock.yml pixi.lock package-list.txt environment.yml", "conda-lock.yml"),
        ("package-list.txt environment.yml", "package-list.txt"),
        ("environment.yml", "environment.yml"),
    ],
)
def test_the_most_exact_file_counts(files: str, file: str, tmp_path: Path) -> None:
    text = {"conda-lock.yml": LOCK, "pixi.lock": "", "package-list.txt": "numpy\n", "environment.yml": "name: x\n"}
    app = apps.make(tmp_path, {name: text[name] for name in files.split()})
    assert conda_files.read(app, LINUX).file == file


LOCK = f"""\
package:
- name: numpy
  platform: linux-64
  url: https://conda.example.com/conda-forge/linux-64/numpy-2.1-py313_0.conda
  hash: {{sha256: {"a" * 64}}}
- name: pytest
  platform: linux-64
  category: dev
  url: https://conda.example.com/conda-forge/noarch/pytest-8.0-py_0.conda
  hash: {{sha256: {"b" * 64}}}
"""


def test_of_a_lock_other_categories_are_taken_when_they_are_asked_for(tmp_path: Path) -> None:
    files = {"conda-lock.yml": LOCK}
    (numpy,) = conda_files.read(apps.make(tmp_path, files), LINUX).packages
    assert (numpy.channel, numpy.subdir) == ("https://conda.example.com/conda-forge", "linux-64")
    both = conda_files.read(apps.make(tmp_path, files, settings={"groups": "dev"}), LINUX).packages
    assert [each.file for each in both] == ["numpy-2.1-py313_0.conda", "pytest-8.0-py_0.conda"]


def test_names_are_known_before_anything_is_solved(tmp_path: Path) -> None:
    text = "dependencies:\n- conda-forge::Flask >=3\n- python=3.13\n- pip:\n  - gunicorn[gevent]==23\n"
    assert conda_files.names(apps.make(tmp_path, {"environment.yml": text})) == ("flask", "python", "gunicorn")


def test_an_environment_is_provided_with_conda_and_without_another_python(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"environment.yml": "name: x\n"})
    wanted = BuildPlan(provides=("conda-environment",), requires=(Require("conda", build=True),))
    assert conda_env_update.detect(app) == wanted
    assert miniconda.detect(app) == BuildPlan(provides=("conda",))
    (group,) = [[each.buildpack.id for each in group] for group in order.ORDER if group[0].buildpack.id == "miniconda"]
    assert group == ["miniconda", "conda-env-update", "python-start", "procfile"]


def test_requirements_come_before_an_environment(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"environment.yml": "name: x\n", "requirements.txt": "flask\n"})
    assert conda_env_update.detect(app) == Fail("the packages come from requirements.txt")
    app = apps.make(
        tmp_path, {"environment.yml": "name: x\n", "requirements.txt": "flask\n"}, settings={"manager": "conda"}
    )
    assert isinstance(conda_env_update.detect(app), BuildPlan)


def test_without_any_of_its_files_it_does_not_fit(tmp_path: Path) -> None:
    assert isinstance(conda_env_update.detect(apps.make(tmp_path, {"main.py": ""})), Fail)


def test_names_are_known_of_a_lock_for_another_platform_too(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"conda-lock.yml": LOCK.replace("linux-64", "linux-aarch64")})
    assert conda_files.names(app) == ("numpy",)
