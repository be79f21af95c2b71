"""Variables that would choose other packages are refused where packages are chosen."""

import json
from pathlib import Path

import pytest

from buildpacks import pip_install, pipenv_install
from imagebuilder import forbidden
from layers.errors import UsageError
from tests import apps, index, locking


@pytest.mark.parametrize("name", sorted(forbidden._INSTEAD))
def test_each_is_ib317_and_named(name: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        forbidden.check({name: "1"})
    assert (caught.value.code, caught.value.exit_code) == ("IB317", 2)


def test_those_that_are_empty_or_say_where_packages_are_may_be_set() -> None:
    forbidden.check({"PIP_PRE": "", "PIP_INDEX_URL": "https://x/simple", "UV_INDEX": "https://x/simple"})


def test_a_resolution_asks_before_it_starts(tmp_path: Path) -> None:
    apps.make(tmp_path / "app", {"requirements.txt": "till\n"})
    resolves = locking.resolver(tmp_path, UV_RESOLUTION="lowest")
    with pytest.raises(UsageError, match="UV_RESOLUTION") as caught:
        locking.pinned(pip_install.BUILDPACK, tmp_path / "app", resolves)
    assert caught.value.code == "IB317"


def test_a_lock_is_installed_from_whatever_they_say(tmp_path: Path) -> None:
    till = next(each for each in locking.WHEELS if each.filename.startswith("till-1.0"))
    entry = {"version": "==1.0", "hashes": [f"sha256:{till.sha256}"]}
    apps.make(tmp_path / "app", {"Pipfile.lock": json.dumps({"_meta": {}, "default": {"till": entry}})})
    with index.serve(*locking.WHEELS) as served:
        resolves = locking.resolver(tmp_path, served.url, UV_RESOLUTION="lowest")
        found = locking.pinned(pipenv_install.BUILDPACK, tmp_path / "app", resolves)
    assert [source.name for source in found] == [till.filename]
