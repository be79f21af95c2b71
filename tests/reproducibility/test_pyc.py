"""Bytecode: why two .pyc files differ."""

import importlib.util
import marshal
import os
import py_compile
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproducibility.contents import pyc
from reproducibility.difference import Difference, Known
from tests.reproducibility.pairs import content, mirrored

SOURCE = """
import os

class Reader:
    def read(self, name={default!r}):
        return [line for line in open(name) if line not in {{"a", "b", 3}}]

    size = lambda self: 1
    rows = lambda self: 2
"""
PLAIN = SOURCE.format(default="x")

Compile = Callable[..., bytes]


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    """Return the bytes of the .pyc of a source."""

    def compile_source(
        source: str = PLAIN,
        *,
        shown: str = "/app/reader.py",
        time: int = 1_000_000_000,
        mode: PycInvalidationMode = PycInvalidationMode.TIMESTAMP,
    ) -> bytes:
        path = tmp_path / "reader.py"
        path.write_text(source)
        os.utime(path, (time, time))
        made = py_compile.compile(
            str(path), cfile=str(tmp_path / "made.pyc"), dfile=shown, doraise=True, invalidation_mode=mode
        )
        return Path(made).read_bytes()

    return compile_source


def explain(left: bytes, right: bytes, *, views: bool = False) -> tuple[Difference, ...] | None:
    with content(left) as here, content(right) as there:
        return pyc.differences("app/reader.pyc", here, there, known=Known(), views=views)


def causes(left: bytes, right: bytes) -> list[str]:
    found = explain(left, right)
    assert found is not None
    assert mirrored(found) == explain(right, left)
    return [one.cause for one in found]


def test_the_time_of_the_source_is_found_and_said(compiled: Compile) -> None:
    (found,) = explain(compiled(), compiled(time=1_000_000_060)) or ()
    assert (found.cause, found.left, found.right) == ("pyc-time", "2001-09-09T01:46:40Z", "2001-09-09T01:47:40Z")


def test_the_path_of_the_build_is_found_and_said(compiled: Compile) -> None:
    (found,) = explain(compiled(), compiled(shown="/tmp/build-x/reader.py")) or ()
    assert (found.cause, found.left, found.right) == ("pyc-path", "/app/reader.py", "/tmp/build-x/reader.py")


def test_time_and_path_are_two_causes(compiled: Compile) -> None:
    assert causes(compiled(), compiled(time=5, shown="/else/reader.py")) == ["pyc-time", "pyc-path"]


def test_a_changed_constant_is_shown_with_the_function_it_stands_in(compiled: Compile) -> None:
    (found,) = explain(compiled(), compiled(SOURCE.format(default="y"))) or ()
    assert (found.cause, found.left, found.right) == ("pyc-code", "'x', ('x')", "'y', ('y')")
    assert found.note == "Reader (constants)"


def test_a_changed_function_is_named_by_its_dotted_name(compiled: Compile) -> None:
    (found,) = explain(compiled(), compiled(PLAIN.replace("1", "7").replace("2", "8"))) or ()
    assert found.cause == "pyc-code"
    assert found.note.startswith("Reader.<lambda>")
    assert "Reader.<lambda>#2" in found.note


def test_functions_on_one_side_are_named(compiled: Compile) -> None:
    found = explain(compiled(), compiled(PLAIN + "\ndef more(): pass\n"), views=True) or ()
    assert [one.cause for one in found] == ["pyc-code"]
    assert found[0].view is not None
    assert "more (on one side)\t\tthere" in found[0].view.lines


def test_a_comment_changes_the_size_of_the_source_alone(compiled: Compile) -> None:
    (found,) = explain(compiled(), compiled(PLAIN + "# more\n")) or ()
    assert (found.cause, found.note) == ("pyc-code", "size of the source")


def test_a_comment_changes_the_hash_of_the_source_alone(compiled: Compile) -> None:
    mode = PycInvalidationMode.UNCHECKED_HASH
    (found,) = explain(compiled(mode=mode), compiled(PLAIN + "# more\n", mode=mode)) or ()
    assert (found.cause, found.note) == ("pyc-code", "hash of the source")


def test_other_means_of_validation_are_told(compiled: Compile) -> None:
    (found,) = explain(compiled(), compiled(mode=PycInvalidationMode.CHECKED_HASH)) or ()
    assert (found.cause, found.left, found.right) == ("pyc-time", "time of the source", "checked hash")


def test_another_python_is_named(compiled: Compile) -> None:
    ours = compiled()
    other = struct.pack("<H", 3571) + ours[2:]
    (found,) = explain(other, ours) or ()
    assert (found.cause, found.left) == ("pyc-version", "Python 3.13 (3571)")


def test_the_fields_show_the_header_and_the_code(compiled: Compile) -> None:
    found = explain(compiled(), compiled(SOURCE.format(default="y"), time=7, shown="/b.py"), views=True) or ()
    assert [one.view is None for one in found] == [False, True, True]
    assert found[0].view is not None
    assert [line.split("\t")[0] for line in found[0].view.lines] == [
        "Python", "validated by", "time of the source", "size of the source", "co_filename",
        "Reader (constants)",
    ]  # fmt: skip


