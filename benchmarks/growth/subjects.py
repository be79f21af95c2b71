"""What grows: applications of more and more files, packages, or bytes; the same each time.

    python -m benchmarks.growth.subjects PLACE SUBJECT SIZE

It is a process of its own, since the peak memory of what a process starts is at least its own.
"""

import random
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.workloads import Application, requirements
from tests import wheels

# How large each is made; the rest of the application stays as it is.
SIZES = {
    "files": (100, 1_000, 3_000, 10_000, 30_000, 100_000),
    "packages": (1, 3, 10, 30, 100, 300),
    "bytes": (1_000_000, 10_000_000, 100_000_000, 500_000_000, 1_000_000_000, 2_000_000_000),
}
UNITS = {"files": "files of 1 kB", "packages": "packages", "bytes": "bytes in 100 files"}
FILE_BYTES, FILES = 1_000, 100
PIECE = 100_000
# Larger wheels would make the number of bytes grow by leaps.
LARGEST_WHEEL = 1_000_000
# Of a wheel's files, and how well such text is compressed.
MODULE, RATIO = 12_000, 2.9


def application(place: Path, subject: str, size: int) -> Application:
    """Write an application anew."""
    command = [sys.executable, "-m", "benchmarks.growth.subjects", str(place), subject, str(size)]
    subprocess.run(command, check=True)
    return Application(place / "application", place / "pins")


def shelf(place: Path) -> dict[str, Path]:
    """Return all wheels that applications ask for, by their names; make them, once."""
    if not (place / "wheels of growth").exists():
        application(place, "packages", SIZES["packages"][-1])
    return {wheel.name: wheel for wheel in sorted((place / "wheels of growth").iterdir())}


def _write(place: Path, subject: str, size: int) -> None:
    for folder in ("application", "pins"):
        shutil.rmtree(place / folder, ignore_errors=True)
    (place / "pins" / "first").mkdir(parents=True)
    if subject == "packages":
        chosen = _wheels(place / "wheels of growth", size)
        (place / "pins" / "first" / "requirements.txt").write_text(requirements(chosen))
    counts = {"files": (size, FILE_BYTES), "packages": (1, FILE_BYTES), "bytes": (FILES, size // FILES)}
    _write_files(place / "application", *counts[subject])
    (place / "application" / "app.py").write_text("print('ready')\n")
    (place / "application" / "changed.py").write_text("WORD = 'none'\n")
    (place / "application" / "imagebuilder.toml").write_text('entry = "python app.py"\n')


def _write_files(folder: Path, count: int, size: int) -> None:
    text, source = _text(), random.Random(count)
    for number in range(count):
        path = folder / f"part_{number // 100}" / f"file_{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for left in range(size, 0, -PIECE):
                start = source.randrange(len(text) - PIECE)
                file.write(text[start : start + min(PIECE, left)])


def _text() -> bytes:
    """Return a megabyte that can be compressed as source code can: parts of it are what everything is made of."""
    source = random.Random(0)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz_", k=source.randint(3, 12))) for _ in range(4_000)]
    return " ".join(source.choices(words, k=120_000)).encode()


def _wheels(folder: Path, count: int) -> list[Path]:
    """Return so many wheels that are as large as real ones; make them, once. Any first of them have about one mean."""
    rows = (Path(__file__).parent.parent / "wheel_sizes.txt").read_text().splitlines()
    sizes = sorted(size for size in (int(row.split()[1]) for row in rows) if size <= LARGEST_WHEEL)
    return [_wheel(folder, number, sizes[int(_share(number) * len(sizes))]) for number in range(count)]


def _share(number: int) -> float:
    """Return the numbers between 0 and 1 each where it is farthest from those before: 1/2, 1/4, 3/4, 1/8, …"""
    return int(f"{number + 1:b}"[::-1], 2) / (1 << (number + 1).bit_length())


def _wheel(folder: Path, number: int, size: int) -> Path:
    name = f"package_{number:03}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    if path.exists():
        return path
    text, source = _text(), random.Random(number)
    starts = [source.randrange(len(text) - MODULE) for _ in range(max(1, int(size * RATIO / MODULE)))]
    modules = {f"{name}/part_{each}.py": text[start : start + MODULE] for each, start in enumerate(starts)}
    folder.mkdir(parents=True, exist_ok=True)
    return wheels.build(folder, name, files={f"{name}/__init__.py": b"", **modules})


if __name__ == "__main__":
    _write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
