"""Indexes that single packages come from: only they are asked, whoever has the same name elsewhere."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli

from buildpacks import pdm_install, pipenv_install, poetry_install, pyproject, uv_install
from buildpacks.api import App, Buildpack
from imagebuilder import index as index_settings
from imagebuilder.fetch import Downloader
from imagebuilder.resolver import UvResolver
from layers.blobs import BlobStore
from layers.errors import BuildError, UsageError
from tests import apps, index, locking, world
from tests.index import Index

USER, SECRET = "robot", "canary-19"
OURS = index.wheel("ledger", "1.0", requires=["click"], files={"ledger.py": b"ours = True\n"})
THEIRS = index.wheel("ledger", "9.0", files={"ledger.py": b"raise SystemExit\n"})
CLICK = index.wheel("click", "8.3.0")


@dataclass(frozen=True)
class Shops:
    """An index that everybody may fill, and one of our own that wants a login."""

    public: Index
    private: Index

    def with_login(self) -> str:
        return self.private.url.replace("//", "//${LOGIN}:${SECRET}@")


@pytest.fixture
def shops() -> Iterator[Shops]:
    with index.serve(THEIRS, CLICK) as public, index.serve(OURS, user=f"{USER}:{SECRET}") as private:
        yield Shops(public, private)


def uv_project(shops: Shops, *, explicit: bool = True) -> str:
    return f"""
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["ledger"]
[tool.uv.sources]
ledger = {{ index = "our-shop" }}
[[tool.uv.index]]
name = "our-shop"
url = "{shops.private.url}"
explicit = {"true" if explicit else "false"}
"""


def without_lock(shops: Shops) -> dict[str, str]:
    return {"pyproject.toml": uv_project(shops)}


def of_uv(shops: Shops) -> dict[str, str]:
    files = "".join(
        f"""
[[package]]
name = "{wheel.project}"
version = "{wheel.source.name.split("-")[1]}"
source = {{ registry = "{shop.url}" }}
wheels = [{{ url = "{shop.url.removesuffix("simple")}files/{wheel.filename}", hash = "sha256:{wheel.sha256}" }}]
"""
        for wheel, shop in ((CLICK, shops.public), (OURS, shops.private))
    )
    files = files.replace(
        f'"{shops.private.url}" }}\n', f'"{shops.private.url}" }}\ndependencies = [{{ name = "click" }}]\n'
    )
    own = f"""
[[package]]
name = "shop"
version = "1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "ledger" }}]
[package.metadata]
requires-dist = [{{ name = "ledger", index = "{shops.private.url}" }}]
"""
    return {
        "pyproject.toml": uv_project(shops),
        "uv.lock": f'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n{files}{own}',
    }


def pipfile(shops: Shops) -> dict[str, str]:
    text = f"""
[[source]]
name = "pypi"
url = "{shops.public.url}"
[[source]]
name = "our-shop"
url = "{shops.with_login()}"
[packages]
ledger = {{ version = "*", index = "our-shop" }}
"""
    return {"Pipfile": text}


def pipfile_lock(shops: Shops) -> dict[str, str]:
    default = {
        "ledger": {"version": "==1.0", "hashes": [f"sha256:{OURS.sha256}"], "index": "our-shop"},
        "click": {"version": "==8.3.0", "hashes": [f"sha256:{CLICK.sha256}"], "index": "pypi"},
    }
    sources = [{"name": "pypi", "url": shops.public.url}, {"name": "our-shop", "url": shops.with_login()}]
    return {"Pipfile.lock": json.dumps({"_meta": {"hash": {}, "sources": sources}, "default": default})}


def of_poetry(shops: Shops) -> dict[str, str]:
    text = f"""
[tool.poetry.dependencies]
ledger = {{ version = "*", source = "our-shop" }}
[[tool.poetry.source]]
name = "our-shop"
url = "{shops.private.url}"
priority = "explicit"
"""
    content = poetry_install._content_hashes(tomli.loads(text), "")[0]
    packages = "".join(
        f'[[package]]\nname = "{wheel.project}"\nversion = "{wheel.filename.split("-")[1]}"\ngroups = ["main"]\n'
        f'files = [{{file = "{wheel.filename}", hash = "sha256:{wheel.sha256}"}}]\n{source}\n'
        for wheel, source in (
            (CLICK, ""),
            (OURS, f'[package.source]\ntype = "legacy"\nurl = "{shops.private.url}"\nreference = "our-shop"'),
        )
    )
    end = f'[metadata]\nlock-version = "2.1"\ncontent-hash = "{content}"\n'
    return {"pyproject.toml": text, "poetry.lock": packages + end}


def of_pdm(shops: Shops) -> dict[str, str]:
    text = f"""
