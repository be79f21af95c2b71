"""pdm-install: what of a pdm.lock goes into the image, and when it is out of date."""

from pathlib import Path

import pytest

from buildpacks import pdm_install
from buildpacks.api import App, BuildPlan
from layers.errors import BuildError
from tests import apps, locking

HASH = "0" * 64
PROJECT = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["flask>=3"]
[project.optional-dependencies]
Pg = ["sqlalchemy"]
[dependency-groups]
Ops = ["rich"]
[tool.pdm]
distribution = false
[tool.pdm.dev-dependencies]
ops = ["pytest"]
"""
# The hash of PDM 2.29.3 (pdm.project.project_file.PyProject.content_hash).
CONTENT = "0e6853363ef8b136e4fa68c69f498bae08f699f149c0627f8d6a889acfc561c3"


def package(name: str, *more: str, groups: str = '"default"', tag: str = "py3-none-any") -> str:
    files = f'{{file = "{name}-1.0-{tag}.whl", hash = "sha256:{HASH}"}}'
    lines = ["[[package]]", f'name = "{name}"', 'version = "1.0"', f"groups = [{groups}]", *more, f"files = [{files}]"]
    return "\n".join([*lines, ""])


def lock(*packages: str, content: str = CONTENT, version: str = "4.5.0", strategy: str = "inherit_metadata") -> str:
    metadata = f'[metadata]\ngroups = ["default", "ops", "pg"]\nstrategy = ["{strategy}"]\nlock_version = "{version}"\n'
    return "\n".join([metadata + f'content_hash = "sha256:{content}"\n', *packages])


PACKAGES = (
    package("flask"),
    package("flask", 'extras = ["async"]'),
    package("colorama", "marker = \"sys_platform == 'win32'\""),
    package("sqlalchemy", groups='"pg"'),
    package("rich", groups='"ops"'),
)


def pinned(folder: Path, text: str, *, project: str = PROJECT, **settings: str) -> list[str]:
    apps.make(folder, {"pyproject.toml": project, "pdm.lock": text})
    found = locking.pinned(pdm_install.BUILDPACK, folder, locking.resolver(folder), **settings)
    return [source.locator for source in found]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "flask"),
        ({"groups": "default Ops"}, "flask rich"),
        ({"extras": "pg"}, "flask sqlalchemy"),
        ({"extras": "Pg", "groups": "ops"}, "flask rich sqlalchemy"),
    ],
)
def test_what_the_groups_and_extras_want_is_pinned(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    assert pinned(tmp_path, lock(*PACKAGES), **settings) == expected.split()


@pytest.mark.parametrize("change", ["flask>=3", "sqlalchemy", "rich", "pytest", ">=3.11"])
def test_a_lock_that_was_made_from_other_requirements_is_ib313(tmp_path: Path, change: str) -> None:
    with pytest.raises(BuildError, match=r"pdm\.lock is out of date") as caught:
        pinned(tmp_path, lock(*PACKAGES), project=PROJECT.replace(change, f"{change},<9" if "=" in change else "x"))
    assert caught.value.code == "IB313"


@pytest.mark.parametrize(
    ("text", "settings", "code", "words"),
    [
        (lock(*PACKAGES, version="5.0"), {}, "IB312", "5.0"),
        (lock(*PACKAGES, strategy="cross_platform"), {}, "IB312", "inherit_metadata"),
        (lock(package("x", "git = 'http://x.example/y'", "revision = '0'")), {}, "IB882", "http://x.example/y"),
        (lock(*PACKAGES), {"groups": "pg"}, "IB314", "no group pg"),
        (lock(*PACKAGES), {"extras": "ops"}, "IB314", "no extra ops"),
        ("[[", {}, "IB103", "pdm.lock"),
    ],
)
def test_what_cannot_be_installed_is_an_error(
    tmp_path: Path, text: str, settings: dict[str, str], code: str, words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        pinned(tmp_path, text, **settings)
    assert caught.value.code == code
    assert words in caught.value.message


def test_the_names_of_the_default_group_are_known_before(tmp_path: Path) -> None:
    apps.make(tmp_path, {"pyproject.toml": PROJECT, "pdm.lock": lock(*PACKAGES)})
    assert isinstance(pdm_install.detect(App(tmp_path)), BuildPlan)
    assert pdm_install.names(App(tmp_path)) == ("flask", "colorama")


def test_files_may_be_named_by_their_addresses_and_come_from_any_index(tmp_path: Path) -> None:
    entry = package("flask").replace('file = "', 'url = "https://files.example.com/a%2Fb/')
    apps.make(
        tmp_path, {"pyproject.toml": PROJECT, "pdm.lock": lock(entry, strategy='static_urls", "inherit_metadata')}
    )
    (found,) = locking.pinned(pdm_install.BUILDPACK, tmp_path, locking.resolver(tmp_path))
    assert (found.kind, found.name, found.locator) == ("wheel", "flask-1.0-py3-none-any.whl", "flask")


def test_a_package_of_an_address_is_pinned_by_that_address(tmp_path: Path) -> None:
    place = "https://files.example.com/flask-1.0-py3-none-any.whl"
    assert pinned(tmp_path, lock(package("flask", f'url = "{place}"'))) == [place]
