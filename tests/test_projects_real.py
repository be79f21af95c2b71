"""Projects of every build backend in use, built with the real backends from the package index."""

import json
import os
from pathlib import Path

import pytest

from tests import containers

pytestmark = pytest.mark.network

# Each as its own `init` writes it: requirement, backend, and where it looks for the module.
BACKENDS = {
    "setuptools": ("setuptools>=77", "setuptools.build_meta", "src/shop/__init__.py"),
    "hatchling": ("hatchling", "hatchling.build", "src/shop/__init__.py"),
    "flit": ("flit_core>=3.11,<4", "flit_core.buildapi", "src/shop/__init__.py"),
    "pdm": ("pdm-backend", "pdm.backend", "src/shop/__init__.py"),
    "poetry": ("poetry-core>=2.0", "poetry.core.masonry.api", "src/shop/__init__.py"),
    "uv": ("uv_build>=0.9", "uv_build", "src/shop/__init__.py"),
}
# Those that ask Git for the version, and what tells them to.
VERSIONED = {
    "setuptools": ('["setuptools>=77", "setuptools-scm>=8"]', "setuptools.build_meta", "[tool.setuptools_scm]\n"),
    "hatchling": ('["hatchling", "hatch-vcs"]', "hatchling.build", '[tool.hatch.version]\nsource = "vcs"\n'),
    "pdm": ('["pdm-backend"]', "pdm.backend", '[tool.pdm.version]\nsource = "scm"\n'),
}
PROJECT = """
[project]
name = "shop"
{version}
description = "A shop"
requires-python = ">=3.11"
dependencies = ["idna==3.10"]
[project.scripts]
shop = "shop:main"
[build-system]
requires = {requires}
build-backend = "{backend}"
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def write(folder: Path, pyproject: str, module: str) -> Path:
    (folder / module).parent.mkdir(parents=True)
    (folder / module).write_text("def main():\n    print('open')\n")
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "README.md").write_text("# Shop\n")
    return folder


def build(app: Path, cache: Path, *flags: str) -> tuple[str, str]:
    """Build an image; return its digest and the paths of its files."""
    ran = containers.imagebuilder(
        "build", str(app), "--json", "-o", f"oci:{app.parent / 'image'}", "--cache-dir", str(cache), *flags
    )
    assert ran.returncode == 0, ran.stderr
    listed = containers.imagebuilder("inspect", f"oci:{app.parent / 'image'}", "--files").stdout
    return json.loads(ran.stdout)["manifest_digest"], listed


@pytest.mark.parametrize("name", BACKENDS)
def test_the_project_is_installed_whatever_builds_it_and_twice_the_same(name: str, tmp_path: Path, cache: Path) -> None:
    requires, backend, module = BACKENDS[name]
    text = PROJECT.format(requires=json.dumps([requires]), backend=backend, version='version = "1.2"')
    app = write(tmp_path / "app", text, module)
    digest, files = build(app, cache)
    assert "site-packages/shop/__init__.py" in files and "shop-1.2.dist-info/entry_points.txt" in files
    assert "site-packages/bin/shop" in files and "idna-3.10.dist-info" in files and "direct_url.json" not in files
    os.utime(app / module, (1, 1))
    assert build(app, cache, "--no-cache", "--locked")[0] == digest


@pytest.mark.parametrize("name", VERSIONED)
def test_a_backend_that_asks_git_is_told_the_version_or_says_what_to_set(
    name: str, tmp_path: Path, cache: Path
) -> None:
    requires, backend, table = VERSIONED[name]
    text = PROJECT.format(requires=requires, backend=backend, version='dynamic = ["version"]') + table
    app = write(tmp_path / "app", text, "src/shop/__init__.py")
    assert "shop-3.4.dist-info" in build(app, cache, "--project-version", "3.4")[1]
    ran = containers.imagebuilder("build", str(app), "--cache-dir", str(cache), "--locked")
    assert ran.returncode == 4 and "IB876" in ran.stderr and "--project-version" in ran.stderr, ran.stderr
