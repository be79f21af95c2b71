"""Every system call with which a build writes to the cache or an image, failing or being the last that it makes.

strace enumerates the calls of one small build; then the build is repeated once for each, with an error in its place
(ENOSPC, EIO, EACCES) or a SIGKILL. Whatever comes of it: nothing half-written has the name of something whole, and the
next build gives the same image. A sample is tried; `--all-faults` tries all.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagebuilder import cli
from tests import world
from tests.world import World

CALLS = ("write", "fsync", "rename", "mkdir", "chmod", "unlink", "rmdir", "flock")
FAULTS = ("ENOSPC", "EIO", "EACCES", "SIGKILL")
# strace could not tell the store's files from the interpreter's, which are opened by the same call in the same thread.
OPENING = """
import itertools, os, sys
turns = itertools.count(1)
def hook(event, told):
    if event == "open" and isinstance(told[0], str) and told[0].startswith({places!r}):
        print("opened", file=open({log!r}, "a"))
        if next(turns) == {turn}:
            {fault}
sys.addaudithook(hook)
sys.argv = ["imagebuilder", *{words!r}]
from imagebuilder import cli
sys.exit(cli.main())
"""


@dataclass(frozen=True)
class Subject:
    """An application with its lock; how often one thread makes each call, and the digest of a build without faults."""

    place: World
    app: Path
    turns: Mapping[str, int]
    result: str

    @property
    def words(self) -> list[str]:
        return ["build", str(self.app), "--locked", "-q", "-o", f"oci:{self.place.folder}/out"]

    def clear(self) -> None:
        for name in ("cache", "out"):
            shutil.rmtree(self.place.folder / name, ignore_errors=True)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.place.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def strace(self, *flags: str) -> subprocess.CompletedProcess[str]:
        log = self.place.folder / "calls"
        program = (sys.executable, "-m", "imagebuilder", *self.words)
        return self.run("strace", "-f", "-y", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *flags, *program)

    def opening(self, turn: int, fault: str) -> subprocess.CompletedProcess[str]:
        """Build, with a fault at the file of the store that is opened as the so manieth."""
        error = f"raise OSError({getattr(errno, fault, 0)}, 'injected', told[0])"
        code = OPENING.format(
            places=(f"{self.place.folder}/cache", f"{self.place.folder}/out"),
            log=str(self.place.folder / "opened"),
            turn=turn,
            fault="os.kill(os.getpid(), 9)" if fault == "SIGKILL" else error,
            words=self.words,
        )
        return self.run(sys.executable, "-c", code)


def _problem() -> str:
    """Say why no process can be traced here; nothing if one can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    ran = subprocess.run(["strace", "-o", os.devnull, "true"], check=False)
    return "" if ran.returncode == 0 else "no process may be traced"


pytestmark = pytest.mark.skipif(bool(_problem()), reason=_problem())


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with world.running(tmp_path_factory.mktemp("faults")) as place:
        app = place.app({"requirements.txt": "flask\n", "main.py": "import flask\n"})
        assert place.run("lock", str(app)).returncode == 0
        counting = Subject(place, app, {}, "")
        counting.clear()
        ran = counting.strace()
        assert ran.returncode == 0, ran.stderr
        made: Counter[tuple[str, str]] = Counter()
        for line in (place.folder / "calls").read_text().splitlines():
            if found := re.match(r"(\d+) +(\w+)\(", line):
                made[found[1], found[2]] += 1
        turns = {call: max([number for (_, name), number in made.items() if name == call], default=0) for call in CALLS}
        counting.clear()
        assert counting.opening(0, "SIGKILL").stdout == ran.stdout
        turns["open"] = len((place.folder / "opened").read_text().splitlines())
        yield Subject(place, app, turns, ran.stdout)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", [*CALLS, "open"])
def test_a_fault_leaves_nothing_half_written_and_the_next_build_gives_the_same_image(
    subject: Subject,
    call: str,
    fault: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    for name, value in subject.place.environment.items():
        monkeypatch.setenv(name, value)
    turns = range(1, subject.turns[call] + 1)
    assert turns
    if not request.config.getoption("--all-faults"):
        turns = turns[len(turns) * FAULTS.index(fault) // len(FAULTS) :][:1]
    record_property("attacks", len(turns))
    for turn in turns:
        subject.clear()
        injected = f"signal={fault}" if fault == "SIGKILL" else f"error={fault}"
        if call == "open":
            ran = subject.opening(turn, fault)
        else:
            ran = subject.strace("-e", f"inject={call}:{injected}:when={turn}")
        # The message may be what cannot be written: then the exit code says it alone.
        silenced = re.search(r"write\(2<.*\(INJECTED\)", (subject.place.folder / "calls").read_text())
        check(ran, fault, subject.result, what=f"{fault} at {call} {turn}", told=not silenced)
        check_names(subject.place.folder)
        assert cli.run(subject.words) == 0
        assert capsys.readouterr().out == subject.result
        assert cli.run(["cache", "verify", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["damaged"] == []
        folder = subject.place.folder
        assert cli.run(["copy", f"oci:{folder}/out", f"archive:{folder}/copy.tar", "-q"]) == 0
        capsys.readouterr()


def check(ran: subprocess.CompletedProcess[str], fault: str, result: str, *, what: str, told: bool) -> None:
    """Check how a build with a fault ended: killed, told, or so that it did not matter."""
    if ran.returncode == 0:
        assert ran.stdout == result, what
    elif fault == "SIGKILL":
        assert ran.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), (what, ran.stderr)
    else:
        assert (ran.returncode, ran.stdout) == (7, ""), (what, ran.stderr)
        assert not told or "error[IB60" in ran.stderr, what
        assert not told or "  hint:  " in ran.stderr, what
        assert "Traceback" not in ran.stderr, what


def check_names(folder: Path) -> None:
    """Check that whatever has the name of a blob is that blob."""
    for path in [*folder.glob("cache/blobs/sha256/*"), *folder.glob("out/blobs/sha256/*")]:
        if not path.name.startswith("."):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
