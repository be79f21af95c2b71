"""Keyrings, as a program of this name that is made on the spot."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildpacks.api import App
from imagebuilder import index, keyring
from imagebuilder.fetch import Downloader
from imagebuilder.index import IndexSettings, Place
from layers.blobs import BlobStore
from layers.errors import RefusedError
from tests import index as indexes

CLICK = indexes.wheel("click")


def given(folder: Path, script: str) -> dict[str, str]:
    """Make a keyring that runs a script and writes down what it was asked; return what leads to it."""
    program = folder / "keyring"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n{script}\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []


def test_a_keyring_is_asked_for_the_address_and_then_for_the_host_once(tmp_path: Path) -> None:
    environment = given(tmp_path, '[ "$2" = "example.com:8443" ] && echo secret')
    for _ in range(2):
        assert keyring.password("https://ann@example.com:8443/simple", "ann", environment) == "secret"
    assert asked(tmp_path) == ["get https://example.com:8443/simple ann", "get example.com:8443 ann"]


@pytest.mark.parametrize("script", ["exit 1", "", "kill -9 $$"])
def test_a_keyring_without_the_password_gives_none(tmp_path: Path, script: str) -> None:
    assert keyring.password("https://example.com/simple", "ann", given(tmp_path, script)) == ""


def test_no_keyring_gives_no_password(tmp_path: Path) -> None:
    assert keyring.password("https://example.com/simple", "ann", {"PATH": str(tmp_path)}) == ""


@pytest.mark.parametrize(
    ("environment", "file", "text"),
    [
        ({"PIP_KEYRING_PROVIDER": "subprocess"}, "", ""),
        ({"UV_KEYRING_PROVIDER": "subprocess"}, "", ""),
        ({}, ".config/pip/pip.conf", "[global]\nkeyring-provider = subprocess\n"),
        ({}, ".config/uv/uv.toml", 'keyring-provider = "subprocess"\n'),
    ],
)
def test_pip_and_uv_are_told_of_a_keyring_by_variables_and_files(
    tmp_path: Path, environment: Mapping[str, str], file: str, text: str
) -> None:
    if file:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    assert index.load(App(tmp_path), environment, home=tmp_path, prefix=tmp_path).keyring
    assert not index.load(App(tmp_path), {}, home=tmp_path / "other", prefix=tmp_path).keyring


@pytest.mark.parametrize(("told", "user"), [(True, "ann"), (False, "ann"), (True, ""), (True, "ann:own")])
def test_only_who_names_a_user_and_says_so_has_a_keyring_asked(tmp_path: Path, told: bool, user: str) -> None:
    environment = given(tmp_path, "echo secret")
    with indexes.serve(CLICK, user="ann:secret") as shelf:
        url = shelf.url.replace("//", f"//{user}@") if user else shelf.url
        settings = IndexSettings(indexes=(Place(url, "a test"),), public=False, keyring=told)
        downloader = Downloader(settings, environment=environment, backoff_s=0.001)
        if told and user == "ann":
            assert downloader.fetch_all([CLICK.source], BlobStore(tmp_path / "store"))
            assert asked(tmp_path)
        else:
            with pytest.raises(RefusedError, match="401"):
                downloader.fetch_all([CLICK.source], BlobStore(tmp_path / "store"))
            assert not asked(tmp_path)
