"""layers.zip: what it reads, and the archives it refuses because two tools could read them differently."""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.content import Reader
from layers.errors import IntegrityError
from layers.zip import Member, read_zip
from tests import wheels

CONTENT = b"some text " * 100


def archive(tmp_path: Path, **members: bytes) -> Path:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as writer:
        for name, content in (members or {"one": CONTENT, "two": b"2"}).items():
            wheels.add(writer, name, content)
    return path


def read(member: Member) -> bytes:
    return b"".join(Reader().read(member.content()))


def changed(path: Path, change: Callable[[bytearray], object]) -> Path:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def refused(path: Path, what: str) -> None:
    with pytest.raises(IntegrityError, match=what) as caught:
        read_zip(path)
    assert caught.value.code == "IB510"


def test_members_are_read_as_zipfile_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as writer:
        writer.mkdir("folder")
        wheels.add(writer, "folder/deflated", CONTENT)
        wheels.add(writer, "tool", b"#!", mode=stat.S_IFREG | 0o700)
        writer.writestr("stored", CONTENT)
        writer.writestr("näme", b"")
    members = read_zip(path)
    assert [(member.name, member.executable, member.deflated) for member in members] == [
        ("folder/deflated", False, True),
        ("tool", True, True),
        ("stored", False, False),
        ("näme", False, False),
    ]
    assert [read(member) for member in members] == [CONTENT, b"#!", CONTENT, b""]


def test_many_small_members_take_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {f"member{number}": b"%d " % number * number for number in range(300)}
    path, pread, reads = archive(tmp_path, **contents), os.pread, []

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        reads.append(offset)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    members = read_zip(path)
    with closing(Reader()) as reader:
        assert {member.name: b"".join(reader.read(member.content())) for member in members} == contents
    assert len(reads) < len(members) / 3


def test_data_descriptors_of_a_packer_that_cannot_seek_are_read(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("one", CONTENT)
        with writer.open("two", "w", force_zip64=True) as member:
            member.write(CONTENT)
    path = tmp_path / "a.zip"
    path.write_bytes(pipe.getvalue())
    assert [read(member) for member in read_zip(path)] == [CONTENT, CONTENT]
    position = path.read_bytes().index(b"PK\7\x08") + 4
    changed(path, lambda content: content.__setitem__(position, content[position] ^ 1))
    refused(path, "two descriptions")


def test_zip64_members_and_end_records_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as writer:
        for name in ("one", "two", "three"):
            with writer.open(name, "w", force_zip64=True) as member:
                member.write(CONTENT)
    assert b"PK\6\6" in path.read_bytes()
    assert [read(member) for member in read_zip(path)] == [CONTENT] * 3
    position = path.read_bytes().index(b"PK\6\6")
    changed(path, lambda content: content.__setitem__(slice(position + 4, position + 5), b"\xff"))
    refused(path, "zip64 end record")


def test_a_zip64_field_that_repeats_small_sizes_is_read_and_one_that_lies_is_not(tmp_path: Path) -> None:
    """Bazel writes such fields into the local headers of wheels."""
    name, size = b"one", len(CONTENT)
    for claimed in (size, size + 1):
        extra = struct.pack("<HHQQ", 1, 16, claimed, size)
        fixed = (20, 0, 0, 0, 33, zlib.crc32(CONTENT), size, size, len(name))
        local = struct.pack("<4s5H3L2H", b"PK\3\4", *fixed, len(extra)) + name + extra + CONTENT
        central = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *fixed, 0, 0, 0, 0, 0, 0) + name
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
        path = tmp_path / "a.zip"
        path.write_bytes(local + central + end)
        if claimed == size:
            assert read(read_zip(path)[0]) == CONTENT
        else:
            refused(path, "zip64 field")


@pytest.mark.parametrize(
    "name", ["../up", "/root", "a/../../b", "a//b", "./a", "a\\b", "a\nb", "a\x1b[0m", "a\x85", ".."]
)
def test_an_unsafe_name_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as writer:
        writer.writestr("x" * len(name.encode()), b"")
        writer.filelist[0].flag_bits |= 0x800
    flagged = path.read_bytes().replace(b"x" * len(name.encode()), name.encode())
    local = bytearray(flagged)
    local[6:8] = (0x800).to_bytes(2, "little")
    path.write_bytes(local)
    refused(path, "unsafe name")


def test_a_name_in_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, aaaa=b"")
    path.write_bytes(path.read_bytes().replace(b"aaaa", "aé\x00".encode()[:3] + b"a"))
    refused(path, "unsafe name")


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFCHR | 0o644, stat.S_IFDIR | 0o755]
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as writer:
        wheels.add(writer, "link", b"/etc/passwd", mode=mode)
    refused(path, "link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["one", "one/"])
def test_two_members_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as writer:
        writer.writestr("one", b"1")
        writer.writestr(second, b"")
    refused(path, "same name")


def cut(content: bytearray, *, at: int, insert: bytes = b"x") -> None:
    content[at:at] = insert


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda content: cut(content, at=0), "not where the end record says|too early"),
        (lambda content: content.extend(b"x"), "end record"),
        (lambda content: content.__setitem__(slice(-2, None), b"\1\0\n"), "end record"),
        (lambda content: content.__setitem__(slice(-2, None), b"\2\0x"), "end record"),
        (lambda content: content.__setitem__(slice(-14, -10), b"\1\0\1\0"), "damaged|no member"),
        (lambda content: content.__setitem__(slice(-18, -16), b"\1\0"), "several parts"),
        (lambda content: cut(content, at=content.index(b"PK\1\2")), "not where|too early"),
        (lambda content: content.__delitem__(slice(0, 20)), "not where|too early"),
        (lambda content: content.__delitem__(slice(10, None)), "end record"),
        (lambda content: content.clear(), "end record"),
        (lambda content: content.__setitem__(6, 1), "contradict"),  # encrypted, says the local header alone
        (lambda content: content.__setitem__(8, 0), "contradict"),  # stored
        (lambda content: content.__setitem__(14, content[14] ^ 1), "contradict"),  # CRC-32
        (lambda content: content.__setitem__(22, content[22] ^ 1), "contradict"),  # size
        (lambda content: content.__setitem__(30, ord("O")), "contradict"),  # name
        (lambda content: content.__setitem__(content.index(b"PK\1\2") + 8, 1), "encrypted"),
        (lambda content: content.__setitem__(content.index(b"PK\1\2") + 9, 0x20), "flags"),
        (lambda content: content.__setitem__(content.index(b"PK\1\2") + 10, 12), "method 12"),
        (lambda content: content.__setitem__(content.index(b"PK\1\2") + 10, 0), "two sizes"),
        (lambda content: content.__setitem__(content.rindex(b"PK\1\2") + 42, 0), "overlap"),
        (lambda content: content.__setitem__(content.index(b"PK\1\2") + 20, 200), "contradict"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, change: Callable[[bytearray], object], what: str) -> None:
    refused(changed(archive(tmp_path), change), what)


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_wrong_byte_never_changes_what_is_read(tmp_path: Path, data: st.DataObject) -> None:
    path = archive(tmp_path)
    position = data.draw(st.integers(0, path.stat().st_size - 1))
    value = data.draw(st.integers(0, 255))
    changed(path, lambda content: content.__setitem__(position, value))
    with suppress(IntegrityError):
        assert {member.name: read(member) for member in read_zip(path)} == {"one": CONTENT, "two": b"2"}


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = archive(tmp_path, bomb=bytes(100 << 20))
    refused(path, "would inflate to 104857600 bytes")
