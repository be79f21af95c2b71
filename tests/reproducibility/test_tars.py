"""The reader of tars: all forms that tools write, every field, and whatever is damaged or hostile."""

import os
import shutil
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.errors import IntegrityError
from reproducibility import tars
from reproducibility.listing import Listing, Member
from tests.reproducibility.subjects import Item, file, folder, hardlink, symlink, tar

LONG = f"{'long' * 30}/{'name' * 20}"


@contextmanager
def listed(folder: Path, content: bytes, *, most: int = 1000) -> Iterator[Listing]:
    path = folder / "tar"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield tars.read(descriptor, len(content), most=most)
    finally:
        os.close(descriptor)


def only(folder: Path, content: bytes) -> Member:
    with listed(folder, content) as listing:
        (member,) = listing.members.values()
        return member


def header(item: Item, form: int = tarfile.USTAR_FORMAT) -> bytearray:
    return bytearray(tar([item], form)[:512])


def signed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_field_is_read_in_every_form(tmp_path: Path, form: int) -> None:
    def own(info: tarfile.TarInfo) -> None:
        info.uid, info.gid, info.uname, info.gname = 65532, 7, "nobody", "users"

    items = [
        folder("opt", 0o1777),
        file("./opt/a", "hello", mode=0o4755, mtime=77, change=own),
        symlink("opt/l", "../x"),
    ]
    items.append(hardlink("opt/h", "./opt/a"))
    with listed(tmp_path, tar(items, form)) as listing:
        assert list(listing.members) == ["opt", "opt/a", "opt/l", "opt/h"]
        one = listing.members["opt/a"]
        assert (one.kind, one.meta.mode, one.mtime, one.size) == ("file", 0o4755, "77", 5)
        assert (one.meta.uid, one.meta.gid, one.meta.uname, one.meta.gname) == (65532, 7, "nobody", "users")
        assert one.content.read() == b"hello"
        assert (listing.members["opt"].kind, listing.members["opt"].meta.mode) == ("folder", 0o1777)
        assert (listing.members["opt/l"].kind, listing.members["opt/l"].link) == ("symbolic link", "../x")
        assert (listing.members["opt/h"].kind, listing.members["opt/h"].link) == ("hard link", "opt/a")
        assert one.meta.style.leading == b"./"


@pytest.mark.parametrize(
    ("form", "name"), [(tarfile.USTAR_FORMAT, "ustar"), (tarfile.GNU_FORMAT, "gnu"), (tarfile.PAX_FORMAT, "pax")]
)
def test_long_names_and_targets_are_read_in_every_form(tmp_path: Path, form: int, name: str) -> None:
    target = LONG if form != tarfile.USTAR_FORMAT else "x" * 100
    with listed(tmp_path, tar([file(LONG, "x"), symlink("é" * 40, target)], form)) as listing:
        assert [(path, member.link) for path, member in listing.members.items()] == [(LONG, ""), ("é" * 40, target)]
        assert listing.members[LONG].meta.form == name


def test_large_numbers_and_fractions_are_read(tmp_path: Path) -> None:
    def own(info: tarfile.TarInfo) -> None:
        info.uid = 1 << 40

    gnu = only(tmp_path, tar([file("a", change=own, mtime=-5)], tarfile.GNU_FORMAT))
    assert (gnu.meta.uid, gnu.mtime) == (1 << 40, "-5")
    pax = only(tmp_path, tar([file("a", change=own, mtime=1.25)], tarfile.PAX_FORMAT))
    assert (pax.meta.uid, pax.mtime) == (1 << 40, "1.25")


@pytest.mark.parametrize(
    ("text", "seconds"), [("7.500", "7.5"), ("7.000", "7"), ("7.", "7"), ("700", "700"), ("x", "x")]
)
def test_a_fraction_is_told_without_the_zeros_at_its_end(tmp_path: Path, text: str, seconds: str) -> None:
    assert only(tmp_path, tar([file("a", pax={"mtime": text})], tarfile.PAX_FORMAT)).mtime == seconds


