"""layers.tar: the same tar for any order of entries, and one that other tools read as it was meant."""

import io
import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import tar
from layers.digest import Digest
from layers.entry import Entry, Kind, SourceFile, Stored, directory, file, symlink
from layers.errors import IntegrityError

PARTS = st.binary(min_size=1, max_size=120).filter(
    lambda part: not {0, ord("/")} & set(part) and part not in (b".", b"..")
)
PATHS = st.lists(PARTS, min_size=1, max_size=5).map(lambda parts: os.fsdecode(b"/".join(parts)))
FILES = st.dictionaries(PATHS, st.tuples(st.binary(max_size=1100), st.booleans()), max_size=8).map(
    lambda files: {
        path: value for path, value in files.items() if not any(other.startswith(f"{path}/") for other in files)
    }
)

LONG = "/".join(["x" * 120, "y" * 250, "z"])
ENTRIES = (
    file("bin/tool", b"#!/bin/sh\n", executable=True),
    directory("empty", 0o1777),
    file("lib/b.py", b"x" * 512),
    file("lib/a.py", b""),
    symlink("lib/link", "../bin/tool"),
    symlink("long-link", "t" * 180),
    file("p" * 80 + "/" + "q" * 80, b"prefix"),
    file(LONG, b"long"),
    file("näme", b"utf-8"),
    file("raw\udcff", b"bytes"),
    Entry("home", Kind.DIRECTORY, 0o750, 65532, 65532),
    Entry("lib/0", Kind.HARDLINK, 0o644, target="lib/b.py"),
)


def written(*entries: Entry) -> bytes:
    return b"".join(tar.chunks(tar.ordered(entries)))


def opened(content: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape")


def test_the_bytes_are_those_of_output_format_1() -> None:
    assert (
        Digest.of(written(*ENTRIES)).value == "sha256:9c22afe84616549623e9c8113556124118d11d05e880f5acbdf01d08055eaac2"
    )
    assert Digest.of(written()) == Digest.of(bytes(1024))


@given(st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(shuffled: random.Random) -> None:
    entries = list(ENTRIES)
    shuffled.shuffle(entries)
    assert written(*entries) == written(*ENTRIES)


@given(FILES)
def test_python_reads_what_was_written(files: dict[str, tuple[bytes, bool]]) -> None:
    content = written(*(file(path, content, executable=executable) for path, (content, executable) in files.items()))
    with opened(content) as archive:
        read = {}
        for member in archive:
            assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", tar.MTIME)
            if member.isdir():
                assert member.mode == 0o755
            else:
                stream = archive.extractfile(member)
                assert stream is not None
                read[member.name] = (stream.read(), member.mode == 0o755)
    assert read == files


def test_paths_are_sorted_by_their_bytes_and_parents_come_first() -> None:
    with opened(written(file("a/b/c", b""), file("a-b", b""), file("a/é", b""), file("a/z", b""))) as archive:
        assert archive.getnames() == ["a", "a-b", "a/b", "a/b/c", "a/z", "a/é"]


def test_gnu_tar_extracts_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "xf", "-", "-C", tmp_path / "out", "--no-same-owner"], input=written(*ENTRIES), check=True)
    for entry in ENTRIES:
        path = tmp_path / "out" / entry.path
        if entry.kind is Kind.SYMLINK:
            assert str(path.readlink()) == entry.target
        elif entry.kind is Kind.FILE:
            assert path.read_bytes() == entry.content
            assert path.stat().st_mode & 0o777 == entry.mode
            assert path.stat().st_mtime == tar.MTIME
        elif entry.kind is Kind.HARDLINK:
            assert path.samefile(tmp_path / "out" / entry.target)


