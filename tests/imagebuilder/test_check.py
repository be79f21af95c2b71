"""The check of the command line: real builds in a world on loopback; builders and commands that leak what they see."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from imagebuilder import arguments, config
from imagebuilder.check import command as checking
from imagebuilder.console import Console
from layers.errors import BuildError, StorageError
from reproducibility.scenarios import SCENARIOS, USUAL
from tests import careless_builder, world
from tests.test_same_digest import NOBODY, python_of_nobody
from tests.world import World

APP = {"requirements.txt": "flask\n", "main.py": "import flask\n", **{f"data/{name}": name for name in "abcdef"}}

# Commands that let one thing of the machine into a file, and what the difference is put down to.
LEAKS = {
    "source": ("pwd", "build-path"),
    "temp": ('echo "$TMPDIR"', "build-path"),
    "clock": ("date -u", "timestamp"),
    "zone": ("date +%z", "time-zone"),
    "locale": ('echo "$LC_ALL"', "locale"),
    "umask": ("umask", "umask"),
    "user": ("id -u", "user"),
    "home": ('echo "$HOME"', "user"),
    "hostname": ("uname -n", "hostname"),
    "noise": ('echo "$RANDOM_NOISE"', "environment"),
    "hashseed": (f"{sys.executable} -c 'print({{str(number) for number in range(20)}})'", "set-order"),
    "cpus": ("nproc", "parallelism"),
    "order": ("ls -U data", "file-order"),
    "filesystem": ('stat -f -c %T "$TMPDIR"', "file-order"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world.running(tmp_path_factory.mktemp("world")) as found:
        found.app(APP)
        yield found


def checked(place: World, *flags: str, **environment: str) -> dict[str, object]:
    """Check with the real builder and return the document."""
    ran = place.run("check", "app", "--json", *flags, **environment)
    assert ran.returncode in (0, 1), ran.stderr
    document: dict[str, object] = json.loads(ran.stdout)
    assert document["same"] is (ran.returncode == 0)
    return document


def check_with(place: World, faults: str, *flags: str) -> int:
    """Check with the careless builder."""
    given = arguments.parse(["check", str(place.folder / "app"), "--json", *flags], "0")
    chosen = config.choose(given, place.environment)
    program = (sys.executable, careless_builder.__file__, faults)
    return checking.check(chosen, Console(chosen.values, place.environment), program=program)


def varied(document: Mapping[str, object]) -> dict[str, str]:
    scenarios = document["scenarios"]
    assert isinstance(scenarios, dict)
    return dict(scenarios["builds"][1]["varied"])


def not_varied(document: Mapping[str, object]) -> dict[str, str]:
    scenarios = document["scenarios"]
    assert isinstance(scenarios, dict)
    return dict(scenarios["not_varied"])


def found(document: Mapping[str, object]) -> dict[str, tuple[str, set[str]]]:
    """Causes and variations to blame by the name of a file, without what only follows."""
    differences = document["differences"]
    assert isinstance(differences, list)
    return {
        str(one["path"]).rpartition("/")[2]: (one["cause"], set(one["blamed"]))
        for one in differences
        if not one["follows"]
    }


def left_behind(place: World) -> list[str]:
    return [path.name for path in (place.folder / "cache" / "scratch").iterdir() if path.name != "lock"]


def test_a_clean_application_is_the_same_whatever_is_varied(place: World) -> None:
    document = checked(place)
    assert document["same"]
    assert varied(document).keys() | not_varied(document).keys() == SCENARIOS.keys()
    assert varied(document).keys() & not_varied(document).keys() == set()
    assert not (place.folder / "app" / "imagebuilder.lock").exists()
    assert left_behind(place) == []


def test_what_decides_the_image_reaches_every_build(place: World) -> None:
    flags = ("--vary", "zone", "--compression", "none", "--created", "2026-01-31T12:00:00Z")
    document = checked(place, *flags, IMAGEBUILDER_PACKAGES="libpq5")
    layers = document["images"][0]["layers"]  # type: ignore[index]
    assert document["same"]
    assert {one["media_type"] for layer in layers for one in layer["left"]} == {
        "application/vnd.oci.image.layer.v1.tar"
    }
    assert "debian:trixie packages" in {one["name"] for layer in layers for one in layer["right"]}


def test_everything_can_be_fetched_anew_with_the_right_clock_and_home(place: World) -> None:
    document = checked(place, "--vary", "all,downloads", "--builds", "3")
    assert document["same"]
    assert varied(document)["downloads"] == "anew, 1 at a time"
    assert not_varied(document).keys() >= {"clock", "home"}
    assert len(document["scenarios"]["builds"]) == 3  # type: ignore[index]


def test_a_time_that_is_that_of_the_build_is_found_in_the_document(place: World) -> None:
    document = checked(place, "--vary", "clock", "--created", "now")
    assert found(document)["created"][1] == {"clock"}


def test_a_command_that_leaks_everything_is_blamed_piece_by_piece(
    place: World, capsys: pytest.CaptureFixture[str]
) -> None:
    leaks = "; ".join(f"{command} > {name}.txt" for name, (command, _) in LEAKS.items())
    assert check_with(place, "", "--prepare", f"{leaks}; cat /proc/sys/kernel/random/uuid > chance.txt") == 1
    document = json.loads(capsys.readouterr().out)
    expected = {f"{name}.txt": (cause, {name}) for name, (_, cause) in LEAKS.items() if name in varied(document)}
    assert set(USUAL) - varied(document).keys() == not_varied(document).keys() - {"downloads", "engine"}
    assert found(document) == {**expected, "chance.txt": ("random", {"chance"})}
    assert left_behind(place) == []


def test_faults_of_a_builder_are_blamed_one_by_one(place: World, capsys: pytest.CaptureFixture[str]) -> None:
    faults = "listing,mode,mtime,owner,path,store,temp,workers"
    assert check_with(place, faults, "--vary", "source,temp,umask,user,cpus,order") == 1
    document = json.loads(capsys.readouterr().out)
    differences = document["differences"]
    blamed = {
        (one["path"].rpartition("/")[2], one["aspect"]): set(one["blamed"]) for one in differences if not one["follows"]
    }
    expected = {
        ("path.txt", "content"): {"source"},
        ("main.py", "mtime"): {"source"},
        ("store.txt", "content"): {"temp"},
        ("temp.txt", "content"): {"temp"},
        ("main.py", "mode"): {"umask"},
        ("main.py", "owner"): {"user"},
        ("workers.txt", "content"): {"cpus"},
        ("", "order"): {"order"},
    }
    possible = varied(document).keys()
    assert {place: names for place, names in blamed.items() if place in expected} == {
        place: names for place, names in expected.items() if names <= possible
    }


def test_a_command_that_fails_is_told_with_its_last_lines(place: World) -> None:
    with pytest.raises(BuildError) as caught:
        check_with(place, "", "--prepare", "echo one; echo two >&2; exit 3")
    assert caught.value.code == "IB832"
    assert caught.value.message == "the command given with --prepare failed with exit code 3"
    assert caught.value.details == ("one", "two")
    assert left_behind(place) == []


def test_a_build_that_fails_only_under_other_conditions_is_told_with_them(place: World) -> None:
    with pytest.raises(BuildError) as caught:
        check_with(place, "fails", "--vary", "umask")
    assert caught.value.code == "IB833"
    assert caught.value.message == "build 2, umask failed with exit code 4"
    assert caught.value.details == ("warming up", "no rights to that")


def test_a_build_that_fails_as_it_is_is_told_as_it_told_it(place: World) -> None:
    with pytest.raises(StorageError) as caught:
        check_with(place, "refuses", "--vary", "umask")
    assert (caught.value.code, caught.value.message) == ("IB601", "cannot use x: the disk is full")


def test_an_application_that_nobody_can_build_is_told_before_the_first_build(place: World) -> None:
    place.app({"readme": "nothing"}, "empty")
    ran = place.run("check", "empty")
    assert (ran.returncode, ran.stdout) == (3, "")


@pytest.mark.parametrize(
    ("flags", "code", "hint"),
    [
        (("--vary", "clok"), "IB830", "did you mean `clock`?"),
        (("--vary", "zone,-umusk"), "IB830", "did you mean `umask`?"),
        (("--vary", "clock,downloads"), "IB831", "leave it out"),
        (("--vary", "downloads", "--offline"), "IB831", "leave it out"),
        (("--builds", "1"), "IB101", "give 2 to 20"),
        (("--builds", "many"), "IB101", "give 2 to 20"),
    ],
)
def test_a_check_that_cannot_be_is_refused(place: World, flags: tuple[str, ...], code: str, hint: str) -> None:
    ran = place.run("check", "app", *flags)
    assert ran.returncode == 2
    assert code in ran.stderr
    assert hint in ran.stderr


def test_what_to_vary_is_named_or_left_out() -> None:
    assert checking.selection(()) == (USUAL, frozenset())
    assert checking.selection(("zone, umask", "clock")) == (("clock", "zone", "umask"), {"zone", "umask", "clock"})
    assert checking.selection(("all,-clock",)) == (tuple(name for name in USUAL if name != "clock"), frozenset())
    assert checking.selection(("-clock",)) == checking.selection(("all,-clock",))
    assert checking.selection(("all,downloads,engine",)) == (tuple(SCENARIOS), {"downloads", "engine"})


def test_an_interrupted_check_leaves_neither_processes_nor_folders(place: World) -> None:
    mark = place.folder / "running"
    command = f"echo $$ > {mark}; sleep 300"
    running = subprocess.Popen(
        [sys.executable, "-m", "imagebuilder", "check", "app", "--vary", "zone", "--prepare", command],
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 60
        while not (mark.exists() and mark.read_text().strip()):
            assert time.monotonic() < until
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()
    assert left_behind(place) == []


@pytest.mark.root
@pytest.mark.parametrize("size", ["64k", "300k"])
def test_a_full_disk_is_told_as_one(place: World, tmp_path: Path, size: str) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(small)], check=True)
    try:
        (small / "filler").write_bytes(bytes(32 << 10))
        ran = place.run("check", "app", "--vary", "zone", "--cache-dir", str(small / "cache"))
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert ran.returncode == 7
    assert "IB601" in ran.stderr
    assert "the disk is full" in ran.stderr


@pytest.mark.root
def test_an_unprivileged_user_can_check_and_vary_as_much(place: World) -> None:
    own = Path("/tmp") / f"imagebuilder-check-of-nobody-{os.getpid()}"
    try:
        shutil.copytree(place.folder / "app", own / "app")
        python, path = python_of_nobody(own)
        for each in [own, *own.rglob("*")]:
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
        ours = {"HOME": str(own), "IMAGEBUILDER_CACHE_DIR": str(own / "cache"), "PYTHONPATH": path}
        keyring = shutil.copy(place.mirror.keyring, own / "keyring")
        ran = subprocess.run(
            [python, "-P", "-m", "imagebuilder", "check", "app", "--json"],
            cwd=own,
            env={**place.environment, **ours, "IMAGEBUILDER_DEBIAN_KEYRING": str(keyring)},
            capture_output=True,
            text=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            check=False,
        )
        document = json.loads(ran.stdout)
    finally:
        shutil.rmtree(own)
    assert document["same"]
    assert varied(document).keys() | not_varied(document).keys() == SCENARIOS.keys()
    assert {"source", "temp", "zone", "umask", "home"} <= varied(document).keys()
