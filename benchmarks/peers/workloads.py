"""The applications that are built, and what changes in them."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.peers.world import sha256

PACKAGES = {
    "tiny": ("flask", "gunicorn"),
    # redis needs async-timeout on the Python of the base, but pip asks its own for the version.
    "medium": ("django", "psycopg[binary]", "celery", "redis", "async-timeout", "boto3"),
    "large": ("pandas", "scikit-learn", "matplotlib", "jupyter"),
}
FILES = "files"
FILES_COUNT, FILES_BYTES = 20_000, 2_000_000_000
WORKLOADS = (*PACKAGES, FILES)
OLD, NEW, ADDED = "packaging==24.1", "packaging==24.2", "humanize"
SERIES = "3.11"
MODULES, LINES = 200, 60
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux2014", "manylinux_2_12", "manylinux2010")


@dataclass(frozen=True)
class Application:
    """A folder to build, and the files that pin its packages, by what has happened to them."""

    folder: Path
    pins: Path

    def take(self, variant: str) -> None:
        """Let its packages be those of a variant: `first`, `added` or `bumped`."""
        for file in (self.pins / variant).iterdir():
            if not (there := self.folder / file.name).exists() or there.read_bytes() != file.read_bytes():
                shutil.copyfile(file, there)

    def change(self, word: str) -> None:
        """Change one source file."""
        (self.folder / "changed.py").write_text(f"WORD = {word!r}\n")


def fetch(place: Path, workload: str) -> tuple[Path, ...]:
    """Download the wheels of a workload, once, as pip is configured; return them."""
    folder = place / "wheels" / workload
    if not folder.exists():
        _download(folder, *PACKAGES[workload], OLD)
    more = place / "wheels" / "more"
    if not more.exists():
        _download(more, "--no-deps", ADDED, NEW)
    return tuple(sorted(folder.iterdir()))


def _download(folder: Path, *words: str) -> None:
    platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_x86_64")]
    command = [sys.executable, "-m", "pip", "download", "-qq", "--only-binary", ":all:", "--python-version", SERIES]
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    subprocess.run([*command, *platforms, "--platform", "any", "-d", str(unfinished), *words], check=True)
    unfinished.rename(folder)


def requirements(wheels: Iterable[Path]) -> str:
    """Return a requirements file that names these wheels with their hashes."""
    lines = []
    for wheel in sorted(wheels):
        name, version = wheel.name.split("-")[:2]
        lines.append(f"{name}=={version} --hash=sha256:{sha256(wheel)}\n")
    return "".join(lines)


def write(place: Path, workload: str, scale: float) -> Application:
    """Write an application and the requirements of its variants; whoever locks adds what else pins them."""
    wheels = fetch(place, "tiny" if workload == FILES else workload)
    more = {wheel.name.split("-")[0]: wheel for wheel in (place / "wheels" / "more").iterdir()}
    added = (*wheels, more[ADDED])
    bumped = (*(wheel for wheel in added if not wheel.name.startswith("packaging-")), more["packaging"])
    application = Application(place / "applications" / workload, place / "pins" / workload)
    for variant, chosen in {"first": wheels, "added": added, "bumped": bumped}.items():
        (application.pins / variant).mkdir(parents=True)
        (application.pins / variant / "requirements.txt").write_text(requirements(chosen))
    modules = (
        {"count": int(FILES_COUNT * scale), "size": FILES_BYTES // FILES_COUNT}
        if workload == FILES
        else {"count": MODULES, "size": 2_500}
    )
    write_modules(application.folder, **modules)
    return application


def write_modules(folder: Path, *, count: int, size: int) -> None:
    """Write a program of so many modules of about so many bytes, as compressible as source code is, always the same."""
    source = random.Random(count)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz_", k=source.randint(3, 12))) for _ in range(4_000)]
    pool = " ".join(source.choices(words, k=max(size // 3, 20_000))).encode()
    for number in range(count):
        module = folder / f"part_{number // 100}" / f"module_{number}.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        start = source.randrange(max(len(pool) - size, 1))
        module.write_bytes(b"NUMBER = %d\nTEXT = '''" % number + pool[start : start + size] + b"'''\n")
    (folder / "app.py").write_text("print('ready')\n")
    (folder / "changed.py").write_text("WORD = 'none'\n")
    (folder / "imagebuilder.toml").write_text('entry = "python app.py"\n')
    (folder / ".dockerignore").write_text("imagebuilder.*\n.dockerignore\n")


def refreshed(application: Application, folder: Path) -> Application:
    """Return a copy as a checkout makes it: the times are new."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(application.folder, folder, copy_function=shutil.copyfile)
    return replace(application, folder=folder)


def settle() -> None:
    """Wait until files are no longer so young that whoever compares times has to read them again."""
    time.sleep(2.5)
