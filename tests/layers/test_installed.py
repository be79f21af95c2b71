"""layers.installed: what installers leave becomes what our own way gives, and what is not recorded is refused."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from layers.content import Reader
from layers.entry import Deflated, Entry, Kind, Stored
from layers.errors import IntegrityError
from layers.installed import Installed, like_wheel, read_installed
from layers.wheel import Scheme, read_wheel, wheel_entries
from tests import wheels

SITE = "lib/python3.13/site-packages"
ABOUT = f"{SITE}/demo-1.0.dist-info"
AT = "/build/site-packages"
OWN = frozenset({"bin/python", "pyvenv.cfg"})
FILES = {
    "demo/__init__.py": b"import this\n" * 100,
    "demo/run.sh": b"#!/bin/sh\n",
    "demo-1.0.data/scripts/tool": b"#!python\nprint()\n",
    "demo-1.0.data/scripts/native": b"\x7fELF",
    "demo-1.0.data/scripts/other-script.py": b"#!python\n",
    "demo-1.0.data/scripts/shell": b"#!/bin/sh\n",
    "demo-1.0.data/data/share/man/demo.1": b"man",
    "demo-1.0.data/headers/demo.h": b"header",
}
ENTRY_POINTS = "[console_scripts]\nother = demo:main\npip = demo:main\n"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return wheels.build(tmp_path, files=FILES, entry_points=ENTRY_POINTS, executable=["demo/run.sh"])


def left_by_an_installer(root: Path, wheel: Path) -> Path:
    """Make the tree that an installer leaves, which writes scripts, bytecode and notes in its own way."""
    contents = {
        entry.path.removeprefix("layers/site-packages/"): (entry.mode, content(entry))
        for entry in wheel_entries(read_wheel(wheel), Scheme())
    }
    ours = Scheme().python.encode()
    contents = {
        path: (mode, found.replace(ours, b"/build/site-packages/bin/python3.13"))
        for path, (mode, found) in contents.items()
    }
    for name in ("other", "pip", "pip3.13"):
        contents[f"bin/{name}"] = (0o755, b"#!/build/site-packages/bin/python\nimport sys, re\n")
    contents["bin/other-script.py"] = (0o755, b"#!python\n")
    for name, text in {"INSTALLER": b"pip\n", "REQUESTED": b"", "direct_url.json": b"{}"}.items():
        contents[f"{ABOUT}/{name}"] = (0o644, text)
    rows = [wheels.row(recorded(path), found) for path, (_, found) in contents.items() if not path.endswith("RECORD")]
    rows += [
        f"{recorded(f'{SITE}/demo/__pycache__/__init__.cpython-313.pyc')},,\n",
        f"{recorded(f'{ABOUT}/RECORD')},,\n",
    ]
    contents[f"{ABOUT}/RECORD"] = (0o644, "".join(reversed(rows)).encode())
    contents[f"{SITE}/demo/__pycache__/__init__.cpython-313.pyc"] = (0o644, b"code")
    contents["pyvenv.cfg"] = contents[".lock"] = (0o644, b"")
    for path, (mode, found) in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(found)
        (root / path).chmod(mode)
    (root / "bin/python").symlink_to("/usr/bin/python3.13")
    return root


def recorded(path: str) -> str:
    """Return a path as RECORD has it."""
    return path.removeprefix(f"{SITE}/") if path.startswith(f"{SITE}/") else f"../../../{path}"


def content(entry: Entry) -> bytes:
    return b"".join(Reader().read(entry.content))


def read(root: Path) -> tuple[Installed, ...]:
    return read_installed(root, Scheme(), at=AT, own=OWN)


def plain(entries: Iterable[Entry]) -> Mapping[str, tuple[Kind, int, bytes]]:
    return {entry.path: (entry.kind, entry.mode, content(entry)) for entry in entries}


def test_what_an_installer_leaves_is_what_we_make_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    (found,) = read(left_by_an_installer(tmp_path / "tree", wheel))
    assert (found.name, found.version) == ("demo", "1.0")
    assert plain(found.entries) == plain(wheel_entries(read_wheel(wheel), Scheme()))


def test_what_is_as_in_the_wheel_is_copied_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    root = left_by_an_installer(tmp_path / "tree", wheel)
    (found,) = read(root)
    ours = wheel_entries(read_wheel(wheel), Scheme())
    assert {*like_wheel(found.entries, ours)} == {*ours}


def test_a_difference_from_the_wheel_stays(wheel: Path, tmp_path: Path) -> None:
    root = left_by_an_installer(tmp_path / "tree", wheel)
    changed, rights = (f"{SITE}/demo/__init__.py", b"import that\n" * 100), f"{SITE}/demo/run.sh"
    replace_file(root, *changed)
    (root / rights).chmod(0o644)
    (found,) = read(root)
    alike = {entry.path: entry for entry in like_wheel(found.entries, wheel_entries(read_wheel(wheel), Scheme()))}
    other = alike[f"layers/site-packages/{changed[0]}"]
    assert isinstance(other.content, Stored) and content(other) == changed[1]
    assert alike[f"layers/site-packages/{rights}"].mode == 0o644
    assert isinstance(alike["layers/site-packages/bin/native"].content, Deflated)


def replace_file(root: Path, path: str, new: bytes) -> None:
    """Replace a file, and what RECORD says of it."""
    old = wheels.row(recorded(path), (root / path).read_bytes())
    (root / path).write_bytes(new)
    place = root / ABOUT / "RECORD"
    place.write_text(place.read_text().replace(old, wheels.row(recorded(path), new)))


def test_a_file_that_is_not_what_its_record_says_is_refused_when_it_is_read(wheel: Path, tmp_path: Path) -> None:
    root = left_by_an_installer(tmp_path / "tree", wheel)
    (root / SITE / "demo/__init__.py").write_bytes(b"import evil\n" * 100)
    (found,) = read(root)
    for entries in (found.entries, like_wheel(found.entries, wheel_entries(read_wheel(wheel), Scheme()))):
        with pytest.raises(IntegrityError, match=r"demo/__init__\.py") as caught:
            plain(entries)
        assert caught.value.code == "IB513"


def rewrite(name: str, change: Callable[[str], str]) -> Callable[[Path], object]:
    def rewritten(root: Path) -> None:
        place = root / ABOUT / name
        place.write_text(change(place.read_text()))

    return rewritten


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / SITE / "stray.pth").write_text("import evil\n"), "no RECORD lists .*stray.pth"),
        (lambda root: (root / SITE / "demo/away").symlink_to("__init__.py"), "away' is a link"),
        (lambda root: os.mkfifo(root / SITE / "demo/pipe"), "neither a file, a folder nor a link"),
        (lambda root: (root / SITE / "demo/out").symlink_to("/etc/passwd"), "leads out"),
        (lambda root: (root / SITE / "demo/run.sh").unlink(), "run.sh' is in RECORD of .*, and not there"),
        (lambda root: (root / "bin/other").unlink(), "bin/other' is in RECORD"),
        (rewrite("RECORD", lambda text: text + "../../../../elsewhere,,\n"), "elsewhere', which is elsewhere"),
        (rewrite("RECORD", lambda text: text + "/etc/passwd,,\n"), "passwd', which is elsewhere"),
        (rewrite("RECORD", lambda text: text + "demo/../demo/run.sh,,\n"), "run.sh' twice"),
        (rewrite("RECORD", lambda text: text + "one,field\n"), "2 fields"),
        (rewrite("RECORD", lambda text: text.replace("../../../bin/other,", "demo/x,")), "demo/x' is in RECORD"),
        (rewrite("METADATA", lambda text: text.replace("Name", "Title")), "which project"),
        (rewrite("METADATA", lambda _text: ""), "which project"),
        (rewrite("entry_points.txt", lambda text: f"{text}later = demo:main\n"), "script .*later' is not there"),
        (rewrite("entry_points.txt", lambda text: f"{text}../up = demo:main\n"), "unusable script"),
        (lambda root: (root / ABOUT / "METADATA").unlink(), "METADATA is missing"),
    ],
)  # fmt: skip
def test_what_is_not_as_recorded_is_refused(
    damage: Callable[[Path], object], message: str, wheel: Path, tmp_path: Path
) -> None:
    root = left_by_an_installer(tmp_path / "tree", wheel)
    damage(root)
    with pytest.raises(IntegrityError, match=message) as caught:
        read(root)
    assert caught.value.code == "IB902"
