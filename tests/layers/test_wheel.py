"""layers.wheel: what is installed, the wheels that are refused, and wheels that contradict each other."""

import stat
import zipfile
from pathlib import Path

import pytest

from layers import record
from layers.content import Reader
from layers.entry import Entry, directory, file
from layers.errors import IntegrityError
from layers.wheel import Scheme, merge, read_wheel, wheel_entries
from tests import wheels

SITE = "layers/site-packages/lib/python3.13/site-packages"
BIN = "layers/site-packages/bin"
PROGRAM = b"#!/layers/site-packages/bin/python\n"


def installed(wheel: Path, scheme: Scheme | None = None) -> dict[str, Entry]:
    return {entry.path: entry for entry in wheel_entries(read_wheel(wheel), scheme or Scheme())}


def read(entry: Entry) -> bytes:
    return b"".join(Reader().read(entry.content))


def refused(wheel: Path, what: str, code: str = "IB511") -> None:
    with pytest.raises(IntegrityError, match=what) as caught:
        wheel_entries(read_wheel(wheel), Scheme())
    assert caught.value.code == code


def test_a_wheel_says_what_it_is_whatever_its_file_is_called(tmp_path: Path) -> None:
    blob = wheels.build(tmp_path, "Demo.Project", "1.0+local").rename(tmp_path / ("0" * 64))
    wheel = read_wheel(blob)
    assert (wheel.name, wheel.version, wheel.dist_info) == (
        "demo-project",
        "1.0+local",
        "Demo.Project-1.0+local.dist-info",
    )
    assert (wheel.tags, wheel.root_is_purelib) == (("py3-none-any",), True)


def test_files_go_where_pip_puts_them(tmp_path: Path) -> None:
    files = {
        "demo/__init__.py": b"",
        "demo/run.sh": b"#!/bin/sh\n",
        "demo-1.0.data/purelib/pure.py": b"pure",
        "demo-1.0.data/platlib/plat.so": b"plat",
        "demo-1.0.data/scripts/tool": b"#!python3 -E\r\nprint()\n",
        "demo-1.0.data/scripts/native": b"\x7fELF",
        "demo-1.0.data/scripts/short": b"#!",
        "demo-1.0.data/data/share/man/demo.1": b"man",
        "demo-1.0.data/headers/demo.h": b"header",
    }
    entries = installed(wheels.build(tmp_path, files=files, executable=["demo/run.sh"]))
    assert {path: (entry.mode, read(entry)) for path, entry in entries.items() if ".dist-info/" not in path} == {
        f"{SITE}/demo/__init__.py": (0o644, b""),
        f"{SITE}/demo/run.sh": (0o755, b"#!/bin/sh\n"),
        f"{SITE}/pure.py": (0o644, b"pure"),
        f"{SITE}/plat.so": (0o644, b"plat"),
        f"{BIN}/tool": (0o755, PROGRAM + b"print()\n"),
        f"{BIN}/native": (0o755, b"\x7fELF"),
        f"{BIN}/short": (0o755, b"#!"),
        "layers/site-packages/share/man/demo.1": (0o644, b"man"),
        "layers/site-packages/include/site/python3.13/demo/demo.h": (0o644, b"header"),
    }


def test_scripts_are_made_of_entry_points(tmp_path: Path) -> None:
    entry_points = """
        # comment
        [console_scripts]
        demo = demo.cli:main
        demo-two=demo.cli : App.run [extra]
        [gui_scripts]
        demo-gui = demo:gui
        [other]
        ignored = not a reference
    """
    files = {f"demo-1.0.data/scripts/{name}": b"#!python\nold" for name in ("demo", "demo-two-script.py", "demo.exe")}
    entries = installed(wheels.build(tmp_path, files=files, entry_points=entry_points))
    programs = {path: read(entry) for path, entry in entries.items() if path.startswith(BIN)}
    assert programs == {
        f"{BIN}/demo": PROGRAM
        + b'import sys\nfrom demo.cli import main\nif __name__ == "__main__":\n    sys.exit(main())\n',
        f"{BIN}/demo-two": PROGRAM
        + b'import sys\nfrom demo.cli import App\nif __name__ == "__main__":\n    sys.exit(App.run())\n',
        f"{BIN}/demo-gui": PROGRAM
        + b'import sys\nfrom demo import gui\nif __name__ == "__main__":\n    sys.exit(gui())\n',
    }
    assert all(entries[path].mode == 0o755 for path in programs)


