"""The project: what is read of pyproject.toml, and which projects cannot do without being installed."""

from pathlib import Path

import pytest

from buildpacks import project
from layers.errors import BuildError, UsageError
from tests import apps

BACKEND = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def test_requirements_extras_and_groups_are_read_with_what_groups_include() -> None:
    found = project.read(
        {
            "project": {
                "dependencies": ["Flask>=3"],
                "optional-dependencies": {"My_Db": ["psycopg"]},
                "dynamic": ["x"],
            },
            "dependency-groups": {"web": ["gunicorn"], "All": [{"include-group": "web"}, "rich"]},
        }
    )
    assert found == project.Project(
        ("Flask>=3",), {"my-db": ("psycopg",)}, {"web": ("gunicorn",), "all": ("gunicorn", "rich")}, frozenset({"x"})
    )
    assert found.names == ("flask",)


@pytest.mark.parametrize(
    "document",
    [
        {"project": {"dependencies": "flask"}},
        {"project": {"dependencies": ["not a requirement"]}},
        {"project": {"optional-dependencies": ["x"]}},
        {"dependency-groups": {"a": [{"include-group": "b"}], "b": [{"include-group": "a"}]}},
        {"dependency-groups": {"a": [{"include-group": "missing"}]}},
        {"dependency-groups": {"a": [1]}},
        {"dependency-groups": {"a": "flask"}},
    ],
)
def test_what_is_no_requirement_is_ib318(document: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"pyproject\.toml") as caught:
        project.read(document)
    assert caught.value.code == "IB318"


@pytest.mark.parametrize(
    ("text", "file", "reason"),
    [
        (BACKEND + '[project]\nscripts = { shop = "shop:main" }\n', "shop/__init__.py", "[project.scripts]"),
        (BACKEND + '[tool.poetry]\nscripts = { shop = "shop:main" }\n', "shop.py", "[tool.poetry.scripts]"),
        (BACKEND, "src/shop/__init__.py", "src/shop/__init__.py"),
        (BACKEND, "src/shop.py", "src/shop.py"),
        (BACKEND.replace("hatchling.build", "maturin"), "shop.py", "maturin compiles it"),
        ("[tool.uv]\npackage = true\n", "src/shop.py", "src/shop.py"),
    ],
)
def test_a_project_that_works_only_when_installed_is_ib315(tmp_path: Path, text: str, file: str, reason: str) -> None:
    app = apps.make(tmp_path, {"pyproject.toml": text, file: ""})
    with pytest.raises(BuildError) as caught:
        project.check_runs_uninstalled(app, app.toml("pyproject.toml"))
    assert caught.value.code == "IB315"
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("text", "file"),
    [
        (BACKEND, "shop/__init__.py"),
        ('[project]\nscripts = { shop = "shop:main" }\n', "src/shop.py"),
        (BACKEND + "[tool.uv]\npackage = false\n", "src/shop.py"),
        (BACKEND + "[tool.poetry]\npackage-mode = false\n", "src/shop.py"),
        (BACKEND + "[tool.pdm]\ndistribution = false\n", "src/shop.py"),
    ],
)
def test_a_project_that_is_started_from_its_folder_is_fine(tmp_path: Path, text: str, file: str) -> None:
    app = apps.make(tmp_path, {"pyproject.toml": text, file: ""})
    project.check_runs_uninstalled(app, app.toml("pyproject.toml"))
