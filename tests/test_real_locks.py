"""Locks that the real tools write of real packages: what is pinned is what the tool itself would install."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from buildpacks import pdm_install, poetry_install, selection
from buildpacks.api import App, Buildpack, Setting
from imagebuilder import uv_program
from tests import apps, locking

pytestmark = pytest.mark.network

Tool = Callable[..., str]
POETRY = """
[tool.poetry]
name = "shop"
version = "1.0"
description = ""
authors = []
[tool.poetry.dependencies]
python = "^3.9"
flask = {version = "^3.0", extras = ["async"]}
humanize = [{version = "4.9.0", python = "<3.10"}, {version = "^4.10", python = ">=3.10"}]
colorama = {version = "*", platform = "win32"}
tabulate = {version = "*", optional = true}
[tool.poetry.extras]
table = ["tabulate"]
[tool.poetry.group.web.dependencies]
uvicorn = {version = "*", extras = ["standard"]}
[tool.poetry.group.dev.dependencies]
pytest = "^8"
[[tool.poetry.source]]
name = "everything"
priority = "primary"
"""
PDM = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["flask[async]>=3", "uvicorn[standard]", "colorama; sys_platform == 'win32'"]
[project.optional-dependencies]
table = ["tabulate"]
[dependency-groups]
dev = ["pytest"]
[tool.pdm]
distribution = false
"""


def tool(folder: Path, program: str, *requirements: str) -> Tool:
    """Install a package manager in an environment of its own; return what runs it in a folder."""
    locking.uv(folder, "venv", str(folder / "tool"))
    locking.uv(folder, "pip", "install", "--python", str(folder / "tool"), *requirements, **os.environ)
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}

    def run(app: Path, *arguments: str) -> str:
        command = [folder / "tool" / "bin" / program, *arguments]
        return subprocess.run(command, cwd=app, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    return run


@pytest.fixture(scope="module")
def poetry(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return tool(tmp_path_factory.mktemp("poetry"), "poetry", "poetry==1.8.5", "poetry-plugin-export")


@pytest.fixture(scope="module")
def pdm(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    # Versions that are known to work together: PDM does not bound all of its own requirements.
    return tool(tmp_path_factory.mktemp("pdm"), "pdm", "pdm==2.26.0", "hishel<1", "unearth<0.18", "httpx<1")


def exported(text: str) -> dict[str, str]:
    """Return the versions that a requirement file names for the image, by project."""
    target = {key: str(value) for key, value in selection.environment(locking.PYTHON, apps.TARGET).items()}
    found = [Requirement(line) for line in text.splitlines() if line and not line.startswith(("#", "-"))]
    return {
        re.sub(r"[-_.]+", "-", one.name).lower(): str(one.specifier).removeprefix("==")
        for one in found
        if not one.marker or one.marker.evaluate(target)
    }


def pinned(buildpack: Buildpack, app: Path, **settings: str) -> dict[str, str]:
    given = {name: Setting(value, f"--{name}") for name, value in settings.items()}
    context = locking.context(App(app, given), locking.resolver(app))
    return {wheel.name: wheel.version for wheel in buildpack.pin(context).wheels}


@pytest.fixture(scope="module")
def old_poetry_project(poetry: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = tmp_path_factory.mktemp("project")
    (app / "pyproject.toml").write_text(f'{POETRY}url = "{uv_program.default_index()}"\n')
    poetry(app, "lock", "--no-interaction")
    return app


@pytest.mark.parametrize("groups", ["", "web", "web dev"])
@pytest.mark.parametrize("extras", ["", "table"])
def test_an_older_poetry_lock_is_installed_as_poetry_exports_it(
    poetry: Tool, old_poetry_project: Path, groups: str, extras: str
) -> None:
    asked = [word for group in groups.split() for word in ("--with", group)]
    asked += [word for extra in extras.split() for word in ("--extras", extra)]
    text = poetry(old_poetry_project, "export", "--without-hashes", "--without-urls", *asked)
    settings = {key: value for key, value in (("groups", groups), ("extras", extras)) if value}
    found = pinned(poetry_install.BUILDPACK, old_poetry_project, **settings)
    assert found == exported(text)
    assert len(found) >= 9


@pytest.mark.parametrize("strategy", ["inherit_metadata", "static_urls,inherit_metadata"])
def test_a_lock_of_pdm_is_installed_as_pdm_exports_it(pdm: Tool, tmp_path: Path, strategy: str) -> None:
    source = f'[[tool.pdm.source]]\nname = "everything"\nurl = "{uv_program.default_index()}"\n'
    (tmp_path / "pyproject.toml").write_text(PDM + source)
    pdm(tmp_path, "lock", "-G", ":all", "-S", strategy)
    for extra in ("", "table"):
        asked = ["--group", extra] if extra else []
        text = pdm(tmp_path, "export", "--prod", "--without-hashes", "--format", "requirements", *asked)
        found = pinned(pdm_install.BUILDPACK, tmp_path, **({"extras": extra} if extra else {}))
        assert found == exported(text)
        assert len(found) >= 15