def test_record_is_sorted_and_lists_every_installed_file_with_its_hash(tmp_path: Path) -> None:
    files = {"b.py": b"b", "a,b.py": b"a", "demo-1.0.data/scripts/tool": b"#!python\n", "demo-1.0.data/data/x": b"x"}
    entries = installed(wheels.build(tmp_path, files=files, entry_points="[console_scripts]\ndemo = demo:main\n"))
    own = f"{SITE}/demo-1.0.dist-info/RECORD"
    text = read(entries[own]).decode()
    rows = record.parse(text)
    assert list(rows) == sorted(rows)
    assert text.splitlines()[0] == wheels.row("../../../bin/demo", read(entries[f"{BIN}/demo"])).strip()
    assert '"a,b.py",sha256=' in text
    assert "\r" not in text
    assert rows.pop("demo-1.0.dist-info/RECORD") == record.Row("demo-1.0.dist-info/RECORD")
    paths = {
        path.removeprefix(f"{SITE}/")
        if path.startswith(SITE)
        else "../../../" + path.removeprefix("layers/site-packages/")
        for path in entries
        if path != own
    }
    assert rows.keys() == paths
    for path, entry in entries.items():
        if path != own:
            row = rows[Scheme().relative(path)]
            assert wheels.row("x", read(entry)) == record.encode([record.Row("x", row.checksum, row.size)]).decode()


def test_bytecode_and_what_installers_write_is_left_out(tmp_path: Path) -> None:
    files = {
        "demo.py": b"",
        "demo.pyc": b"",
        "__pycache__/demo.cpython-313.pyc": b"",
        "demo/__pycache__/note.txt": b"",
        **{
            f"demo-1.0.dist-info/{name}": b"{}"
            for name in ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")
        },
        "other/INSTALLER": b"kept",
    }
    entries = installed(wheels.build(tmp_path, files=files))
    assert sorted(path.removeprefix(f"{SITE}/") for path in entries) == [
        "demo-1.0.dist-info/METADATA",
        "demo-1.0.dist-info/RECORD",
        "demo-1.0.dist-info/WHEEL",
        "demo.py",
        "other/INSTALLER",
    ]
    assert b".pyc" not in read(entries[f"{SITE}/demo-1.0.dist-info/RECORD"])


def test_signatures_need_not_be_recorded_and_other_files_must(tmp_path: Path) -> None:
    signed = wheels.build(tmp_path, metadata={"RECORD.jws": b"{}", "RECORD.p7s": b"{}"})
    entries = installed(signed)
    assert read(entries[f"{SITE}/demo-1.0.dist-info/RECORD.jws"]) == b"{}"
    assert b"demo-1.0.dist-info/RECORD.p7s,,\n" in read(entries[f"{SITE}/demo-1.0.dist-info/RECORD"])
    refused(wheels.build(tmp_path, metadata={"EXTRA": b""}), "no hash for 'demo-1.0.dist-info/EXTRA'")


def test_a_file_that_is_not_what_record_promises_is_found_when_it_is_read(tmp_path: Path) -> None:
    listed = wheels.build(tmp_path, files={"demo.py": b"good", "demo-1.0.data/scripts/x": b"#!python\n"})
    with zipfile.ZipFile(listed) as archive:
        text = archive.read("demo-1.0.dist-info/RECORD").decode()
    entries = installed(
        wheels.build(tmp_path, files={"demo.py": b"evil", "demo-1.0.data/scripts/x": b"#!python\n"}, record=text)
    )
    with pytest.raises(IntegrityError, match=r"^demo\.py in demo-1\.0-.*\.whl is damaged: .*sha256") as caught:
        read(entries[f"{SITE}/demo.py"])
    assert caught.value.code == "IB513"
    refused(
        wheels.build(
            tmp_path,
            wheel_version="1.1",
            files={"demo.py": b"good", "demo-1.0.data/scripts/x": b"#!python\n"},
            record=text,
        ),
        "WHEEL",
        "IB513",
    )