def test_code_that_cannot_be_read_is_still_bytecode(compiled: Compile) -> None:
    ours = compiled()
    (found,) = explain(ours, ours[:-5]) or ()
    assert (found.cause, found.note) == ("pyc-code", "its code cannot be read")


@pytest.mark.parametrize("other", [b"", b"short", bytes(100), b"\x33\x0d\r\n", importlib.util.MAGIC_NUMBER])
def test_other_files_are_no_bytecode(compiled: Compile, other: bytes) -> None:
    assert explain(compiled(), other) is None
    assert explain(other, compiled()) is None


def interpreters() -> list[str]:
    """Return the Pythons of this machine that have bytecode we know."""
    roots = Path(sys.executable).resolve().parents[2].glob("3.*/bin/python3")
    known = [str(path) for path in roots if int(path.parts[-3].split(".")[1]) >= 8]
    return sorted({sys.executable, *known, *filter(None, [shutil.which("python3")])})


def run(python: str, code: str, folder: Path, *, seed: str = "0") -> None:
    variables = {"PYTHONHASHSEED": seed}
    subprocess.run([python, "-S", "-s", "-c", code], cwd=folder, env=variables, check=True, timeout=60)


# cpython#129724: what a process compiled before decides which strings are written as references.
HISTORY = """
import marshal, sys, importlib.util
header = importlib.util.MAGIC_NUMBER + bytes(12)
warm = [compile(text, "<warm>", "exec") for text in {before!r}]
code = compile({source!r}, "b.py", "exec")
kept = [code.co_consts] * {kept}
open({name!r}, "wb").write(header + marshal.dumps(code))
"""


@pytest.mark.parametrize("python", interpreters())
def test_equal_code_in_other_words_is_told_from_other_code(python: str, tmp_path: Path) -> None:
    source = 'a = {"foo", 2, 3}\ndef f():\n    return {"foo", 2, 3}, "{", f"{a!r:>{20}}"\n'
    for name, before, kept in (("cold.pyc", [], 0), ("warm.pyc", ["import foo"], 9)):
        run(python, HISTORY.format(before=before, source=source, kept=kept, name=name), tmp_path)
    cold, warm = ((tmp_path / name).read_bytes() for name in ("cold.pyc", "warm.pyc"))
    assert cold != warm
    assert causes(cold, warm) == ["pyc-refs"]


@pytest.mark.parametrize("python", interpreters())
def test_every_python_of_this_machine_is_read(python: str, tmp_path: Path) -> None:
    for name, default in (("left", "x"), ("right", "y")):
        code = f"""
import os, py_compile
open("{name}.py", "w").write({SOURCE.format(default=default)!r})
os.utime("{name}.py", (1, 1))
py_compile.compile("{name}.py", cfile="{name}.pyc", dfile="/{name}/reader.py", doraise=True)
"""
        run(python, code, tmp_path)
    left, right = ((tmp_path / f"{name}.pyc").read_bytes() for name in ("left", "right"))
    assert causes(left, right) == ["pyc-path", "pyc-code"]


def test_two_pythons_are_named(tmp_path: Path) -> None:
    versions = {}
    for python in interpreters():
        run(python, "import py_compile; open('a.py', 'w').close(); py_compile.compile('a.py', cfile='a.pyc')", tmp_path)
        made = (tmp_path / "a.pyc").read_bytes()
        versions[made[:2]] = made
    if len(versions) < 2:
        pytest.skip("needs two Pythons")
    left, right, *_ = versions.values()
    assert causes(left, right) == ["pyc-version"]


@pytest.mark.parametrize(
    "python", [name for name in interpreters() if "/3.8" in name or "/3.9" in name or "/3.10" in name]
)
def test_the_seed_of_the_hashes_orders_sets_until_3_10(python: str, tmp_path: Path) -> None:
    for name, seed in (("one.pyc", "1"), ("two.pyc", "2")):
        code = HISTORY.format(before=[], source="x in {'aa', 'bb', 'cc', 'dd', 'ee'}", kept=0, name=name)
        run(python, code, tmp_path, seed=seed)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.pyc", "two.pyc"))
    assert causes(one, two) == ["set-order"]


@pytest.mark.parametrize(("magic", "cause"), [(3439, "set-order"), (3495, "pyc-refs")])
def test_sets_in_another_order_are_told_where_they_are_not_sorted(magic: int, cause: str) -> None:
    header = struct.pack("<H2s", magic, b"\r\n") + bytes(12)
    assert causes(header + b">\x02\0\0\0z\x01az\x01b", header + b">\x02\0\0\0z\x01bz\x01a") == [cause]


@given(st.binary(max_size=200), st.integers(0, 3), st.data())
def test_no_bytes_are_an_error(damage: bytes, flags: int, data: st.DataObject) -> None:
    code = marshal.dumps(compile(PLAIN, "/app/reader.py", "exec"))
    header = importlib.util.MAGIC_NUMBER + struct.pack("<III", flags, 1, 2)
    at = data.draw(st.integers(0, len(code)))
    broken = header + code[:at] + damage + code[at + data.draw(st.integers(0, 100)) :]
    found = explain(header + code, broken)
    assert found is not None
    assert mirrored(found) == explain(broken, header + code)
