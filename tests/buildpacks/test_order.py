import importlib
from pathlib import Path

import pytest

import buildpacks
from buildpacks.api import App, Buildpack
from buildpacks.order import ORDER
from imagebuilder.resolve import resolve
from tests import apps

MODULES = sorted(path.stem for path in Path(buildpacks.__path__[0]).glob("*.py"))


def test_every_buildpack_of_the_folder_is_in_the_order() -> None:
    modules = [importlib.import_module(f"buildpacks.{name}") for name in MODULES]
    written = {module.BUILDPACK.id for module in modules if isinstance(getattr(module, "BUILDPACK", None), Buildpack)}
    assert written == {element.buildpack.id for group in ORDER for element in group}
    assert len(written) >= 5


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("requirements.txt", "cpython pip pip-install python-start"),
        ("requirements.txt app.py Procfile", "cpython pip pip-install python-start procfile"),
        ("main.py", "cpython python-start"),
        ("main.py Procfile", "cpython python-start procfile"),
        ("pyproject.toml", "cpython python-start"),
        ("pyproject.toml uv.lock requirements.txt", "cpython uv uv-install python-start"),
        ("Pipfile", "cpython pip pipenv pipenv-install python-start"),
        ("pyproject.toml pdm.lock", "cpython pdm-install python-start"),
        ("pyproject.toml poetry.lock", "cpython pip poetry poetry-install python-start"),
        ("pylock.toml requirements.txt Procfile", "cpython pylock python-start procfile"),
        ("shop/__main__.py", "cpython python-start"),
    ],
)
def test_an_application_gets_the_group_for_its_files(tmp_path: Path, files: str, expected: str) -> None:
    app = apps.make(tmp_path, {file: "web: python main.py" if file == "Procfile" else "" for file in files.split()})
    assert [step.buildpack.id for step in resolve(ORDER, app).steps] == expected.split()


def test_the_interpreter_is_asked_for_by_all_that_need_it(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"requirements.txt": "", ".python-version": "3.13\n"})
    (cpython, pip, _, start) = resolve(ORDER, app).steps
    assert [(each.version, each.build, each.launch) for each in cpython.requires] == [
        ("3.13", False, False),
        ("", True, False),
        ("", True, False),
        ("", False, True),
    ]
    assert [each.name for each in pip.requires] == ["pip"]
    assert start.requires == ()


def test_detection_reads_no_file_outside_the_application(tmp_path: Path) -> None:
    read: list[str] = []
    (tmp_path / "requirements.txt").touch()
    resolve(ORDER, App(tmp_path, on_read=read.append))
    assert set(read) <= {"requirements.txt"}