[project]
dependencies = ["ledger"]
[[tool.pdm.source]]
name = "our-shop"
url = "{shops.with_login()}"
include_packages = ["led*"]
"""
    packages = "".join(
        f'[[package]]\nname = "{wheel.project}"\nversion = "{wheel.filename.split("-")[1]}"\ngroups = ["default"]\n'
        f'files = [{{file = "{wheel.filename}", hash = "sha256:{wheel.sha256}"}}]\n'
        for wheel in (CLICK, OURS)
    )
    content = pdm_install._content_hash(tomli.loads(text))
    head = '[metadata]\nstrategy = ["inherit_metadata"]\nlock_version = "4.5.0"\n'
    return {"pyproject.toml": text, "pdm.lock": f'{head}content_hash = "sha256:{content}"\n{packages}'}


ENVIRONMENT = {
    "LOGIN": USER,
    "SECRET": SECRET,
    "UV_INDEX_OUR_SHOP_USERNAME": USER,
    "UV_INDEX_OUR_SHOP_PASSWORD": SECRET,
    "POETRY_HTTP_BASIC_OUR_SHOP_USERNAME": USER,
    "POETRY_HTTP_BASIC_OUR_SHOP_PASSWORD": SECRET,
}


@pytest.mark.parametrize(
    ("buildpack", "files"),
    [
        (pyproject.BUILDPACK, without_lock),
        (uv_install.BUILDPACK, of_uv),
        (pipenv_install.BUILDPACK, pipfile),
        (pipenv_install.BUILDPACK, pipfile_lock),
        (poetry_install.BUILDPACK, of_poetry),
        (pdm_install.BUILDPACK, of_pdm),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_package_comes_from_its_index_alone(
    buildpack: Buildpack, files: Callable[[Shops], Mapping[str, str]], shops: Shops, tmp_path: Path
) -> None:
    app = apps.make(tmp_path / "app", files(shops))
    downloader = loaded(app, tmp_path, PIP_INDEX_URL=shops.public.url, **ENVIRONMENT)
    resolves = UvResolver(downloader, tmp_path / "cache" / "uv")
    sources = {source.locator: source for source in locking.pinned(buildpack, tmp_path / "app", resolves)}
    assert {name: (source.name, source.index) for name, source in sources.items()} == {
        "ledger": (OURS.filename, "our-shop"),
        "click": (CLICK.filename, ""),
    }
    fetched = downloader.fetch_all(list(sources.values()), BlobStore(tmp_path / "store"))
    assert fetched[OURS.source.digest].read_bytes() == OURS.content
    assert shops.public.asked("ledger") == 0
    # PDM looks for a package in every source that is not excluded for it.
    assert shops.private.asked("click") == 0 or buildpack is pdm_install.BUILDPACK


def loaded(app: App, folder: Path, **environment: str) -> Downloader:
    settings = index_settings.load(app, environment, home=folder / "home", prefix=folder / "root")
    return Downloader(settings, environment={"HOME": str(folder), **environment}, backoff_s=0.001)


def places(folder: Path, files: Mapping[str, str], **environment: str) -> tuple[list[str], dict[str, str]]:
    """Return the indexes that are asked for everything, and those that are named."""
    found = loaded(apps.make(folder / "app", files), folder, **environment).index
    return [place.url for place in found.indexes], {name: place.url for name, place in found.named.items()}


def sources(key: str, *tables: str) -> str:
    return "".join(f"[[{key}]]\n{table}\n" for table in tables)


PYPI = 'name = "pypi"\nurl = "https://mirror/simple"'
OWN = 'name = "own"\nurl = "https://own/simple"'
MORE = 'name = "more"\nurl = "https://$WHO:${UNKNOWN}@more/simple"'


def test_of_a_pipfile_the_first_source_is_for_all_and_pypi_only_if_nobody_has_a_mirror(tmp_path: Path) -> None:
    files = {"Pipfile": sources("source", OWN, MORE) + "[packages]\n"}
    named = {"own": "https://own/simple", "more": "https://me:${UNKNOWN}@more/simple"}
    assert places(tmp_path, files, PIP_INDEX_URL="https://corp/simple", WHO="me") == (["https://own/simple"], named)
    files = {"Pipfile": sources("source", PYPI) + "[packages]\n"}
    assert places(tmp_path, files)[0] == ["https://mirror/simple"]
    assert places(tmp_path, files, PIP_INDEX_URL="https://corp/simple")[0] == ["https://corp/simple"]
    mirrors = {"PIPENV_PYPI_MIRROR": "https://near/simple", "PIP_INDEX_URL": "https://corp/simple"}
    assert places(tmp_path, files, **mirrors)[0] == ["https://near/simple"]


def test_of_poetry_s_sources_one_may_stand_for_the_public_index(tmp_path: Path) -> None:
    def asked(*tables: str) -> list[str]:
        text = sources("tool.poetry.source", *tables)
        return places(tmp_path, {"pyproject.toml": text, "poetry.lock": ""})[0]

    assert asked(OWN, PYPI.replace("pypi", "x")) == ["https://own/simple"]
    assert asked(f'{OWN}\npriority = "supplemental"', f"{MORE}\nsecondary = true") == []
    assert asked(OWN, 'name = "PyPI"') == []


def test_of_pdm_s_sources_all_are_asked_and_pypi_only_if_nobody_has_a_mirror(tmp_path: Path) -> None:
    links = 'name = "links"\nurl = "https://links"\ntype = "find_links"'
    files = {"pyproject.toml": sources("tool.pdm.source", PYPI, OWN, links), "pdm.lock": ""}
    assert places(tmp_path, files)[0] == ["https://own/simple", "https://mirror/simple"]
    mirrored = places(tmp_path, files, UV_DEFAULT_INDEX="https://corp/simple")[0]
    assert mirrored == ["https://own/simple", "https://corp/simple"]


def test_the_sources_of_a_manager_that_does_not_install_are_not_asked(tmp_path: Path) -> None:
    files = {"pyproject.toml": sources("tool.poetry.source", OWN), "requirements.txt": ""}
    assert places(tmp_path, files) == ([], {})


def test_uv_s_environment_says_where_a_named_index_is(tmp_path: Path) -> None:
    files = {"pyproject.toml": sources("tool.uv.index", f"{OWN}\nexplicit = true")}
    given = places(tmp_path, files, UV_INDEX="own=https://closer/simple", UV_INDEX_OWN_USERNAME="me")[1]
    assert given == {"own": "https://me:@closer/simple"}


def test_a_package_of_an_index_that_nobody_declares_is_ib319(shops: Shops, tmp_path: Path) -> None:
    files = {"Pipfile": '[packages]\nledger = { version = "*", index = "lost" }\n'}
    app = apps.make(tmp_path / "app", files)
    resolves = UvResolver(loaded(app, tmp_path, PIP_INDEX_URL=shops.public.url), tmp_path / "cache")
    with pytest.raises(UsageError, match="the index lost") as caught:
        locking.pinned(pipenv_install.BUILDPACK, tmp_path / "app", resolves)
    assert caught.value.code == "IB319"
    assert shops.public.asked("ledger") == 0


def test_what_an_index_refuses_is_looked_for_nowhere_else(shops: Shops, tmp_path: Path) -> None:
    app = apps.make(tmp_path / "app", pipfile_lock(shops))
    resolves = UvResolver(loaded(app, tmp_path, LOGIN=USER, SECRET="wrong"), tmp_path / "cache")
    with pytest.raises(BuildError, match="the index our-shop shows no ledger") as caught:
        locking.pinned(pipenv_install.BUILDPACK, tmp_path / "app", resolves)
    assert caught.value.code == "IB405"
    assert shops.public.asked("ledger") == 0


def test_a_folder_of_wheels_stands_for_named_indexes_too(shops: Shops, tmp_path: Path) -> None:
    app = apps.make(tmp_path / "app", {**pipfile_lock(shops), "vendor/README": ""})
    for wheel in (OURS, CLICK):
        (tmp_path / "app" / "vendor" / wheel.filename).write_bytes(wheel.content)
    resolves = UvResolver(loaded(app, tmp_path, **ENVIRONMENT), tmp_path / "cache")
    found = locking.pinned(pipenv_install.BUILDPACK, tmp_path / "app", resolves)
    fetched = resolves.downloader.fetch_all(found, BlobStore(tmp_path / "store"))
    assert sorted(fetched) == sorted([OURS.source.digest, CLICK.source.digest])
    assert (shops.private.seen, shops.public.seen) == ([], [])


def test_the_lock_names_the_index_and_no_address(shops: Shops, tmp_path: Path) -> None:
    with world.running(tmp_path) as here:
        app = here.app({"main.py": "", **pipfile(shops)})
        for arguments in (("lock",), ("build", "--locked")):
            ran = here.run(arguments[0], str(app), *arguments[1:], **ENVIRONMENT)
            assert ran.returncode == 0, ran.stderr
            assert SECRET not in ran.stdout + ran.stderr
        assert here.index.asked("ledger") == 0
    text = (app / "imagebuilder.lock").read_text()
    pinned = tomli.loads(text)["platforms"]["linux/amd64"]["buildpacks"]["pipenv-install"]["packages"]
    indexes = {package["name"]: package["wheels"][0].get("index", "") for package in pinned}
    assert indexes == {"click": "", "ledger": "our-shop"}
    assert not [word for word in (SECRET, USER, "127.0.0.1") if word in text]
