"""The project: what is read of pyproject.toml, and which projects cannot do without being installed."""

from pathlib import Path

import pytest

from buildpacks import project, uv_install
from layers.errors import UsageError
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


def test_a_lock_without_its_project_is_ib311(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"uv.lock": "version = 1"})
    with pytest.raises(UsageError, match=r"no pyproject\.toml beside uv\.lock") as caught:
        uv_install.names(app)
    assert (caught.value.code, "pylock.toml" in caught.value.hint) == ("IB311", True)