def test_attributes_stay_with_their_member(tmp_path: Path) -> None:
    pax = {"SCHILY.xattr.user.x": "1", "ctime": "5"}
    with listed(tmp_path, tar([file("a", pax=pax), file("b")], tarfile.PAX_FORMAT, {"comment": "all"})) as listing:
        assert listing.members["a"].records == (("SCHILY.xattr.user.x", b"1"), ("ctime", b"5"))
        assert listing.members["b"].records == ()
        assert listing.common == (("comment", b"all"),)


def test_the_form_before_posix_is_read(tmp_path: Path) -> None:
    block = header(file("old/"))
    block[156:157] = b"\0"
    block[257:512] = bytes(255)
    member = only(tmp_path, signed(block) + bytes(1024))
    assert (member.path, member.kind, member.meta.form) == ("old", "folder", "v7")


def test_devices_and_pipes_are_facts(tmp_path: Path) -> None:
    def number(info: tarfile.TarInfo) -> None:
        info.devmajor, info.devminor = 1, 3

    items = [Item("null", kind=tarfile.CHRTYPE, change=number), Item("pipe", kind=tarfile.FIFOTYPE)]
    with listed(tmp_path, tar(items)) as listing:
        assert [(each.kind, each.meta.device) for each in listing.members.values()] == [
            ("character device", "1:3"),
            ("pipe", ""),
        ]


def test_names_that_are_no_utf8_and_odd_names_are_facts(tmp_path: Path) -> None:
    items = [file("caf\udce9"), file("/abs"), folder("./"), file(".hidden"), file("a//b")]
    with listed(tmp_path, tar(items)) as listing:
        assert list(listing.members) == ["caf\udce9", "abs", ".", ".hidden", "a//b"]


def test_of_entries_with_one_path_the_last_counts_and_the_others_are_kept(tmp_path: Path) -> None:
    with listed(tmp_path, tar([file("a", "1"), file("b"), file("a", "22"), file("a", "333")])) as listing:
        assert listing.members["a"].size == 3
        assert list(listing.members) == ["b", "a"]
        assert [each.size for each in listing.earlier["a"]] == [1, 2]


def test_padding_behind_the_end_is_kept(tmp_path: Path) -> None:
    content = tar([file("a")])
    with listed(tmp_path, content[:1024]) as short, listed(tmp_path, content) as long:
        assert (short.tail.size, long.tail.size) == (512, len(content) - 512)
    with listed(tmp_path, content[:512]) as none:
        assert none.tail.size == 0