@pytest.mark.parametrize(
    ("record_text", "what"),
    [
        ("", "no hash for"),
        ("demo.py,,\n", "no hash for 'demo.py'"),
        ("demo.py,sha256=AAAA,1\n", "no usable hash for 'demo.py'"),
        ("demo.py,md5=rL0Y20zC-Fzt72VPzMSk2A,1\n", "no usable hash for 'demo.py'"),
        ("demo.py,sha256=!,1\n", "no usable hash"),
        (wheels.row("demo.py", b"VALUE = 12\n"), "has 11 bytes, the archive 10"),
        (wheels.row("demo.py", b"1") + wheels.row("demo.py", b"2"), "lists 'demo.py' twice"),
        ("demo.py,sha256=\n", "2 fields"),
        ("demo.py,,-1\n", "has '-1' bytes"),
        ('"demo.py', "comma-separated"),
    ],
)
def test_a_record_that_does_not_cover_the_wheel_is_refused(tmp_path: Path, record_text: str, what: str) -> None:
    refused(wheels.build(tmp_path, record=record_text), what)


def test_a_record_that_lists_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = wheels.build(tmp_path)
    with zipfile.ZipFile(path) as archive:
        text = archive.read("demo-1.0.dist-info/RECORD").decode()
    refused(wheels.build(tmp_path, record=text + wheels.row("gone.py", b"")), "lists 'gone.py', which is not in")


@pytest.mark.parametrize("name", ["other/x", "purelib"])
def test_data_that_belongs_to_no_scheme_is_refused(tmp_path: Path, name: str) -> None:
    refused(wheels.build(tmp_path, files={f"demo-1.0.data/{name}": b""}), "belongs to no install scheme")


@pytest.mark.parametrize(
    "name",
    ["../up.py", "/root.py", "demo-1.0.data/data/../../../x", "demo-1.0.data/scripts/../../x", "a\\b.py", "a\nb.py"],
)
def test_a_name_that_leads_out_of_the_wheel_is_refused(tmp_path: Path, name: str) -> None:
    refused(wheels.build(tmp_path, files={name: b""}), "unsafe name", "IB510")


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFREG | 0o4755])
def test_links_are_refused_and_setuid_never_counts(tmp_path: Path, mode: int) -> None:
    wheel = wheels.build(tmp_path, files={"x": b"/etc/passwd"})
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in contents.items():
            wheels.add(archive, name, content, mode=mode if name == "x" else stat.S_IFREG | 0o600)
    if stat.S_ISLNK(mode):
        refused(wheel, "link or a device", "IB510")
    else:
        assert {entry.mode for entry in installed(wheel).values()} == {0o755, 0o644}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_that_become_one_are_refused(tmp_path: Path) -> None:
    refused(wheels.build(tmp_path, files={"a.py": b"", "demo-1.0.data/purelib/a.py": b""}), "two of its files become")
    twice = wheels.build(tmp_path)
    with zipfile.ZipFile(twice, "a") as archive:
        wheels.add(archive, "demo.py", b"VALUE = 2\n")
    refused(twice, "same name", "IB510")


@pytest.mark.parametrize(
    "line",
    [
        "../../evil = demo:main",
        ".. = demo:main",
        "a/b = demo:main",
        "a\\b = demo:main",
        " = demo:main",
        "a\x1bb = demo:main",
        "demo = demo",
        "demo = demo:main; import os",
        "demo = demo:1main",
        "demo = :main",
        "demo",
        "demo = demo:main\ndemo = demo:other",
    ],
)
def test_an_entry_point_that_is_no_program_is_refused(tmp_path: Path, line: str) -> None:
    refused(wheels.build(tmp_path, entry_points=f"[console_scripts]\n{line}\n"), "entry_points.txt has")


@pytest.mark.parametrize("version", ["2.0", "1", "", "x"])
def test_only_wheels_of_version_1_are_understood(tmp_path: Path, version: str) -> None:
    refused(wheels.build(tmp_path, wheel_version=version), "Wheel-Version")
    assert read_wheel(wheels.build(tmp_path, wheel_version="1.9")).name == "demo"


