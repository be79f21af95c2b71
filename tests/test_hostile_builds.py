"""Source distributions that attack whoever builds them: all fails, however they are shut in, and is cleared away."""

import ast
import os
import socket
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagebuilder import cli
from imagebuilder.sandbox import calls, rungs
from imagebuilder.sandbox.rungs import Name
from tests import sdists
from tests.world import World

WORKING = [rung.name for rung in rungs.rungs() if not rung.problem]

pytestmark = pytest.mark.skipif(not WORKING, reason="commands of a build cannot be shut in here")

# Each attempt either raises, or returns what it has won.
ATTEMPTS = """
import ctypes, os, socket, sys, time

HOST = {host!r}
system = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(system, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return name

def write(path):
    with open(path, "w") as file:
        file.write("changed")
    return path

def child(attempt, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            attempt(*arguments)
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise OSError("the child failed")
    return attempt.__name__

def in_a_namespace_of_its_own():
    call("unshare", 0x10000000 | 0x20000)
    call("mount", None, b"/usr", None, 0x1000 | 0x20, None)
    write("/usr/stolen")

def out_of_the_root():
    call("unshare", 0x10000000)
    os.mkdir("/tmp/hole")
    descriptor = os.open("/", os.O_RDONLY)
    os.chroot("/tmp/hole")
    os.fchdir(descriptor)
    for _ in range(20):
        os.chdir("..")
    os.chroot(".")
    os.listdir(HOST["home"])

def attach(number):
    call("ptrace", 16, number, None, None)

def abstract(name):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(bytes([0]) + name.encode())
    return name

def unfiltered():
    unfiltered = []
    for name, number in HOST["calls"].items():
        if system.syscall(number, *[ctypes.c_long(-1)] * 6) >= 0 or ctypes.get_errno() != 1:
            unfiltered.append(name)
    return ", ".join(unfiltered) or [][0]

def raw():
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)

ALL = {{
    "connect to the host": lambda: socket.create_connection(("127.0.0.1", HOST["port"]), 5),
    "connect to the world": lambda: socket.create_connection(("192.0.2.1", 80), 5),
    "connect to a service of the host": lambda: abstract(HOST["service"]),
    "send packets": raw,
    "read the home": lambda: os.listdir(HOST["home"]),
    "read the home of root": lambda: os.listdir("/root")[0],
    "read passwords": lambda: open("/etc/shadow").read(),
    "read passwords beside the root": lambda: open("/../../etc/shadow").read(),
    "read passwords through a process": lambda: open("/proc/1/root/etc/shadow").read(),
    "read variables of the first process": lambda: open("/proc/1/environ").read()[0],
    "read memory of the parent": lambda: open("/proc/%d/mem" % os.getppid()).read(1),
    "read memory of the machine": lambda: open("/dev/mem").read(1),
    "write to the root": lambda: write("/stolen"),
    "write to the interpreter": lambda: write(sys.executable),
    "write to the hook": lambda: write(sys.argv[0]),
    "write to settings of the kernel": lambda: write("/proc/sys/kernel/hostname"),
    "change modes": lambda: os.chmod("/usr", 0o777),
    "trace the first process": lambda: child(attach, 1),
    "trace the parent": lambda: child(attach, os.getppid()),
    "mount": lambda: call("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None),
    "unmount": lambda: call("umount2", b"/build", 2),
    "mount in a namespace": lambda: child(in_a_namespace_of_its_own),
    "leave the root": lambda: child(out_of_the_root),
    "make a device": lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)),
    "become root": lambda: os.setuid(0),
    "name the host": lambda: socket.sethostname("stolen"),
    "ask the kernel for what no build needs": unfiltered,
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, 0),
}}

def make():
    won = {{}}
    for name, attempt in ALL.items():
        try:
            won[name] = repr(attempt())
        except (OSError, ValueError, IndexError):
            won[name] = ""
    result = "/build/result/"
    os.symlink("/etc", result + "link")
    os.mkfifo(result + "pipe")
    os.makedirs(result + "closed/folder")
    os.chmod(result + "closed", 0)
    os.symlink(HOST["home"], "outside")
    for _ in range(600):
        os.mkdir("d"); os.chdir("d")
    os.chdir("/build/attacker-1.0")
    if os.fork() == 0:
        os.setsid()
        os.execv(sys.executable, ["python", "-c", "import time; time.sleep(300)", HOST["token"]])
    return {{"attacker_made.py": repr(won).encode()}}
"""
RESULTS = {
    "pipe": "os.mkfifo(folder + NAMED)",
    "folder": "os.mkdir(folder + NAMED)",
    "device": "os.symlink('/dev/zero', folder + NAMED)",
    "endless": "open(folder + NAMED, 'w').truncate(64 << 20)",
    "answer": "atexit.register(lambda: os.replace(folder + NAMED, folder + '/answer.json'));"
    " os.symlink('/etc/passwd', folder + NAMED)",
}


