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
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from layers import content, wheel
from layers.entry import Entry, Kind
from tests.popular import MODULES

pytestmark = pytest.mark.network

SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"
File = tuple[int, bytes]
STATE = re.compile(r"^(lib/python[\d.]+/site-packages/)?[^/]+\.dist-info/(INSTALLER|REQUESTED|direct_url\.json)$")


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    return folder


@pytest.fixture(scope="module")
def theirs(wheels: list[Path], environment: Path) -> Mapping[str, File]:
    """Install all wheels by pip into one environment; return mode and bytes of each file by path."""
    before = set(files(environment))
    python = str(environment / "bin" / "python")
    pip("--python", python, "install", "--no-compile", "--no-deps", "--no-index", *map(str, wheels))
    return {
        name: (stat.S_IMODE((environment / name).stat().st_mode), (environment / name).read_bytes())
        for name in files(environment)
        if name not in before and not STATE.search(name)
    }


def files(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.fixture(scope="module")
def ours(wheels: list[Path], environment: Path) -> Mapping[str, File]:
    """Lay out the same wheels for the same environment."""
    scheme = wheel.Scheme("env", SERIES, str(environment / "bin" / "python"))
    found: dict[str, File] = {}
    with closing(content.Reader()) as reader:
        for path in wheels:
            entries: tuple[Entry, ...] = wheel.wheel_entries(wheel.read_wheel(path), scheme)
            for entry in entries:
                if entry.kind is Kind.FILE:
                    file = (entry.mode, b"".join(reader.read(entry.content)))
                    # Of different files at one path it would matter which wheel comes last.
                    assert found.setdefault(entry.path.removeprefix("env/"), file) == file, (path, entry.path)
    return found


def record(text: bytes, generated: set[str]) -> set[tuple[str, ...]]:
    """Rows of a RECORD; of generated scripts only the name."""
    rows = (tuple(row) for row in csv.reader(io.StringIO(text.decode())) if row and not STATE.search(row[0]))
    return {row[:1] if row[0].removeprefix("../../../") in generated else row for row in rows}


def test_every_wheel_is_installed_as_pip_installs_it(theirs: Mapping[str, File], ours: Mapping[str, File]) -> None:
    assert list(differences(theirs, ours)) == []


def differences(theirs: Mapping[str, File], ours: Mapping[str, File]) -> Iterator[str]:
    stripped = {name for name in theirs if name.endswith(".pyc")}
    generated = {name for name in theirs if name.startswith("bin/") and b"sys.exit(" in theirs[name][1]}
    for name in sorted((theirs.keys() - stripped) ^ ours.keys()):
        yield f"only {'pip' if name in theirs else 'we'} installed {name}"
    for name in sorted(theirs.keys() & ours.keys()):
        if theirs[name][0] != ours[name][0]:
            yield f"mode of {name} is {ours[name][0]:o}, pip has {theirs[name][0]:o}"
        if name.endswith(".dist-info/RECORD"):
            if rows := record(theirs[name][1], generated) ^ record(ours[name][1], generated):
                yield f"{name} differs: {sorted(rows)}"
        elif name not in generated and theirs[name][1] != ours[name][1]:
            yield f"bytes of {name} differ"
