"""pipenv-install: what of a Pipfile.lock goes into the image, when it is out of date, and a Pipfile without a lock."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildpacks import pipenv_install
from buildpacks.api import App, BuildPlan
from layers.errors import BuildError
from tests import apps, index, locking
from tests.locking import WHEELS

PIPFILE = """
[[source]]
url = "https://x/simple"
verify_ssl = true
name = "x"

[packages]
till = ">=1"
Mixed_Case = {version = "*", extras = ["fast"]}
ghost = {version = "*", sys_platform = "== 'win32'"}
old-python = {version = "*", markers = "python_version < '3.12'"}
reader = "*"

[dev-packages]
tester = "*"

[Web]
server = "*"

[requires]
python_version = "3.13"
"""
# The hash that Pipenv 2026.10.3 writes for it.
CONTENT = "310acd76aa72868f2a1c4e2bcec15d5afc42662ccfcedfadd8bfec5482426cb3"
SOURCES = [{"name": "x", "url": "https://x/simple", "verify_ssl": True}]
ALWAYS = ["drawer", "mixed-case", "reader", "till"]


def locked(name: str, version: str = "1.0", **more: object) -> dict[str, object]:
    """An entry as Pipenv writes it, with the hashes of all files of the version."""
    files = [each for each in WHEELS if each.project == name and each.filename.split("-")[1] == version]
    return {"hashes": [f"sha256:{file.sha256}" for file in files], "version": f"=={version}", **more}


def lock(content: str = CONTENT, **tables: Mapping[str, object]) -> str:
    default = {
        "drawer": locked("drawer", markers="python_version >= '3.7'"),
        "ghost": {"version": "*"},
        "mixed-case": locked("mixed-case", extras=["fast"]),
        "old-python": {"version": "*", "markers": "python_version < '3.12'"},
        "reader": locked("reader", index="x"),
        "till": locked("till"),
    }
    tables = {
        "default": default,
        "develop": {"tester": locked("tester"), "drawer": locked("drawer")},
        "Web": {"server": locked("server"), "loop": locked("loop")},
        **tables,
    }
    meta = {"hash": {"sha256": content}, "pipfile-spec": 6, "requires": {"python_version": "3.13"}, "sources": SOURCES}
    return json.dumps({"_meta": meta, **tables})


def pinned(folder: Path, files: Mapping[str, str], **settings: str) -> list[str]:
    apps.make(folder / "app", files)
    with index.serve(*WHEELS) as served:
        resolves = locking.resolver(folder, served.url)
        found = locking.pinned(pipenv_install.BUILDPACK, folder / "app", resolves, **settings)
    return [f"{source.locator} {source.name}" for source in found]


def names(found: list[str]) -> list[str]:
    return [line.split()[0] for line in found]


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({}, []),
        ({"groups": "web"}, ["loop", "server"]),
        ({"groups": "dev-packages packages"}, ["tester"]),
    ],
)
def test_the_locked_versions_of_the_categories_are_pinned(
    tmp_path: Path, settings: dict[str, str], more: list[str]
) -> None:
    found = pinned(tmp_path, {"Pipfile": PIPFILE, "Pipfile.lock": lock()}, **settings)
    assert names(found) == sorted([*ALWAYS, *more])
    assert "till till-1.0-py3-none-any.whl" in found
    assert "reader reader-1.0-cp313-cp313-manylinux_2_28_x86_64.whl" in found


def test_a_pipfile_without_a_lock_is_resolved(tmp_path: Path) -> None:
    found = pinned(tmp_path, {"Pipfile": PIPFILE}, groups="web")
    assert names(found) == sorted([*ALWAYS, "loop", "server"])
    assert "till till-1.1-py3-none-any.whl" in found


def test_nothing_is_asked_for_where_nothing_is_wanted(tmp_path: Path) -> None:
    assert pinned(tmp_path, {"Pipfile": '[dev-packages]\ntester = "*"\n'}) == []


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ('till = ">=1"', 'till = ">=1.0"'),
        ('tester = "*"', ""),
        ('server = "*"', 'server = ">1"'),
        ("3.13", "3.12"),
        ("verify_ssl = true", "verify_ssl = false"),
    ],
)
def test_a_lock_that_was_made_from_another_pipfile_is_ib313(tmp_path: Path, change: str, by: str) -> None:
    with pytest.raises(BuildError, match=r"Pipfile\.lock is out of date") as caught:
        pinned(tmp_path, {"Pipfile": PIPFILE.replace(change, by), "Pipfile.lock": lock()})
    assert caught.value.code == "IB313"


def test_the_sources_that_pipenv_adds_and_its_scripts_are_no_change(tmp_path: Path) -> None:
    own = PIPFILE[PIPFILE.index("[packages]") :] + "[scripts]\nserve = 'x'\n[pipenv]\nallow_prereleases = true\n"
    assert names(pinned(tmp_path, {"Pipfile": own, "Pipfile.lock": lock()})) == ALWAYS


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    wrong = {"till": {"hashes": [f"sha256:{'0' * 64}"], "version": "==1.0"}}
    with pytest.raises(BuildError) as caught:
        pinned(tmp_path, {"Pipfile.lock": lock(default=wrong)})
    assert (caught.value.code, caught.value.exit_code) == ("IB409", 6)


@pytest.mark.parametrize(
    ("entry", "code", "words"),
    [
        (1, "IB312", "till has no version"),
        ({"version": "==1.0", "markers": "nonsense"}, "IB312", "nonsense"),
        ({"hg": "https://x/y.git", "ref": "0"}, "IB315", "till is an archive or a repository"),
        ({"path": "../till"}, "IB877", "../till"),
        ({"version": "nonsense !"}, "IB318", "nonsense"),
    ],
)
def test_an_entry_that_cannot_be_installed_is_an_error(tmp_path: Path, entry: object, code: str, words: str) -> None:
    with pytest.raises(BuildError) as caught:
        pinned(tmp_path, {"Pipfile.lock": lock(default={"till": entry})})
    assert caught.value.code == code
    assert words in caught.value.message


@pytest.mark.parametrize("file", ["Pipfile", "Pipfile.lock"])
def test_a_file_that_cannot_be_parsed_is_ib103(tmp_path: Path, file: str) -> None:
    with pytest.raises(BuildError, match=file) as caught:
        pinned(tmp_path, {file: "[["})
    assert caught.value.code == "IB103"


def test_a_category_that_is_not_there_is_ib314(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no group wbe") as caught:
        pinned(tmp_path, {"Pipfile": PIPFILE, "Pipfile.lock": lock()}, groups="wbe")
    assert (caught.value.code, caught.value.hint) == ("IB314", "choose among dev-packages, packages, web")


def test_the_names_of_what_is_always_installed_are_known_before(tmp_path: Path) -> None:
    app = App(apps.make(tmp_path, {"Pipfile": PIPFILE}).root)
    assert isinstance(pipenv_install.detect(app), BuildPlan)
    assert pipenv_install.names(app) == ("till", "mixed-case", "ghost", "old-python", "reader")
    (tmp_path / "Pipfile.lock").write_text(lock())
    assert "drawer" in pipenv_install.names(app)