@dataclass(frozen=True)
class Scene:
    """The world of the builds, and the word that marks what an attacker starts."""

    place: World
    token: str

    def build(self, name: str) -> int:
        app = self.place.app({"main.py": "", "requirements.txt": f"{name}\n"}, name)
        return cli.run(["build", str(app), "--no-cache", "-q", "-o", f"oci:{self.place.folder}/{name}.oci"])

    def left(self) -> list[str]:
        """List what is left of builds: their processes and their folders."""
        folder = self.place.folder / "cache"
        folders = [str(path) for name in ("scratch", "roots/chroots") for path in folder.glob(f"{name}/*-*")]
        return folders + [str(path) for path in Path("/proc").glob("[0-9]*") if self.token in _command(path)]


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _named(name: str) -> str:
    return f"\nNAMED = '/{name}-1.0-py3-none-any.whl'\n"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("hostile")
    token = uuid.uuid4().hex
    with socket.socket(socket.AF_UNIX) as service, socket.create_server(("127.0.0.1", 0)) as server:
        service.bind(f"\0{token}")
        service.listen()
        host = {"home": str(folder), "port": server.getsockname()[1], "service": token, "token": token}
        machine = ("x86_64", "aarch64").index(os.uname().machine)
        host["calls"] = {name: numbers[machine] for name, numbers in calls.NUMBERS.items()}
        attacker = sdists.sdist("attacker", code=ATTEMPTS.format(host=host))
        strange = [
            sdists.sdist(
                name,
                code=f"{_named(name)}import atexit, os\n"
                f"def build_wheel(folder, *_):\n    {statement}\n    return NAMED[1:]\n",
            )
            for name, statement in RESULTS.items()
        ]
        with sdists.running(folder, attacker, *strange) as place:
            yield Scene(place, token)


@pytest.fixture(autouse=True)
def _own_environment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("IMAGEBUILDER_", "PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name, value in scene.place.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("rung", WORKING)
def test_nothing_that_a_build_tries_gets_out_and_nothing_of_it_stays(
    scene: Scene, rung: Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rungs, "NAMES", (rung,))
    before = socket.gethostname()
    assert scene.build("attacker") == 0
    won = _won(scene.place.folder / "attacker.oci")
    assert len(won) > 25 and {name for name, prize in won.items() if prize} == set()
    assert scene.left() == []
    assert socket.gethostname() == before


def _won(image: Path) -> dict[str, str]:
    for blob in (image / "blobs/sha256").iterdir():
        if not tarfile.is_tarfile(blob):
            continue
        with tarfile.open(blob) as layer:
            for member in layer:
                if member.name.endswith("/attacker_made.py") and (file := layer.extractfile(member)):
                    found: dict[str, str] = ast.literal_eval(file.read().decode())
                    return found
    raise AssertionError("the attacker is not in the image")


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_is_no_file_is_said_and_not_followed(
    scene: Scene, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = scene.build(name)
    told = capsys.readouterr()
    assert (code, told.out) == ((6 if name == "endless" else 4), ""), told.err
    assert "error[IB" in told.err and "root:" not in told.err
    assert scene.left() == []
