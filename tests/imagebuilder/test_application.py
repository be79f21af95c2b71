"""The layer of the application: what makes it be made anew."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from imagebuilder import application
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest
from layers.canonical import Json
from layers.content import is_settled
from layers.descriptor import Platform

_SECOND = 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "part.py").write_text("ONE = 1\n")
    (folder / "main.py").write_text("import package\n")
    (folder / "link").symlink_to("main.py")
    return folder


def key(folder: Path) -> Mapping[str, Json]:
    """Wait until the times of the files say something, and return the key."""
    time.sleep(0.05)
    return application.layer(BuildRequest(folder, "app", Platform("linux", "amd64")), "workspace", Progress()).key


def rewritten(path: Path) -> None:
    status = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def relinked(path: Path) -> None:
    path.unlink()
    path.symlink_to("package/part.py")


def copied(folder: Path) -> None:
    folder.rename(f"{folder}.old")
    shutil.copytree(f"{folder}.old", folder, symlinks=True)


CHANGES: dict[str, Callable[[Path], object]] = {
    "touched": lambda folder: (folder / "main.py").touch(),
    "rewritten": lambda folder: rewritten(folder / "package" / "part.py"),
    "executable": lambda folder: (folder / "main.py").chmod(0o755),
    "another link": lambda folder: relinked(folder / "link"),
    "one more": lambda folder: (folder / "empty").mkdir(),
    "one less": lambda folder: (folder / "main.py").unlink(),
    "copied": copied,
}


def test_the_key_is_the_same_as_long_as_nothing_changes(folder: Path) -> None:
    first = key(folder)
    assert first
    os.utime(folder)  # of folders only what is in them is in the image
    assert key(folder) == first


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_whatever_changes_gives_another_key(folder: Path, change: Callable[[Path], object]) -> None:
    first = key(folder)
    change(folder)
    assert key(folder) not in ({}, first)


def test_a_file_that_may_change_again_in_the_same_moment_gives_no_key(folder: Path) -> None:
    assert key(folder)
    (folder / "main.py").touch()
    assert application.layer(BuildRequest(folder, "app", Platform("linux", "amd64")), "app", Progress()).key == {}


def test_a_time_that_is_round_says_less() -> None:
    assert is_settled(12_345_678_901, 12_445_678_901)
    assert not is_settled(12_345_678_901, 12_350_000_000)
    assert not is_settled(12 * _SECOND, 13 * _SECOND)
    assert is_settled(12 * _SECOND, 15 * _SECOND)
    assert not is_settled(12_345_678_901, 2 * _SECOND)  # the clock went back
