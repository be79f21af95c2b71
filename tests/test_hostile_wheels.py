"""Wheels that attack whoever installs them: each is refused with its code, or what would harm is not installed."""

import base64
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from layers.content import Reader
from layers.entry import Kind
from layers.errors import IntegrityError
from layers.wheel import Scheme, merge, read_wheel, wheel_entries
from tests import wheels

INFO = "demo-1.0.dist-info"
MODULE = b"VALUE = 1\n"
HASH = wheels.row("demo.py", MODULE).split(",")[1]
Make = Callable[[Path], Path]


def named(files: Mapping[str, bytes]) -> Make:
    return lambda folder: wheels.build(folder, files=files)


def at(path: str) -> Make:
    return named({path: b"x"})


def starting(name: str, target: str = "demo:main") -> Make:
    return lambda folder: wheels.build(folder, entry_points=f"[console_scripts]\n{name} = {target}\n")


def recorded(*rows: str) -> Make:
    """A wheel of one module and its metadata, with these rows of RECORD instead of the module's."""

    def make(folder: Path) -> Path:
        wheel = wheels.build(folder)
        with zipfile.ZipFile(wheel) as archive:
            others = archive.read(f"{INFO}/RECORD").decode().splitlines(keepends=True)[1:]
        return wheels.build(folder, record="".join(f"{row}\n" for row in rows) + "".join(others))

    return make


def with_mode(mode: int) -> Make:
    """A wheel one file of which has a mode."""

    def make(folder: Path) -> Path:
        wheel = wheels.build(folder, files={"demo.py": MODULE})
        with zipfile.ZipFile(wheel) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in contents.items():
                wheels.add(archive, name, content, mode=mode if name == "demo.py" else stat.S_IFREG | 0o644)
        return wheel

    return make


def more(name: str, content: bytes = b"VALUE = 2\n") -> Make:
    """A wheel to which a member was added that RECORD does not know, or knows with other bytes."""

    def make(folder: Path) -> Path:
        wheel = wheels.build(folder)
        with zipfile.ZipFile(wheel, "a") as archive:
            wheels.add(archive, name, content)
        return wheel

    return make


def patched(signature: bytes, offset: int, value: bytes) -> Make:
    """A wheel with other bytes in the first header of a kind."""

    def make(folder: Path) -> Path:
        wheel = wheels.build(folder)
        content = bytearray(wheel.read_bytes())
        start = content.index(signature) + offset
        content[start : start + len(value)] = value
        wheel.write_bytes(content)
        return wheel

    return make


def cut(change: Callable[[bytes], bytes]) -> Make:
    def make(folder: Path) -> Path:
        wheel = wheels.build(folder)
        wheel.write_bytes(change(wheel.read_bytes()))
        return wheel

    return make


def overlapping(folder: Path) -> Path:
    """Members whose local headers lie in the bytes of the one before them, so that each is read many times."""
    wheel = folder / "demo-1.0-py3-none-any.whl"
    kernel = zlib.compress(bytes(1 << 20), 9)[2:-4]
    fixed = (20, 0, 8, 0, 33, zlib.crc32(bytes(1 << 20)), len(kernel), 1 << 20, 1)
    body = b"".join(struct.pack("<4s5H3L2H", b"PK\3\4", *fixed, 0) + b"%c" % name for name in b"abc") + kernel
    directory = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *fixed, 0, 0, 0, 0, 0, place * 31) + b"%c" % name
        for place, name in enumerate(b"abc")
    )
    wheel.write_bytes(body + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, len(directory), len(body), 0))
    return wheel


LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
OTHER = "sha256=" + base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
# IB510: an archive with two readings; IB511: no wheel; IB512: two files at one place; IB513: not what RECORD promises.
REFUSED: dict[str, tuple[str, Make]] = {
    "a name that leads out": ("IB510", at("../up.py")),
    "an absolute name": ("IB510", at("/etc/cron.d/x")),
    "data that leads out": ("IB510", at("demo-1.0.data/data/../../../x")),
    "scripts that lead out": ("IB510", at("demo-1.0.data/scripts/../../x")),
    "data of no scheme": ("IB511", at("demo-1.0.data/evil/x")),
    "data that is the scheme itself": ("IB511", at("demo-1.0.data/scripts")),
    "a member twice, with other bytes": ("IB510", more("demo.py")),
    "a member as file and folder": ("IB510", more("demo.py/", b"")),
    "a member that RECORD does not know": ("IB511", more("evil.py")),
    "a file below a file": ("IB512", named({"demo.py": MODULE, "demo.py/x": b""})),
    "a backslash": ("IB510", at("..\\up.py")),
    "a drive": ("IB510", at("C:\\x.py")),
    "a line feed": ("IB510", at("a\nb.py")),
    "an escape sequence": ("IB510", at("a\x1b]0;x\x07.py")),
    "a control character of Latin 1": ("IB510", at("a\x9b31m.py")),
    "an empty part": ("IB510", at("a//b.py")),
    "a part that is a dot": ("IB510", at("a/./b.py")),
    "a script that leads out": ("IB511", starting("../../evil")),
    "a script with an absolute name": ("IB511", starting("/bin/evil")),
    "a script that is more than a call": ("IB511", starting("evil", "demo:main(); import os")),
    "two files that become one": ("IB511", named({"a.py": b"1", "demo-1.0.data/purelib/a.py": b"2"})),
    "a link": ("IB510", with_mode(stat.S_IFLNK | 0o777)),
    "a device": ("IB510", with_mode(stat.S_IFBLK | 0o666)),
    "a pipe": ("IB510", with_mode(stat.S_IFIFO | 0o666)),
    "a socket": ("IB510", with_mode(stat.S_IFSOCK | 0o666)),
    "a folder with bytes": ("IB510", with_mode(stat.S_IFDIR | 0o755)),
    "RECORD: another path": ("IB511", recorded(f"other.py,{HASH},{len(MODULE)}")),
    "RECORD: another hash": ("IB513", recorded(f"demo.py,{OTHER},{len(MODULE)}")),
    "RECORD: no hash": ("IB511", recorded(f"demo.py,,{len(MODULE)}")),
    "RECORD: a hash that was broken": ("IB511", recorded("demo.py,md5=rL0Y20zC-Fzt72VPzMSk2A,10")),
    "RECORD: another size": ("IB511", recorded(f"demo.py,{HASH},{len(MODULE) + 1}")),
    "RECORD: a size of 5,000 digits": ("IB511", recorded(f"demo.py,{HASH},{'9' * 5000}")),
    "RECORD: a size in Arabic digits": ("IB511", recorded(f"demo.py,{HASH},\u0661\u0660")),
    "RECORD: a row too much": ("IB511", recorded(f"demo.py,{HASH},10", f"gone.py,{HASH},10")),
    "RECORD: two rows for a file": ("IB511", recorded(f"demo.py,{HASH},10", f"demo.py,{OTHER},10")),
    "RECORD: a way that leads out": ("IB511", recorded(f"demo.py,{HASH},10", f"../../x,{HASH},10")),
    "RECORD: a field too much": ("IB511", recorded(f"demo.py,{HASH},10,x")),
    "METADATA of another project": ("IB511", named({f"{INFO}/METADATA": b"Name: flask\nVersion: 1.0\n"})),
    "METADATA with two names": ("IB511", named({f"{INFO}/METADATA": b"Name: demo\nName: x\nVersion: 1.0\n"})),
    "metadata of two projects": ("IB511", named({"flask-3.1.dist-info/WHEEL": b"Wheel-Version: 1.0\n"})),
    "a version of wheels to come": ("IB511", lambda folder: wheels.build(folder, wheel_version="2.0")),
    "encrypted, says one header": ("IB510", patched(CENTRAL, 8, b"\1")),
    "a compression of another kind": ("IB510", patched(CENTRAL, 10, b"\x0e")),
    "another name in the local header": ("IB510", patched(LOCAL, 30, b"D")),
    "a size of 2^32 - 1 without a zip64 field": ("IB510", patched(CENTRAL, 24, b"\xff" * 4)),
    "a packed size of 2^32 - 1": ("IB510", patched(CENTRAL, 20, b"\xff" * 4)),
    "an offset of 2^32 - 1": ("IB510", patched(CENTRAL, 42, b"\xff" * 4)),
    "more members than there are": ("IB510", patched(END, 8, b"\xff\xff\xff\xff")),
    "a disk of others": ("IB510", patched(END, 4, b"\1")),
    "members in members": ("IB510", overlapping),
    "a program before the archive": ("IB510", cut(lambda content: b"#!/bin/sh\n" + content)),
    "another archive behind it": ("IB510", cut(lambda content: content + content)),
    "an archive in its comment": ("IB510", cut(lambda content: content[:-2] + b"\x16\0PK\5\6" + bytes(18))),
    "cut off": ("IB510", cut(lambda content: content[:-1])),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name: str, tmp_path: Path) -> None:
    code, make = REFUSED[name]
    with pytest.raises(IntegrityError) as caught:
        installed(make(tmp_path))
    assert caught.value.code == code
    assert caught.value.hint and "\x1b" not in str(caught.value)


def installed(wheel: Path) -> dict[str, tuple[int, bytes]]:
    """Modes and bytes of what is in the image in the end, by path below site-packages."""
    scheme = Scheme()
    entries = merge([("demo", wheel_entries(read_wheel(wheel), scheme))])
    assert {entry.kind for entry in entries} == {Kind.FILE}
    with closing(Reader()) as reader:
        return {
            entry.path.removeprefix(f"{scheme.site_packages}/"): (entry.mode, b"".join(reader.read(entry.content)))
            for entry in entries
        }


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6777, 0o1777, 0o000], ids=oct)
def test_rights_are_never_taken_over(mode: int, tmp_path: Path) -> None:
    assert {mode for mode, _ in installed(with_mode(stat.S_IFREG | mode)(tmp_path)).values()} <= {0o755, 0o644}


def test_bytecode_is_not_installed(tmp_path: Path) -> None:
    files = {"demo.py": MODULE, "demo.pyc": b"evil", "__pycache__/demo.cpython-313.pyc": b"evil"}
    assert not any(b"evil" in content or path.endswith("pyc") for path, (_, content) in found(files, tmp_path).items())


def found(files: Mapping[str, bytes], folder: Path) -> dict[str, tuple[int, bytes]]:
    return installed(named(files)(folder))


def test_a_pth_file_is_installed_as_it_is_and_runs_only_in_the_image(tmp_path: Path) -> None:
    """Setuptools and coverage bring such files; no interpreter that runs on the host has the packages of an image."""
    ran = tmp_path / "ran"
    code = f"import pathlib; pathlib.Path({str(ran)!r}).touch()\n".encode()
    assert found({"demo.pth": code}, tmp_path)["demo.pth"] == (0o644, code)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("one", "two"), [("demo/A.py", "demo/a.py"), ("é.py", unicodedata.normalize("NFD", "é.py")), ("ß.py", "ss.py")]
)
def test_names_that_only_other_systems_take_for_one_are_two_files(one: str, two: str, tmp_path: Path) -> None:
    result = found({one: b"1", two: b"2"}, tmp_path)
    assert (result[one][1], result[two][1]) == (b"1", b"2")