def test_a_file_of_more_than_8_gib_has_its_size_in_a_pax_header(tmp_path: Path) -> None:
    size = (8 << 30) + 5
    large = file("large", Stored(Path("nowhere"), 0, size))
    header, content, end = tar.pieces([large])
    assert content is large.content
    path = tmp_path / "a.tar"
    with path.open("wb") as target:
        assert isinstance(header, bytes)
        target.write(header)
        target.truncate(len(header) + size)
        target.seek(0, os.SEEK_END)
        assert isinstance(end, bytes)
        target.write(end)
    with tarfile.open(path) as archive:
        assert [(member.name, member.size, member.pax_headers) for member in archive] == [
            ("large", size, {"size": str(size)})
        ]
    listed = subprocess.run(["tar", "tvf", path], check=True, capture_output=True, text=True).stdout
    assert f" {size} " in listed


@pytest.mark.parametrize("length", [99, 100, 101, 102])
@pytest.mark.parametrize("make", [lambda path: file(path, b"x"), directory, lambda path: symlink("a", path)])
def test_names_around_the_limits_of_ustar_survive(length: int, make: type[Entry]) -> None:
    for path in ("n" * length, "d" * 155 + "/" + "n" * length, "d" * 156 + "/" + "n" * length):
        entry = make(path)
        with opened(written(entry)) as archive:
            member = archive.getmembers()[-1]
            assert (member.name, member.linkname) == (entry.path, entry.target)
            plain = max(map(len, path.split("/"))) <= 99 or (path == "n" * 100 and not member.isdir())
            assert not plain or not member.pax_headers


def test_equal_entries_are_kept_once() -> None:
    assert written(file("a", b"1"), file("a", b"1"), directory("d"), file("d/x", b"")) == written(
        directory("d"), file("d/x", b""), file("a", b"1")
    )


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ((file("a", b"1"), file("a", b"2")), "two different entries for 'a'"),
        ((file("a", b"1"), directory("a")), "two different entries"),
        ((directory("a"), directory("a", 0o700)), "two different entries"),
        ((file("é", b"1"), file("\udcc3\udca9", b"2")), "two different entries"),
        ((file("a/b/c", b""), file("a", b"")), "'a/b/c' lies below 'a'"),
        ((file("a/b", b""), symlink("a", "/etc")), "'a/b' lies below 'a'"),
        ((Entry("a", Kind.HARDLINK, 0o644, target="b"),), "leads to no file"),
        ((Entry("a", Kind.HARDLINK, 0o644, target="a"),), "leads to no file"),
        ((Entry("a", Kind.HARDLINK, 0o644, target="b"), directory("b")), "leads to no file"),
        ((Entry("a", Kind.HARDLINK, 0o644, target="b"), symlink("b", "/etc/passwd")), "leads to no file"),
    ],
)
def test_entries_that_contradict_each_other_are_refused(entries: tuple[Entry, ...], what: str) -> None:
    for order in (entries, entries[::-1]):
        with pytest.raises(IntegrityError, match=what) as caught:
            tar.ordered(order)
        assert caught.value.code == "IB514"


def test_it_does_not_matter_which_name_of_a_hard_linked_file_came_first() -> None:
    def linked(first: str, *others: str) -> bytes:
        links = [Entry(path, Kind.HARDLINK, 0o644, target=first) for path in others]
        return written(*links, file(first, b"content", executable=True))

    assert linked("a", "b", "c") == linked("b", "c", "a") == linked("c", "a", "b")
    chain = written(
        file("c", b"content", executable=True),
        Entry("b", Kind.HARDLINK, 0, target="c"),
        Entry("a", Kind.HARDLINK, 0, target="b"),
    )
    assert chain == linked("a", "b", "c")
    with opened(chain) as archive:
        assert [(member.name, member.linkname, member.mode) for member in archive] == [
            ("a", "", 0o755),
            ("b", "a", 0o755),
            ("c", "a", 0o755),
        ]


def test_a_source_file_is_written_with_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"content")
    status = path.stat()
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    assert written(file("a", SourceFile(path.parent, path.name, 7, stamp))) == written(file("a", b"content"))
