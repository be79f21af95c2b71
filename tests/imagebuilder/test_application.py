"""The layers of the application: what makes them be made anew."""

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


def keys(folder: Path) -> dict[str, Mapping[str, Json]]:
    """Return the keys of the layers by their names."""
    request = BuildRequest(folder, "app", Platform("linux", "amd64"))
    return {spec.name: spec.key for spec in application.layers(request, Progress())}


def key(folder: Path) -> Mapping[str, Json]:
    """Wait until the times of the files say something, and return the key of the only layer."""
    time.sleep(0.05)
    (found,) = keys(folder).values()
    return found


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
    assert keys(folder) == {"application": {}}


def test_of_a_large_application_each_layer_has_its_own_key(folder: Path) -> None:
    for number in range(65):
        with (folder / f"{number}.bin").open("wb") as file:
            file.truncate(1 << 20)
    time.sleep(0.05)
    first = keys(folder)
    assert list(first) == ["application folders", "application files 0", "application files 1"]
    assert len({str(each) for each in first.values()}) == 3
    (folder / "7.bin").touch()
    young = keys(folder)
    assert [name for name in first if young[name] != first[name]] == [
        name for name in first if young[name] == {}
    ] == ["application files 0"]  # fmt: skip
    time.sleep(0.05)
    assert keys(folder)["application files 0"] not in ({}, first["application files 0"])
    (folder / "another").mkdir()
    assert [name for name, each in keys(folder).items() if each != first[name]] == [
        "application folders",
        "application files 0",
    ]


def test_a_time_that_is_round_says_less() -> None:
    assert is_settled(12_345_678_901, 12_445_678_901)
    assert not is_settled(12_345_678_901, 12_350_000_000)
    assert not is_settled(12 * _SECOND, 13 * _SECOND)
    assert is_settled(12 * _SECOND, 15 * _SECOND)
    assert not is_settled(12_345_678_901, 2 * _SECOND)  # the clock went back


def test_the_application_is_listed_once_for_detection_and_its_layers_until_it_is_to_be_listed_again(
    folder: Path,
) -> None:
    asked: list[str] = []

    def ignored(path: str) -> bool:
        asked.append(path)
        return False

    request = BuildRequest(folder, "app", Platform("linux", "amd64"), ignored=ignored)
    assert request.app.files == ("link", "main.py", "package/part.py")
    assert request.app.glob("*.py") == ("main.py",)
    assert len(list(application.layers(request, Progress()))) == 1
    assert sorted(asked) == sorted({*asked})
    (folder / "later.py").write_text("")
    request.app.list_again()
    assert "later.py" in request.app.files
    (spec,) = application.layers(request, Progress())
    assert "workspace/later.py" in [each.path for each in spec.entries({})]
