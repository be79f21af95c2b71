"""layers.entry: entries that could leave the image, or that no file system can hold, cannot be made."""

from pathlib import Path

import pytest

from layers.entry import Entry, Kind, Stored, directory, file, symlink
from layers.errors import IntegrityError


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "./a",
        "a/.",
        "..",
        "../a",
        "a/../b",
        "a\0b",
        "a" * 256,
        "é" * 128,
        "a/" * 2048 + "a",
    ],
)
def test_an_unsafe_path_is_refused(path: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        directory(path)
    assert caught.value.code == "IB502"
    with pytest.raises(IntegrityError):
        Entry("a", Kind.HARDLINK, 0o644, target=path)


@pytest.mark.parametrize("path", ["a", "a/b", "...", "..a", "a" * 255, "é" * 127, "\udcff", "a b\n"])
def test_a_path_that_linux_holds_is_accepted(path: str) -> None:
    assert file(path, b"").path == path


@pytest.mark.parametrize("path", [".wh.passwd", "etc/.wh..wh..opq", "etc/.wh.d/x"])
def test_a_name_that_would_delete_files_of_other_layers_is_refused(path: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        file(path, b"")
    assert caught.value.code == "IB502"
    assert file("etc/a.wh.b", b"").size == file("etc/.whx", b"").size == 0


def test_the_bytes_of_a_path_survive() -> None:
    assert file("é\udcff", b"").path_bytes == b"\xc3\xa9\xff"


@pytest.mark.parametrize(
    ("kind", "mode", "target"),
    [
        (Kind.FILE, 0o10000, ""),
        (Kind.FILE, -1, ""),
        (Kind.FILE, 0o644, "x"),
        (Kind.SYMLINK, 0o777, ""),
        (Kind.HARDLINK, 0o644, ""),
        (Kind.DIRECTORY, 0o755, "x"),
        (Kind.SYMLINK, 0o777, "a\0b"),
    ],
)
def test_an_impossible_entry_is_refused(kind: Kind, mode: int, target: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        Entry("a", kind, mode, target=target)
    assert caught.value.code == "IB502"


@pytest.mark.parametrize("owner", [-1, 0o10000000])
def test_an_owner_that_a_header_cannot_hold_is_refused(owner: int) -> None:
    with pytest.raises(IntegrityError, match="not a safe"):
        directory("a", uid=owner)
    with pytest.raises(IntegrityError, match="not a safe"):
        directory("a", gid=owner)


def test_an_entry_knows_its_size() -> None:
    assert file("a", b"abc").size == 3
    assert file("a", Stored(Path("x"), 10, 7)).size == 7
    assert file("a", b"", executable=True).mode == 0o755
    assert symlink("a", "../../b").target == "../../b"