def test_metadata_must_be_there_once_and_agree(tmp_path: Path) -> None:
    refused(wheels.build(tmp_path, files={"other-1.0.dist-info/WHEEL": b""}), "2 folders")
    bare = tmp_path / "bare.whl"
    with zipfile.ZipFile(bare, "w") as archive:
        wheels.add(archive, "x.py", b"")
    refused(bare, "0 folders")
    for name, content, what in (
        ("METADATA", b"Name: other\nVersion: 1.0\n", "says it is 'other'"),
        ("METADATA", b"Name: demo\n", "one field Version"),
        ("METADATA", b"Name: demo\nName: demo\nVersion: 1\n", "one field Name"),
        ("METADATA", b"\nName: demo\nVersion: 1.0\n", "one field Name"),
        ("METADATA", b"\xff", "codec can't decode"),
        ("WHEEL", b"", "Wheel-Version is missing"),
    ):
        refused(wheels.build(tmp_path, files={f"demo-1.0.dist-info/{name}": content}), what)


def test_equal_files_of_two_wheels_are_kept_once(tmp_path: Path) -> None:
    left = installed(wheels.build(tmp_path, "left", files={"nvidia/__init__.py": b"same", "left.py": b""}))
    right = installed(
        wheels.build(tmp_path, "right", files={"nvidia/__init__.py": b"same"}, executable=["nvidia/__init__.py"])
    )
    both = [("left 1.0", left.values()), ("right 1.0", right.values())]
    merged = {entry.path: entry for entry in merge(both)}
    assert len(merged) == len(left) + len(right) - 1
    assert {entry.path: entry.mode for entry in merge(reversed(both))} == {
        path: entry.mode for path, entry in merged.items()
    }
    assert merged[f"{SITE}/nvidia/__init__.py"].mode == 0o755
    generated = ("environment", [directory("layers"), file(f"{SITE}/nvidia/__init__.py", b"same")])
    assert len(merge([*both, generated])) == len(merged) + 1


@pytest.mark.parametrize(
    ("left", "right", "path"),
    [
        ({"tests/__init__.py": b"1"}, {"tests/__init__.py": b"2"}, "tests/__init__.py"),
        ({"tests/__init__.py": b"1"}, {"tests/__init__.py": b"10"}, "tests/__init__.py"),
        ({"tests": b""}, {"tests/a": b""}, "tests"),
        ({"tests/a/b": b""}, {"tests/a": b""}, "tests/a"),
    ],
)
def test_two_wheels_with_different_bytes_for_one_path_are_refused(
    tmp_path: Path, left: dict[str, bytes], right: dict[str, bytes], path: str
) -> None:
    wheel = wheels.build(tmp_path, "left", files=left)
    other = wheels.build(tmp_path, "right", files=right)
    with pytest.raises(IntegrityError) as caught:
        merge([("left 1.0", installed(wheel).values()), ("right 1.0", installed(other).values())])
    assert caught.value.code == "IB512"
    assert f"{SITE}/{path}," in caught.value.message
    assert "left 1.0" in caught.value.message
    assert "right 1.0" in caught.value.message


def test_a_wheel_cannot_replace_the_interpreter_of_the_environment(tmp_path: Path) -> None:
    wheel = wheels.build(tmp_path, files={"demo-1.0.data/scripts/python": b"#!/bin/sh\n"})
    with pytest.raises(IntegrityError, match="bin/python"):
        merge([("environment", [file(f"{BIN}/python", b"")]), ("demo 1.0", installed(wheel).values())])


def test_conflicts_are_found_without_inflating_a_file(tmp_path: Path) -> None:
    one = wheels.build(tmp_path, "one", files={"x.py": b"same"})
    two = wheels.build(tmp_path, "two", files={"x.py": b"same"})
    entries = [("one", installed(one).values()), ("two", installed(two).values())]
    one.unlink()
    two.unlink()
    assert merge(entries)


def test_hashes_of_different_kinds_are_compared_by_reading(tmp_path: Path) -> None:
    one = wheels.build(tmp_path, "one", files={"x.py": b"same"})
    two = wheels.build(tmp_path, "two", files={"x.py": b"same"})
    with zipfile.ZipFile(two) as archive:
        text = archive.read("two-1.0.dist-info/RECORD").decode()
    text = text.replace(wheels.row("x.py", b"same"), wheels.row("x.py", b"same", "sha512"))
    two = wheels.build(tmp_path, "two", files={"x.py": b"same"}, record=text)
    entries = [("one", installed(one).values()), ("two", installed(two).values())]
    assert len(merge(entries)) == sum(len(each) for _, each in entries) - 1
