"""Names of shared libraries, and the linker's cache of them."""

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import elf, ldcache
from layers.elf import SharedObject
from layers.entry import Stored
from layers.ldcache import Library
from tests import debs


def read(folder: Path, content: bytes) -> SharedObject | None:
    """Read a library that stands in the middle of a file, as it does in an unpacked package."""
    path = folder / "spool"
    path.write_bytes(b"before" + content + b"\0behind")
    return elf.shared_object(Stored(path, 6, len(content)))


def test_a_library_says_its_name_and_machine(tmp_path: Path) -> None:
    assert read(tmp_path, debs.shared_object("libz.so.1", machine=183)) == SharedObject(183, "libz.so.1")


def test_a_library_may_have_no_name(tmp_path: Path) -> None:
    assert read(tmp_path, debs.shared_object("")) == SharedObject(62, "")


def test_a_library_says_what_it_needs_in_its_order(tmp_path: Path) -> None:
    found = read(tmp_path, debs.shared_object("", needed=("libpq.so.5", "libc.so.6")))
    assert found == SharedObject(62, "", ("libpq.so.5", "libc.so.6"))


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(100), bytes(200)])
def test_other_files_are_no_libraries(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) is None


def test_a_place_far_outside_of_the_file_is_no_harm(tmp_path: Path) -> None:
    content = bytearray(debs.shared_object("libz.so.1"))
    content[64 + 56 + 8 : 64 + 56 + 16] = b"\xff" * 8  # where the dynamic section begins
    assert read(tmp_path, bytes(content)) == SharedObject(62, "")


@given(st.integers(0, 255), st.data())
def test_a_damaged_library_is_another_one_or_none(
    tmp_path_factory: pytest.TempPathFactory, value: int, data: st.DataObject
) -> None:
    content = bytearray(debs.shared_object("libz.so.1"))
    content[data.draw(st.integers(0, len(content) - 1))] = value
    cut = data.draw(st.integers(0, len(content)))
    found = read(tmp_path_factory.mktemp("elf"), bytes(content[:cut]))
    assert found is None or (len(found.soname) <= 255 and found.soname.isascii())


@pytest.mark.skipif(sys.platform != "linux", reason="needs a C library of Linux")
def test_the_c_library_of_this_machine_is_understood() -> None:
    name = ctypes.util.find_library("c")
    path = next((path for path in Path("/lib").glob(f"*-linux-gnu/{name}")), None)
    if path is None:
        pytest.skip("no C library of Debian's kind")
    size = path.stat().st_size
    linker = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}[os.uname().machine]
    assert elf.shared_object(Stored(path, 0, size)) == SharedObject(
        {"x86_64": 62, "aarch64": 183}[os.uname().machine], name or "", (linker,)
    )


LIBRARIES = [
    Library("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1", 62),
    Library("libz.so", "/lib/x86_64-linux-gnu/libz.so", 62),
    Library("libz3.so.4", "/lib/x86_64-linux-gnu/libz3.so.4", 62),
    Library("liba.so.10", "/lib/x86_64-linux-gnu/liba.so.10", 62),
    Library("liba.so.9", "/lib/x86_64-linux-gnu/liba.so.9", 62),
    Library("libodd.so.1", "/usr/lib/other-name.so", 62),
    Library("libz.so.1", "/usr/lib/libz.so.1", 62),
]


def test_the_cache_has_its_bytes_by_the_format() -> None:
    assert ldcache.cache([Library("liba.so", "/lib/liba.so", 62)]) == (
        b"glibc-ld.so.cache1.1"
        + (1).to_bytes(4, "little")  # libraries
        + (13).to_bytes(4, "little")  # bytes of strings
        + b"\x02"
        + bytes(19)
        + b"\x03\x03\0\0"
        + (72 + 5).to_bytes(4, "little")  # the name is the end of the path
        + (72).to_bytes(4, "little")
        + bytes(12)
        + b"/lib/liba.so\0"
    )


def test_an_empty_cache_is_a_header() -> None:
    assert len(ldcache.cache([])) == 48


def test_libraries_of_unknown_machines_are_left_out() -> None:
    assert ldcache.cache([Library("liba.so", "/lib/liba.so", 8)]) == ldcache.cache([])


@pytest.mark.skipif(shutil.which("ldconfig", path="/usr/sbin:/sbin") is None, reason="needs ldconfig")
def test_ldconfig_lists_the_cache_in_the_order_the_linker_searches(tmp_path: Path) -> None:
    path = tmp_path / "ld.so.cache"
    path.write_bytes(ldcache.cache(LIBRARIES))
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin") or ""
    listed = subprocess.run([ldconfig, "-p", "-C", path], capture_output=True, text=True, check=True).stdout
    assert [line.split(" => ")[1] for line in listed.splitlines()[1:]] == [
        "/lib/x86_64-linux-gnu/libz3.so.4",
        "/lib/x86_64-linux-gnu/libz.so.1",
        "/usr/lib/libz.so.1",
        "/lib/x86_64-linux-gnu/libz.so",
        "/usr/lib/other-name.so",
        "/lib/x86_64-linux-gnu/liba.so.10",
        "/lib/x86_64-linux-gnu/liba.so.9",
    ]
