"""The project itself, and folders of the application that its packages come from, are built and installed."""

import json
import os
from collections.abc import Iterator, Mapping

import pytest

from imagebuilder.sandbox import rungs
from tests import repositories, sdists
from tests.world import World

pytestmark = pytest.mark.skipif(
    all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here"
)

PROJECT = '[project]\nname = "shop"\nversion = "1.0"\ndependencies = ["click==8.2.0"]\n'


def project(name: str = "shop", table: str = PROJECT, *, code: str = "", version: str = "1.0") -> dict[str, str]:
    """Return the files of a project with a backend of its own, which packs the modules beside it."""
    backend = sdists.BACKEND.format(name=name, version=version, tag="py3-none-any", needs=[], requires=[])
    return {
        "pyproject.toml": table + sdists.PYPROJECT.format(requires=[]),
        "backend.py": backend + code,
        f"{name}.py": "VALUE = 1\n",
    }


def below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{folder}/{path}": text for path, text in files.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with sdists.running(tmp_path_factory.mktemp("world")) as found:
        yield found


def built(place: World, name: str, *flags: str, **environment: str) -> Mapping[str, Mapping[str, str]]:
    """Build an application and return its layers."""
    output = f"oci:{name.replace('/', '-')}.oci"
    ran = place.run("build", str(place.folder / name), "--json", "-o", output, *flags, **environment)
    assert ran.returncode == 0, ran.stderr
    return {layer["name"]: layer for layer in json.loads(ran.stdout)["layers"]}


def test_a_project_with_a_build_system_is_installed(place: World) -> None:
    place.app(project(), "own")
    assert "shop" in built(place, "own")
    listed = place.run("inspect", "oci:own.oci", "--files").stdout
    assert "site-packages/shop.py" in listed and "shop-1.0.dist-info/METADATA" in listed and "click.py" in listed


def test_a_changed_source_does_not_make_the_lock_stale_and_makes_one_layer_anew(place: World) -> None:
    place.app(project(), "changing")
    first = built(place, "changing")
    (place.folder / "changing/shop.py").write_text("VALUE = 2\n")
    second = built(place, "changing", "--locked")
    changed = {name for name in first if first[name]["digest"] != second[name]["digest"]}
    assert changed == {"shop", "application"}
    assert built(place, "changing", "--locked")["shop"]["cached"]


def test_where_and_by_whom_it_is_built_does_not_matter(place: World) -> None:
    place.app(project(), "here")
    place.app({**project(), ".env": "SECRET=1", "__pycache__/shop.pyc": "x", "build/left.py": "x"}, "elsewhere/here")
    before = os.umask(0o077)
    try:
        other = built(place, "elsewhere/here", IMAGEBUILDER_CACHE_DIR=str(place.folder / "another"), TZ="Asia/Tokyo")
    finally:
        os.umask(before)
    assert built(place, "here")["shop"]["digest"] == other["shop"]["digest"]


def test_changed_build_requirements_make_the_lock_stale(place: World) -> None:
    app = place.app(project(), "requiring")
    built(place, "requiring")
    text = (app / "pyproject.toml").read_text()
    (app / "pyproject.toml").write_text(text.replace("requires = []", 'requires = ["click"]'))
    ran = place.run("build", str(app), "--locked")
    assert ran.returncode != 0 and "pyproject.toml has changed" in ran.stderr


def test_a_project_that_says_so_is_not_installed(place: World) -> None:
    place.app(project(table=f"{PROJECT}[tool.uv]\npackage = false\n"), "script")
    assert "shop" not in built(place, "script")


def test_a_folder_of_a_lock_is_installed_with_the_files_that_links_of_it_lead_to(place: World) -> None:
    lock = 'lock-version = "1.0"\ncreated-by = "us"\n[[packages]]\nname = "till"\ndirectory = { path = "libs/till" }\n'
    made = "\ndef make():\n    return {'till_license.py': open('LICENSE', 'rb').read()}\n"
    app = place.app(
        {"main.py": "", "pylock.toml": lock, "LICENSE": "'free'"} | below("libs/till", project("till", "", code=made)),
        "folders",
    )
    (app / "libs/till/LICENSE").symlink_to("../../LICENSE")
    built(place, "folders")
    assert "site-packages/till_license.py" in place.run("inspect", "oci:folders.oci", "--files").stdout
    assert 'path = "libs/till"' in (app / "imagebuilder.lock").read_text()


