"""Debian packages: read whole, or refused."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from layers.deb import Deb, read_deb
from layers.entry import Kind, Stored
from layers.errors import IntegrityError
from tests import debs
from tests.debs import Member, file, folder, hardlink, symlink

TOOL = debs.package(
    "tool",
    folder("./usr/"),
    folder("./usr/bin/"),
    file("./usr/bin/tool", b"#!tool\n" * 50_000, mode=0o755),
    hardlink("./usr/bin/same", "./usr/bin/tool"),
    symlink("./usr/bin/t", "tool"),
    postinst="#!/bin/sh\n",
)


def read(folder: Path, content: bytes) -> Deb:
    path = folder / "package.deb"
    path.write_bytes(content)
    return read_deb(path, spool=folder / "spool")


def refused(folder: Path, content: bytes) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        read(folder, content)
    return caught.value


@pytest.mark.parametrize("compression", list(debs.COMPRESSORS))
def test_a_package_is_read_whatever_compresses_it(tmp_path: Path, compression: str) -> None:
    content = b"0123456789" * 300_000
    deb = read(tmp_path, debs.package("big", file("./big", content), compression=compression).content)
    (entry,) = deb.entries
    assert isinstance(entry.content, Stored)
    assert entry.content.file.read_bytes()[entry.content.offset :][: entry.size] == content
    assert deb.control["control"].startswith(b"Package: big\n")


def test_entries_keep_kinds_modes_and_links(tmp_path: Path) -> None:
    entries = {entry.path: entry for entry in read(tmp_path, TOOL.content).entries}
    assert list(entries) == ["usr", "usr/bin", "usr/bin/tool", "usr/bin/same", "usr/bin/t"]
    assert (entries["usr/bin/tool"].kind, entries["usr/bin/tool"].mode) == (Kind.FILE, 0o755)
    assert (entries["usr/bin/same"].kind, entries["usr/bin/same"].target) == (Kind.HARDLINK, "usr/bin/tool")
    assert (entries["usr/bin/t"].kind, entries["usr/bin/t"].target) == (Kind.SYMLINK, "tool")


def test_control_files_are_read(tmp_path: Path) -> None:
    control = read(tmp_path, TOOL.content).control
    assert sorted(control) == ["control", "md5sums", "postinst"]
    assert control["postinst"] == b"#!/bin/sh\n"


PARTS = [
    ("debian-binary", b"2.0\n"),
    ("control.tar", debs.tar([file("./control", b"Package: x\n")])),
    ("data.tar", debs.tar([file("./x", b"odd")])),
]
XZ = [PARTS[0], PARTS[1], ("data.tar.xz", debs.COMPRESSORS[".xz"](PARTS[2][1]))]
GZ = [PARTS[0], PARTS[1], ("data.tar.gz", debs.COMPRESSORS[".gz"](PARTS[2][1]))]
ZST = [PARTS[0], PARTS[1], ("data.tar.zst", debs.COMPRESSORS[".zst"](PARTS[2][1]))]
DAMAGED = {
    "nothing": b"",
    "no ar archive": b"PK\x03\x04" + bytes(100),
    "another version": debs.ar([("debian-binary", b"3.0\n"), *PARTS[1:]]),
    "garbage behind the data": debs.ar(PARTS) + b"garbage",
    "a member behind the data": debs.ar([*PARTS, ("_extra", b"")]),
    "a member before the control archive": debs.ar([PARTS[0], ("_extra", b""), *PARTS[1:]]),
    "members in another order": debs.ar([PARTS[0], PARTS[2], PARTS[1]]),
    "no data": debs.ar(PARTS[:2]),
    "cut off in the data": debs.ar(XZ)[:-8],
    "cut off in a header": debs.ar(PARTS[:2]) + b"data.tar",
    "a header without its end": debs.ar(PARTS).replace(b"`\n", b"``", 1),
    "a size that is no number": debs.ar(PARTS).replace(b"4         `", b"-4        `", 1),
    "an unknown compression": debs.ar([*PARTS[:2], ("data.tar.lzma", b"x")]),
    "garbage behind the xz stream": debs.ar([*XZ[:2], (XZ[2][0], XZ[2][1] + b"more")]),
    "a damaged xz stream": debs.ar([*XZ[:2], (XZ[2][0], XZ[2][1][:30] + b"????" + XZ[2][1][34:])]),
    "no xz stream": debs.ar([*XZ[:2], (XZ[2][0], b"not xz")]),
    "garbage behind the gzip stream": debs.ar([*GZ[:2], (GZ[2][0], GZ[2][1] + b"more")]),
    "a damaged gzip stream": debs.ar([*GZ[:2], (GZ[2][0], b"\x1f\x8b" + bytes(20))]),
    "garbage behind the zstd stream": debs.ar([*ZST[:2], (ZST[2][0], ZST[2][1] + b"more")]),
    "a cut zstd stream": debs.ar([*ZST[:2], (ZST[2][0], ZST[2][1][:-4])]),
    "a package that does not say what it is": debs.ar([PARTS[0], ("control.tar", debs.tar([])), PARTS[2]]),
    "a damaged zstd stream": debs.ar([*ZST[:2], (ZST[2][0], b"not zstandard")]),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_packages_are_refused(tmp_path: Path, content: bytes) -> None:
    assert refused(tmp_path, content).code == "IB557"


HOSTILE = {
    "an absolute path": [file("/etc/passwd")],
    "a path that goes up": [file("./../etc/passwd")],
    "a device": [Member("./null", type=tarfile.CHRTYPE)],
    "a hard link out": [hardlink("./a", "../../etc/shadow")],
    "a file below a link": [symlink("./a", "/etc"), file("./a/passwd")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_packages_are_refused(tmp_path: Path, members: list[Member]) -> None:
    assert refused(tmp_path, debs.package("evil", *members).content).code == "IB558"


def test_a_package_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.deb._DATA_MAX", 1 << 20)
    assert (
        "unpacks to more than" in refused(tmp_path, debs.package("bomb", file("./b", bytes(3 << 20))).content).message
    )


@pytest.mark.tools
def test_dpkg_reads_the_packages_of_these_tests(tmp_path: Path) -> None:
    path = tmp_path / TOOL.file_name
    path.write_bytes(TOOL.content)
    listed = subprocess.run(["dpkg-deb", "-c", path], capture_output=True, text=True, check=True).stdout
    assert "./usr/bin/same link to ./usr/bin/tool" in listed
