"""What the wheels engine installs is what pip installs: same paths, bytes and modes, but for the listed differences.

The differences are those of docs/format.md: no bytecode, no state of the installer, scripts of entry points from one
template, RECORD sorted and without lines for what is not there.
"""

import csv
import io
import re
import stat
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from layers import content, wheel
from layers.entry import Entry, Kind
from tests.popular import MODULES

pytestmark = pytest.mark.network

SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"
STATE = re.compile(r"^(lib/python[\d.]+/site-packages/)?[^/]+\.dist-info/(INSTALLER|REQUESTED|direct_url\.json)$")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("wheels")
    pip("download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), *MODULES)
    found = sorted(folder.glob("*.whl"))
    assert len(found) == len(MODULES) >= 96
    return found


def pip(*arguments: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def installed_by_pip(path: Path, folder: Path) -> dict[str, tuple[int, bytes]]:
    """Install one wheel into an environment of its own; return mode and bytes of each file by path."""
    venv.create(folder, with_pip=False)
    before = set(files(folder))
    pip("--python", str(folder / "bin" / "python"), "install", "--no-compile", "--no-deps", "--no-index", str(path))
    return {
        name: (stat.S_IMODE((folder / name).stat().st_mode), (folder / name).read_bytes())
        for name in files(folder)
        if name not in before and not STATE.search(name)
    }


def files(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def installed_by_us(path: Path, folder: Path) -> dict[str, tuple[int, bytes]]:
    scheme = wheel.Scheme("env", SERIES, str(folder / "bin" / "python"))
    entries: tuple[Entry, ...] = wheel.wheel_entries(wheel.read_wheel(path), scheme)
    with closing(content.Reader()) as reader:
        return {
            entry.path.removeprefix("env/"): (entry.mode, b"".join(reader.read(entry.content)))
            for entry in entries
            if entry.kind is Kind.FILE
        }


def record(text: bytes, generated: set[str]) -> set[tuple[str, ...]]:
    """Rows of a RECORD; of generated scripts only the name."""
    rows = (tuple(row) for row in csv.reader(io.StringIO(text.decode())) if row and not STATE.search(row[0]))
    return {row[:1] if row[0].removeprefix("../../../") in generated else row for row in rows}


def test_every_wheel_is_installed_as_pip_installs_it(wheels: list[Path], tmp_path: Path) -> None:
    differences = [line for number, path in enumerate(wheels) for line in compare(path, tmp_path / str(number))]
    assert differences == []


def compare(path: Path, folder: Path) -> Iterator[str]:
    theirs, ours = installed_by_pip(path, folder), installed_by_us(path, folder)
    stripped = {name for name in theirs if name.endswith(".pyc")}
    generated = {name for name in theirs if name.startswith("bin/") and b"sys.exit(" in theirs[name][1]}
    for name in sorted((theirs.keys() - stripped) ^ ours.keys()):
        yield f"{path.name}: only {'pip' if name in theirs else 'we'} installed {name}"
    for name in sorted(theirs.keys() & ours.keys()):
        if theirs[name][0] != ours[name][0]:
            yield f"{path.name}: mode of {name} is {ours[name][0]:o}, pip has {theirs[name][0]:o}"
        if name.endswith(".dist-info/RECORD"):
            if rows := record(theirs[name][1], generated) ^ record(ours[name][1], generated):
                yield f"{path.name}: RECORD differs: {sorted(rows)}"
        elif name not in generated and theirs[name][1] != ours[name][1]:
            yield f"{path.name}: bytes of {name} differ"
