"""Scratch folders are there while they are needed, and only then."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from layers import scratch
from layers.errors import StorageError


def test_a_scratch_folder_lasts_as_long_as_its_block(tmp_path: Path) -> None:
    with scratch.folder(tmp_path / "scratch") as first, scratch.folder(tmp_path / "scratch") as second:
        assert first != second
        (first / "file").write_text("x")
        assert first.is_dir()
    assert not first.exists()
    assert not second.exists()


def test_a_scratch_folder_is_deleted_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), scratch.folder(tmp_path) as made:
        raise KeyError
    assert not made.exists()


def _die_in_a_block(root: Path) -> None:
    with scratch.folder(root) as made:
        (made / "large").write_text("left behind")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_is_deleted_by_the_next(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_in_a_block, args=(tmp_path,))
    process.start()
    process.join()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] != []
    with scratch.folder(tmp_path) as made:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [made]


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught, scratch.folder(tmp_path / "file" / "scratch"):
        pass
    assert caught.value.code == "IB601"


@pytest.mark.parametrize("name", ["n", "n" * 200])
def test_what_lies_too_deep_for_a_path_is_deleted(tmp_path: Path, name: str) -> None:
    with scratch.folder(tmp_path) as made:
        (made / "deleted-0").mkdir()
        _nest(made, name, 3000)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def _nest(folder: Path, name: str, depth: int) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(depth):
            Path(name).mkdir()
            os.chdir(name)
    finally:
        os.chdir(before)


def test_what_is_closed_to_its_owner_is_deleted(tmp_path: Path) -> None:
    with scratch.folder(tmp_path) as made:
        closed = made / "a/closed/folder"
        closed.mkdir(parents=True)
        (closed / "file").write_bytes(b"12345")
        (closed / "link").symlink_to(tmp_path)
        for path in (closed, closed.parent):
            path.chmod(0)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_what_cannot_be_deleted_keeps_nobody_from_working(tmp_path: Path) -> None:
    (tmp_path / "0-0").write_text("a file where a folder would be")
    with scratch.folder(tmp_path) as made:
        assert made.is_dir()
