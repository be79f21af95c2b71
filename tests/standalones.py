"""Archives in the shape of python-build-standalone's, lists of them as uv has it, and a mirror that serves them."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import debs
from tests.debs import Member
from tests.mirror import Mirror

RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"
TAG = "20261021"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
SYSCONFIG = b"""\
# system configuration generated and used by the sysconfig module
build_time_vars = {'AR': '/tools/llvm/bin/llvm-ar',
 'BINDIR': '/install/bin',
 'CC': 'clang -pthread',
 'CFLAGS': '-Wall -I/install/include -I/tools/deps/install/include '
           '-I/installed',
 'CXX': '/usr/bin/aarch64-linux-gnu-g++ -pthread',
 'LDFLAGS': '-L/install/lib -Wl,-rpath,/install/lib',
 'LDSHARED': '/usr/bin/x86_64-linux-gnu-gcc -pthread -shared',
 'LINKCC': '/tools/clang-linux64/bin/clang -pthread',
 'prefix': '/install'}
"""
CORRECTED = b"""\
# system configuration generated and used by the sysconfig module
build_time_vars = {'AR': 'ar',
 'BINDIR': '/layers/cpython/bin',
 'CC': 'cc -pthread',
 'CFLAGS': '-Wall -I/layers/cpython/include -I/tools/deps/install/include '
           '-I/installed',
 'CXX': 'c++ -pthread',
 'LDFLAGS': '-L/layers/cpython/lib -Wl,-rpath,/layers/cpython/lib',
 'LDSHARED': 'cc -pthread -shared',
 'LINKCC': 'cc -pthread',
 'prefix': '/layers/cpython'}
"""


def members(series: str) -> tuple[Member, ...]:
    """Return what a whole archive has, one of each kind."""
    lib = f"python/lib/python{series}"
    return (
        debs.file(f"python/bin/python{series}", b"\x7fELF $ORIGIN/../lib", mode=0o755),
        debs.symlink("python/bin/python3", f"python{series}"),
        debs.symlink("python/bin/python", f"python{series}"),
        debs.file("python/bin/pip3", b"#!/bin/sh\n", mode=0o755),
        debs.file(f"python/bin/python{series}-config", b"#!/bin/sh\nprefix=/install\n", mode=0o755),
        debs.file(f"python/include/python{series}/Python.h"),
        debs.file(f"python/lib/libpython{series}.so.1.0", b"\x7fELF", mode=0o555),
        debs.file("python/lib/libtcl8.6.so", b"\x7fELF", mode=0o555),
        debs.file("python/lib/tk8.6/tk.tcl"),
        debs.file(f"python/lib/pkgconfig/python-{series}.pc", b"prefix=/install\n"),
        debs.file(f"{lib}/os.py", b"# os\n", mode=0o664),
        debs.file(f"{lib}/_sysconfigdata__linux_x86_64-linux-gnu.py", SYSCONFIG),
        debs.file(f"{lib}/config-{series}-x86_64-linux-gnu/Makefile", b"CC=\t\tclang\n"),
        debs.file(f"{lib}/lib-dynload/_ssl.so", b"\x7fELF"),
        debs.file(f"{lib}/lib-dynload/_tkinter.so", b"\x7fELF"),
        debs.hardlink(f"{lib}/same.py", f"{lib}/os.py"),
        debs.file(f"{lib}/test/test_os.py"),
        debs.file(f"{lib}/unittest/test/__init__.py"),
        debs.file(f"{lib}/unittest/case.py"),
        debs.file(f"{lib}/tkinter/__init__.py"),
        debs.file(f"{lib}/ensurepip/__init__.py"),
        debs.file(f"{lib}/__pycache__/os.cpython.pyc", b"\0"),
        debs.file(f"{lib}/site-packages/pip/__init__.py"),
        debs.file("python/share/man/man1/python3.1"),
    )


def archive(content: Iterable[Member]) -> bytes:
    return gzip.compress(debs.tar(content), compresslevel=1, mtime=0)


@dataclass(frozen=True)
class Build:
    """A build on offer; `url` if it is no release of the project, `sha256` if the list does not tell the truth."""

    version: str
    content: bytes
    architecture: str = "amd64"
    prerelease: str = ""
    url: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        triple = f"{MACHINES[self.architecture]}-unknown-linux-gnu"
        return f"cpython-{self.version}{self.prerelease}+{TAG}-{triple}-install_only_stripped.tar.gz"

    @property
    def encoded(self) -> str:
        return self.name.replace("+", "%2B")

    def to_json(self) -> dict[str, object]:
        major, minor, patch = map(int, self.version.split("."))
        return {
            "name": "cpython",
            "arch": {"family": MACHINES[self.architecture], "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": self.prerelease,
            "url": self.url or f"{RELEASES}/{TAG}/{self.encoded}",
            "sha256": self.sha256 or hashlib.sha256(self.content).hexdigest(),
            "variant": None,
            "build": TAG,
        }


def build(version: str) -> Build:
    """Return a build of handmade files."""
    return Build(version, archive(members(version.rpartition(".")[0])))


def listed(builds: Iterable[Build], **others: object) -> bytes:
    """Write a list as uv has it; `others` are entries as they are given."""
    entries = {f"{each.name}": each.to_json() for each in builds}
    return json.dumps({**entries, **others}).encode()


def publish(mirror: Mirror, folder: Path, *builds: Build) -> Mapping[str, str]:
    """Serve builds as uv's mirrors do, and return the variables that lead there."""
    for each in builds:
        mirror.files[f"/python/{TAG}/{each.encoded}"] = each.content
    (folder / "pythons.json").write_bytes(listed(builds))
    return {
        "IMAGEBUILDER_PYTHON_MIRROR": f"{mirror.address}/python",
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "pythons.json"),
    }