@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_gnu_tar_writes_is_read(tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_bytes(b"content")
    (source / "link").symlink_to("deep/file")
    os.link(source / "deep" / "file", source / "hard")
    with (source / "sparse").open("wb") as sparse:
        for place in range(30):
            sparse.seek(place * 100_000)
            sparse.write(b"x" * 5000)
    arguments = ["tar", f"--format={form}", "-cf", "-", "-C", source, "--sort=name"]
    if form == "posix":
        arguments.append("--sparse")
    with listed(tmp_path, subprocess.run([*arguments, "."], check=True, capture_output=True).stdout) as listing:
        assert list(listing.members) == [".", "deep", "deep/file", "hard", "link", "sparse"]
        assert listing.members["deep/file"].content.read() == b"content"
        assert listing.members["hard"].link == "deep/file"
        assert listing.members["sparse"].kind == "file"


def of_type(kind: bytes) -> bytes:
    block = header(file("a"))
    block[156:157], block[257:265] = kind, b"ustar  \0"
    return signed(block) + bytes(1024)


def in_two_parts(prefix: bytes) -> bytes:
    block = header(file("a"))
    block[345 : 345 + len(prefix)] = prefix
    return signed(block) + bytes(1024)


DAMAGED = {
    "cut in a file": tar([file("a", "x" * 2000)])[:1500],
    "cut in a header": tar([file("a", "x")])[:300],
    "cut in a long name": tar([file(LONG)], tarfile.GNU_FORMAT)[:600],
    "cut in records": tar([file(LONG)], tarfile.PAX_FORMAT)[:520],
    "no tar": b"not a tar at all" * 64,
    "wrong length": tar([file("a")], tarfile.PAX_FORMAT, {"x": "y"}).replace(b"6 x=y\n", b"9 x=y\n"),
    "no equals": tar([file("a", pax={"x": "y"})], tarfile.PAX_FORMAT).replace(b"6 x=y\n", b"6 x y\n"),
    "no number": tar([file("a", pax={"size": "1x"})], tarfile.PAX_FORMAT),
    "negative size": tar([file("a", pax={"size": "-600"})], tarfile.PAX_FORMAT),
    "huge size": tar([file("a", pax={"size": "9" * 19})], tarfile.PAX_FORMAT),
    "huge number": tar([file("a", pax={"uid": "9" * 5000})], tarfile.PAX_FORMAT),
    "long path": tar([file("a/" * 2500)], tarfile.PAX_FORMAT),
    "long target": tar([symlink("a", "b/" * 2500)], tarfile.GNU_FORMAT),
    "headers without a member": tar([file("a", pax={"x": "y"})], tarfile.PAX_FORMAT)[:1024] * 40,
    "a way up": tar([file("../up")]),
    "a way up in the middle": tar([file("a/../../up")]),
    "overlong": tar([file("a\udcc0\udcaf")]),
    "no name": tar([file("")]),
    "sparse": of_type(b"S"),
    "of no type": of_type(b"V"),
    "in two parts": in_two_parts(b"b"),
    "in another encoding": tar([file("a", pax={"hdrcharset": "ISO-IR 8859 1 1998"})], tarfile.PAX_FORMAT),
    "holes beside its content": tar([file("a", pax={"GNU.sparse.map": "0,5"})], tarfile.PAX_FORMAT),
    "two sizes": tar([file("a", "xxxxx", pax={"size": "3"})], tarfile.PAX_FORMAT),
    "two headers": tar([file("a", pax={"x": "y"})], tarfile.PAX_FORMAT)[:1024]
    + tar([file("a", pax={"z": "y"})], tarfile.PAX_FORMAT),
    "a second archive": tar([file("a")]) + tar([file("b")]),
    "huge record": tar([file("a", pax={"x": "y" * (1 << 20)})], tarfile.PAX_FORMAT),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(IntegrityError) as caught, listed(tmp_path, content):
        pass
    assert caught.value.code == "IB800"


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    for start in (100, 124, 136):
        block = header(file("a"))
        block[start : start + 4] = b"zzzz"
        with pytest.raises(IntegrityError, match="is no number"), listed(tmp_path, signed(block) + bytes(1024)):
            pass


def test_a_negative_size_is_refused(tmp_path: Path) -> None:
    block = header(file("a"))
    block[124:136] = b"\xff" * 12
    with pytest.raises(IntegrityError, match="cut off"), listed(tmp_path, signed(block) + bytes(1024)):
        pass


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    content = tar([file(str(number)) for number in range(12)])
    with listed(tmp_path, content, most=12) as listing:
        assert len(listing.members) == 12
    with pytest.raises(IntegrityError, match="more than 11"), listed(tmp_path, content, most=11):
        pass


def test_members_take_little_memory(tmp_path: Path) -> None:
    content = tar([file(f"{'x' * 80}{number}") for number in range(2000)])
    with listed(tmp_path, content, most=2000):
        tracemalloc.start()
        with listed(tmp_path, content, most=2000) as listing:
            used, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert len(listing.members) == 2000
            assert used < 2000 * 500


def test_a_path_that_is_there_very_often_takes_no_longer(tmp_path: Path) -> None:
    one = tar([file("a")])[:512]
    with listed(tmp_path, one * 60_000 + bytes(1024), most=60_000) as listing:
        assert len(listing.earlier["a"]) == 59_999


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 5000), change=st.binary(min_size=1, max_size=40))
def test_damage_anywhere_is_read_or_refused(tmp_path: Path, place: int, change: bytes) -> None:
    content = bytearray(tar([file("a", "x" * 700, pax={"a.b": "c"}), symlink("l", "t")], tarfile.PAX_FORMAT))
    content[place : place + len(change)] = change
    try:
        with listed(tmp_path, bytes(content)) as listing:
            for member in listing.members.values():
                assert len(member.content.read()) == member.size
    except IntegrityError as error:
        assert error.code == "IB800"


def test_a_member_says_where_it_is_not_what_it_is_called(tmp_path: Path) -> None:
    with listed(tmp_path, tar([file("a", "1"), file("b", "1")])) as listing:
        one, other = listing.members.values()
        assert one.meta is other.meta
        assert replace(one, path="b", offset=other.offset) == other
