"""What users get wrong, and what goes wrong for them: a clear error with its exit code, and nothing half-written."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import world
from tests.world import World

FLASK = {"requirements.txt": "flask\n", "main.py": "import flask\n"}
MARKUP = re.compile(r"\x1b|Traceback")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    with world.running(tmp_path) as found:
        yield found


@dataclass(frozen=True)
class Mistake:
    """Files of an application, what is done to it, flags; the exit code, the error code and words that must be told."""

    exit_code: int
    code: str
    tells: tuple[str, ...]
    files: dict[str, str]
    flags: tuple[str, ...] = ()


MISTAKES = {
    "an empty folder": Mistake(3, "IB300", ("requirements.txt",), {}),
    "requirements that are not there": Mistake(
        2, "IB400", ("prod.txt",), {"main.py": "", "imagebuilder.toml": 'requirements = ["prod.txt"]\n'}
    ),
    "a nested file that is not there": Mistake(
        4, "IB401", ("base.txt", "requirements.txt:1"), {"requirements.txt": "-r base.txt\n"}
    ),
    "malformed requirements": Mistake(4, "IB402", ("requirements.txt:2",), {"requirements.txt": "flask\nflask==\n"}),
    "an unknown package": Mistake(4, "IB405", ("flaskk",), {"requirements.txt": "flaskk\n"}),
    "a hash that no file has": Mistake(
        6, "IB409", ("click",), {"requirements.txt": f"click==8.3.0 --hash=sha256:{'0' * 64}\n"}
    ),
    "no wheel for the target": Mistake(4, "IB407", ("windows-only",), {"requirements.txt": "windows-only\n"}),
    "a package for another Python": Mistake(4, "", ("future", "3.99"), {"requirements.txt": "future\n"}),
    "a Python that no package gives": Mistake(
        4, "IB301", ("3.99", "3.13"), {"main.py": "", ".python-version": "3.99\n"}
    ),
    "a Python version that is none": Mistake(
        2, "IB303", (".python-version",), {"main.py": "", ".python-version": "x y\n"}
    ),
    "a misspelt key": Mistake(
        2, "IB102", ("`packages`",), {"main.py": "", "pyproject.toml": "[tool.imagebuilder]\npackges = []\n"}
    ),
    "a misspelt flag": Mistake(2, "IB100", ("--locked",), {"main.py": ""}, ("--lokced",)),
    "an OS package that is not there": Mistake(
        4, "IB554", ("libpq6", "libpq5"), {"main.py": "", "imagebuilder.toml": 'packages = ["libpq6"]\n'}
    ),
    "a base that is not offered": Mistake(2, "IB556", ("trixy",), {"main.py": ""}, ("--base", "debian:trixy")),
    "a lock that does not fit": Mistake(4, "IB430", ("no pins",), FLASK, ("--locked",)),
    "nothing in the cache": Mistake(4, "", ("offline",), FLASK, ("--offline",)),
}


def said(ran: subprocess.CompletedProcess[str], exit_code: int, code: str, *tells: str) -> None:
    """Check an error: its exit code, its shape, and what it tells; stdout stays empty."""
    assert ran.returncode == exit_code, ran.stderr
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("error["))
    assert lines[at].startswith(f"error[{code}" if code else "error[IB")
    assert len(lines) - at <= 5
    assert lines[-1].startswith("  more:  imagebuilder explain IB")
    assert any(line.startswith("  hint:  ") for line in lines)
    for words in tells:
        assert words in ran.stderr
    assert not MARKUP.search(ran.stderr)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_code_and_leaves_no_image(place: World, mistake: Mistake) -> None:
    app = place.app(mistake.files)
    said(place.run("build", str(app), *mistake.flags), mistake.exit_code, mistake.code, *mistake.tells)
    assert not (place.folder / "dist").exists()
    assert not (app / "imagebuilder.lock").exists()


def test_a_world_without_mistakes_gives_an_image(place: World) -> None:
    built = place.run("build", str(place.app(FLASK)))
    assert built.returncode == 0, built.stderr
    assert re.fullmatch(r"oci:dist/app\.oci@sha256:[0-9a-f]{64}\n", built.stdout)


def test_a_malformed_source_date_epoch_stops_the_build(place: World) -> None:
    said(place.run("build", str(place.app(FLASK)), SOURCE_DATE_EPOCH="abc"), 2, "IB", "SOURCE_DATE_EPOCH", "abc")


def test_an_unreachable_index_is_a_passing_trouble(place: World) -> None:
    ran = place.run(
        "build", str(place.app(FLASK)), PIP_INDEX_URL="http://user:secret@127.0.0.1:1/simple", UV_HTTP_RETRIES="1"
    )
    said(ran, 75, "IB70", "127.0.0.1")
    assert "secret" not in ran.stderr


def test_an_unreachable_mirror_is_a_passing_trouble(place: World) -> None:
    ran = place.run("build", str(place.app(FLASK)), IMAGEBUILDER_DEBIAN_MIRROR="http://127.0.0.1:1/debian")
    said(ran, 75, "IB70", "127.0.0.1")


def test_an_index_signature_that_was_tampered_with_is_refused(place: World) -> None:
    path = "/debian/dists/trixie/InRelease"
    place.mirror.files[path] = place.mirror.files[path].replace(b"Origin: Debian", b"Origin: Debiam")
    said(place.run("build", str(place.app(FLASK))), 6, "IB550", "not signed")


def locked(place: World) -> Path:
    app = place.app(FLASK)
    assert place.run("lock", str(app)).returncode == 0
    return app


def test_a_package_that_was_tampered_with_is_refused(place: World) -> None:
    app = locked(place)
    path = next(path for path in place.mirror.files if "/libexpat1_" in path)
    place.mirror.files[path] = place.mirror.files[path][:-1] + b"\n\n"
    said(place.run("build", str(app)), 6, "IB", "libexpat1")


def test_a_wheel_that_was_tampered_with_is_refused(place: World) -> None:
    app = locked(place)
    shutil.rmtree(place.folder / "cache")
    place.index.faults["click-8.3.0"] = ["wrong"] * 9
    said(place.run("build", str(app)), 6, "IB", "click")


def test_a_package_that_left_the_mirror_is_found_in_the_snapshot_archive(place: World) -> None:
    app = locked(place)
    moment = re.search(r'snapshot = "(\w+)"', (app / "imagebuilder.lock").read_text())
    assert moment
    package = next(package for package in world.PYTHON if package.name == "libexpat1")
    place.mirror.archive(package, moment=moment[1])
    assert place.run("build", str(app), "--locked").returncode == 0


def test_a_read_only_cache_is_told_with_a_way_out(place: World) -> None:
    app = locked(place)
    sealed = place.folder / "sealed"
    sealed.touch()  # a file where a folder has to be: refused for root too
    said(place.run("build", str(app), IMAGEBUILDER_CACHE_DIR=str(sealed / "cache")), 7, "IB601", "--cache-dir")


@pytest.mark.root
def test_a_full_disk_is_told_and_nothing_half_written_stays(place: World) -> None:
    app = locked(place)
    small = place.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        said(place.run("build", str(app), IMAGEBUILDER_CACHE_DIR=str(small / "cache")), 7, "IB601", "full")
        blobs = small / "cache" / "blobs" / "sha256"
        assert [path.name for path in blobs.iterdir() if path.name.startswith(".")] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_link_out_of_the_application_is_refused(place: World) -> None:
    app = place.app(FLASK)
    (app / "passwords").symlink_to("../../etc/passwd")
    said(place.run("build", str(app)), 2, "IB60", "passwords")


def test_a_file_that_changes_while_it_is_read_stops_the_build(place: World) -> None:
    app = locked(place)
    growing = app / "growing.txt"
    growing.write_bytes(b"x" * (64 << 20))
    stop = threading.Event()

    def grow() -> None:
        with growing.open("ab") as file:
            while not stop.wait(0.001):
                file.write(b"x")
                file.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        said(place.run("build", str(app)), 7, "IB602", "growing.txt")
    finally:
        stop.set()
        thread.join()


def test_an_interrupted_build_ends_as_its_signal_says_and_can_be_repeated(place: World) -> None:
    app = locked(place)
    shutil.rmtree(place.folder / "cache")
    (app / "large.bin").write_bytes(os.urandom(64 << 20))
    with subprocess.Popen(
        [sys.executable, "-m", "imagebuilder", "build", str(app)],
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as running:
        wait_for(lambda: any((place.folder / "cache").glob("blobs/sha256/.partial-*")))
        running.terminate()
        running.communicate(timeout=30)
    assert running.returncode == 143
    assert not any((place.folder / "cache").glob("blobs/sha256/.partial-*"))
    assert place.run("build", str(app), "--locked").returncode == 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
