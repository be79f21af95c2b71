"""Entries become files in a folder: the same for every umask and order, and never outside of it."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from layers.entry import Entry, Kind, directory, file, symlink
from layers.errors import IntegrityError
from layers.unpack import unpack

ROOT = Path(__file__).parent.parent.parent
TREE = (
    directory("usr/bin", 0o700),
    file("usr/bin/tool", b"tool", executable=True),
    Entry("usr/bin/again", Kind.HARDLINK, 0o755, target="usr/bin/tool"),
    Entry("etc/closed", Kind.FILE, 0o4620, uid=3, content=b"x" * (3 << 20)),
    symlink("bin", "usr/bin"),
    symlink("etc/passwd", "/../../etc/passwd"),
)


def seen(folder: Path) -> list[tuple[str, int, float, str]]:
    return [
        (
            str(path.relative_to(folder)),
            path.lstat().st_mode,
            path.lstat().st_mtime,
            str(path.readlink()) if path.is_symlink() else "" if path.is_dir() else str(len(path.read_bytes())),
        )
        for path in (folder, *sorted(folder.rglob("*")))
    ]


def test_all_may_read_and_only_the_owner_may_write(tmp_path: Path) -> None:
    unpack(TREE, tmp_path / "root", time_s=1)
    assert seen(tmp_path / "root") == [
        (".", 0o40755, 1, ""),
        ("bin", 0o120777, 1, "usr/bin"),
        ("etc", 0o40755, 1, ""),
        ("etc/closed", 0o100644, 1, "3145728"),
        ("etc/passwd", 0o120777, 1, "/../../etc/passwd"),
        ("usr", 0o40755, 1, ""),
        ("usr/bin", 0o40755, 1, ""),
        ("usr/bin/again", 0o100755, 1, "4"),
        ("usr/bin/tool", 0o100755, 1, "4"),
    ]
    assert (tmp_path / "root/usr/bin/again").samefile(tmp_path / "root/usr/bin/tool")


def test_neither_order_nor_umask_matter(tmp_path: Path) -> None:
    unpack(TREE, tmp_path / "first", time_s=1)
    before = os.umask(0o077)
    try:
        for number, order in enumerate(itertools.islice(itertools.permutations(TREE), 0, 720, 97)):
            unpack(order, tmp_path / str(number), time_s=1)
            assert seen(tmp_path / str(number)) == seen(tmp_path / "first")
    finally:
        os.umask(before)


def hard(path: str, target: str) -> Entry:
    return Entry(path, Kind.HARDLINK, 0o644, target=target)


@pytest.mark.parametrize(
    "entries",
    [
        (symlink("a", "/etc"), file("a/passwd", b"")),
        (symlink("a", ".."), directory("a/b")),
        (symlink("a", "b"), directory("b"), symlink("a/b/c", "d")),
        (file("a", b""), file("a/b", b"")),
        (file("a", b""), file("a", b"")),
        (symlink("a", "/etc/passwd"), file("a", b"")),
        (directory("a"), symlink("a", "b")),
        (hard("a", "b"),),
        (hard("a", "b"), symlink("b", "/etc/passwd")),
        (hard("a", "b"), hard("b", "c"), file("c", b"")),
        (hard("a", "b"), directory("b")),
        (symlink("a", "/etc"), hard("b", "a/passwd")),
    ],
)
def test_what_would_land_elsewhere_is_refused_before_anything_is_written(
    tmp_path: Path, entries: tuple[Entry, ...]
) -> None:
    for order in (entries, entries[::-1]):
        with pytest.raises(IntegrityError, match="cannot unpack") as caught:
            unpack(order, tmp_path / "root", time_s=1)
        assert caught.value.code == "IB865"
    assert not (tmp_path / "root").exists()


def test_nothing_is_unpacked_into_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        unpack(TREE, tmp_path, time_s=1)


def test_names_are_utf8_whatever_the_locale(tmp_path: Path) -> None:
    program = r"""
import sys
from pathlib import Path
from layers.entry import Entry, Kind, file, symlink
from layers.unpack import unpack
name = "\u0151"
hard = Entry("h" + name, Kind.HARDLINK, 0o644, target="f" + name)
entries = (file("f" + name, b"x"), symlink("g" + name, "f" + name), hard, file("d\udcff/i", b"x"))
unpack(entries, Path(sys.argv[1], "root"), time_s=1)
"""
    locale = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=locale, check=True)
    names = [b"d\xff", *(f"{letter}\u0151".encode() for letter in "fgh")]
    assert sorted(os.fsencode(path.name) for path in (tmp_path / "root").iterdir()) == names
    assert (tmp_path / "root/g\u0151").readlink() == Path("f\u0151")