def test_a_backend_that_would_ask_git_is_told_the_version(place: World) -> None:
    told = "\nimport os\nVERSION = os.environ.get('SETUPTOOLS_SCM_PRETEND_VERSION', 'none')\n"
    place.app(project(table='[project]\nname = "shop"\ndynamic = ["version"]\n', code=told), "versioned")
    built(place, "versioned", "--project-version", "2.5")
    assert "shop-2.5.dist-info" in place.run("inspect", "oci:versioned.oci", "--files").stdout
    built(place, "versioned", "--project-version", "2.6", "--locked")
    assert "shop-2.6.dist-info" in place.run("inspect", "oci:versioned.oci", "--files").stdout


def test_a_check_of_a_project_that_is_built_finds_no_difference(place: World) -> None:
    app = place.app(project(), "checked")
    ran = place.run("check", str(app))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_folders_of_requirement_files_are_built_and_what_they_require_is_resolved(place: World) -> None:
    requirements = "-r more.txt\n-e ./libs/till ; python_version > '3'\n../gone ; python_version < '3'\n"
    till = sdists.BACKEND.format(name="till", version="3.0", tag="py3-none-any", needs=["click"], requires=["flask"])
    files = {"main.py": "", "requirements.txt": requirements, "more.txt": "click<8.3\nlibs/card[chip]\n"}
    files |= below("libs/card", project("card", '[project]\nname = "card"\nversion = "1.0"\n'))
    files |= below("libs/till", {**project("till", '[project]\nname = "till"\n'), "backend.py": till})
    app = place.app(files, "required")
    layers = built(place, "required")
    assert {"card", "till", "site-packages"} <= layers.keys()
    listed = place.run("inspect", "oci:required.oci", "--files").stdout
    assert "till-3.0.dist-info" in listed and "flask-3.1.2.dist-info" in listed and "click-8.2.0.dist-info" in listed
    assert (app / "requirements.txt").read_text() == requirements
    again = built(place, "required", "--locked", "--offline")
    assert {name: layer["digest"] for name, layer in again.items()} == {
        name: layer["digest"] for name, layer in layers.items()
    }
    assert all(layer["cached"] for name, layer in again.items() if name != "application")  # its files may be too young


def test_requirements_that_the_backend_fills_in_are_resolved(place: World) -> None:
    dynamic = '[project]\nname = "shop"\nversion = "1.0"\ndynamic = ["dependencies"]\n'
    backend = sdists.BACKEND.format(name="shop", version="1.0", tag="py3-none-any", needs=[], requires=["click<8.3"])
    place.app({**project(table=dynamic), "backend.py": backend}, "dynamic")
    built(place, "dynamic")
    assert "click-8.2.0.dist-info" in place.run("inspect", "oci:dynamic.oci", "--files").stdout


def test_a_pipfile_may_name_folders(place: World) -> None:
    pipfile = '[packages]\ntill = { path = "./libs/till", editable = true }\nclick = "<8.3"\n'
    place.app({"main.py": "", "Pipfile": pipfile} | below("libs/till", project("till", "")), "piped")
    assert "till" in built(place, "piped")


@pytest.mark.parametrize("kind", ["requirements", "pylock", "pyproject"])
def test_a_commit_is_pinned_verified_and_built(place: World, kind: str) -> None:
    origin = place.folder / f"origin-{kind}"
    commit = repositories.commit(origin, project("till", '[project]\nname = "till"\n', version="2.0"), tag="v2")
    address = f"git+file://{origin}"
    files = {
        "requirements": {"requirements.txt": f"{address}@v2\nclick==8.2.0\n"},
        "pylock": {
            "pylock.toml": 'lock-version = "1.0"\ncreated-by = "us"\n[[packages]]\nname = "till"\nversion = "2.0"\n'
            f'vcs = {{ type = "git", url = "file://{origin}", commit-id = "{commit}" }}\n'
        },
        "pyproject": {"pyproject.toml": f'[project]\nname = "x"\ndependencies = ["till @ {address}@main"]\n'},
    }[kind]
    app = place.app({"main.py": "", **files}, f"git-{kind}")
    assert "till" in built(place, f"git-{kind}")
    assert f'commit-id = "{commit}"' in (app / "imagebuilder.lock").read_text()
    repositories.commit(origin, {"till.py": "VALUE = 2\n"})
    fresh = {"IMAGEBUILDER_CACHE_DIR": str(place.folder / f"fresh-{kind}")}
    first, again = built(place, f"git-{kind}"), built(place, f"git-{kind}", "--locked", **fresh)
    assert first["till"]["digest"] == again["till"]["digest"] and not again["till"]["cached"]
    origin.rename(place.folder / f"gone-{kind}")
    assert built(place, f"git-{kind}", "--locked", "--offline", **fresh)["till"]["cached"]
