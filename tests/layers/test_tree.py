import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layers import tree
from layers.entry import Entry, Kind, SourceFile
from layers.errors import StorageError, UsageError

ROOT = Path(__file__).parents[2]


def nothing(_path: str) -> bool:
    return False


def walk(root: Path, ignored: Callable[[str], bool] = nothing) -> dict[str, Entry]:
    return {entry.path: entry for entry in tree.entries(root, at="workspace", ignored=ignored)}


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Give up root's right to read everything, after letting others into the temporary folder."""
    if os.geteuid() != 0:
        yield
        return
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == 0 and parent.is_relative_to("/tmp/pytest-of-root"):
            parent.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_files_folders_and_links_become_entries_sorted_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.py").write_bytes(b"1")
    (tmp_path / "a-c").write_bytes(b"22")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("a/b.py")
    found = walk(tmp_path)
    assert list(found) == ["workspace/a", "workspace/a-c", "workspace/a/b.py", "workspace/empty", "workspace/link"]
    assert found["workspace/empty"].kind is Kind.DIRECTORY
    assert found["workspace/link"].target == "a/b.py"
    assert found["workspace/a-c"].size == 2


def test_only_the_execute_bits_of_a_mode_count(tmp_path: Path) -> None:
    for mode in (0o600, 0o664, 0o710, 0o755, 0o4755, 0o601):
        (tmp_path / f"{mode:o}").write_bytes(b"")
        (tmp_path / f"{mode:o}").chmod(mode)
    (tmp_path / "folder").mkdir(mode=0o700)
    modes = {path.removeprefix("workspace/"): f"{entry.mode:o}" for path, entry in walk(tmp_path).items()}
    assert modes == {
        "600": "644", "664": "644", "710": "755", "755": "755", "4755": "755", "601": "755", "folder": "755",
    }  # fmt: skip


def test_a_file_is_stamped_so_that_a_later_change_is_seen(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    status = (tmp_path / "file").stat()
    content = walk(tmp_path)["workspace/file"].content
    assert content == SourceFile(
        tmp_path, "file", 3, (status.st_dev, status.st_ino, 3, status.st_mtime_ns, status.st_ctime_ns)
    )


def test_bytecode_is_left_out_whatever_the_rules_say(tmp_path: Path) -> None:
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    (tmp_path / "a" / "__pycache__" / "b.cpython-313.pyc").write_bytes(b"")
    (tmp_path / "old.pyc").write_bytes(b"")
    (tmp_path / "old.pyo").write_bytes(b"")
    assert list(walk(tmp_path)) == ["workspace/a"]


def test_names_that_are_not_utf8_or_hold_a_newline_keep_their_bytes(tmp_path: Path) -> None:
    names = [b"latin-\xe9", b"new\nline", "ünï".encode(), b"x" * 255, b" ", b"\\"]
    for name in names:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"")
    found = tree.entries(tmp_path, at="w", ignored=nothing)
    assert [entry.path_bytes for entry in found] == sorted(b"w/" + name for name in names)
    assert all(isinstance(entry.content, SourceFile) and entry.content.path.exists() for entry in found)


def test_the_locale_of_the_builder_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "ünï").write_bytes(b"")
    program = (
        "import pathlib, sys; from layers import tree;"
        "print(ascii([entry.path for entry in tree.entries(pathlib.Path('.'), at='w', ignored=lambda _: False)]))"
    )
    environment = {"PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.stdout.strip() == ascii(["w/ünï"]), ran.stderr


def test_hard_links_are_independent_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert {entry.kind for entry in walk(tmp_path).values()} == {Kind.FILE}


def test_an_ignored_folder_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "skip" / "deep").mkdir(parents=True)
    os.mkfifo(tmp_path / "skip" / "deep" / "fifo")
    (tmp_path / "keep").write_bytes(b"")
    assert list(walk(tmp_path, lambda path: path in ("skip/", "skip"))) == ["workspace/keep"]


def test_a_file_in_an_ignored_folder_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "keep").write_bytes(b"")
    (tmp_path / "build" / "skip").write_bytes(b"")
    assert list(walk(tmp_path, lambda path: path in ("build", "build/skip"))) == ["workspace/build/keep"]


def test_list_files_gives_files_and_links_without_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"")
    (tmp_path / "a-c").symlink_to("a")
    (tmp_path / "d").mkdir()
    assert tree.list_files(tmp_path, ignored=lambda path: path == "d") == ("a-c", "a/b")


@pytest.mark.parametrize("target", ["missing", "./b/../missing", "loop", "../other", "..", "b/../../top"])
def test_links_that_stay_in_the_tree_are_stored_as_they_are(tmp_path: Path, target: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(target)
    assert walk(tmp_path)["workspace/a/loop"].target == target


@pytest.mark.parametrize("target", ["/etc/passwd", "../..", "../../x", "b/../../../x", "../a/../.."])
def test_a_link_that_leaves_the_tree_is_an_error(tmp_path: Path, target: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(target)
    with pytest.raises(UsageError, match="leads out of the application") as caught:
        walk(tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("IB603", 2)
    assert list(walk(tmp_path, lambda path: path == "a/link")) == ["workspace/a"]


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"")
    (tmp_path / "b").symlink_to("a")
    assert list(walk(tmp_path)) == ["workspace/a", "workspace/a/file", "workspace/b"]


def test_a_fifo_and_a_socket_are_errors(tmp_path: Path) -> None:
    for name in ("fifo", "socket"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "fifo":
            os.mkfifo(folder / name)
        else:
            listener = socket.socket(socket.AF_UNIX)
            descriptor = os.open(folder, os.O_PATH)
            listener.bind(f"/proc/self/fd/{descriptor}/{name}")
            os.close(descriptor)
            listener.close()
        with pytest.raises(UsageError, match=f"neither a file, a folder nor a link: '{name}'") as caught:
            walk(folder)
        assert caught.value.code == "IB604"


def test_a_folder_that_cannot_be_read_is_an_error_of_storage(tmp_path: Path) -> None:
    (tmp_path / "app" / "secret").mkdir(parents=True)
    (tmp_path / "app" / "secret").chmod(0o000)
    with as_nobody(tmp_path / "app"), pytest.raises(StorageError, match="cannot list 'secret'") as caught:
        walk(tmp_path / "app")
    assert (caught.value.code, caught.value.exit_code) == ("IB605", 7)


def test_a_root_that_is_missing_or_no_folder_is_an_error_of_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(UsageError, match="no such folder") as caught:
            walk(root)
        assert caught.value.code == "IB606"


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"")
    (tmp_path / "alias").symlink_to("real")
    assert list(walk(tmp_path / "alias")) == ["workspace/file"]


@pytest.mark.parametrize("kind", ["folder removed", "folder becomes a link", "folder becomes a file"])
def test_what_changes_while_it_is_listed_is_an_error(tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder").mkdir()

    def change(path: str) -> bool:
        if path == "folder":
            (tmp_path / "folder").rmdir()
            if kind == "folder becomes a link":
                (tmp_path / "folder").symlink_to("/etc")
            elif kind == "folder becomes a file":
                (tmp_path / "folder").write_bytes(b"")
        return False

    with pytest.raises(StorageError, match="changed while it was listed: 'folder'") as caught:
        walk(tmp_path, change)
    assert (caught.value.code, caught.value.exit_code) == ("IB602", 7)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "link").symlink_to("/")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UsageError):
        walk(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_deep_trees_are_walked(tmp_path: Path) -> None:
    place = tmp_path
    for _ in range(300):
        place /= "d"
        place.mkdir()
    assert len(walk(tmp_path)) == 300
