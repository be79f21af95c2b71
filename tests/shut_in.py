"""Commands in sandboxes for tests: in a small root made of the host's own programs, as this user or as nobody.

As a program it runs one sandbox as whoever started it: what to do is JSON on stdin, how it ended JSON on stdout.
"""

import atexit
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from imagebuilder.sandbox import command
from imagebuilder.sandbox.box import Finished, Limits, Sandbox
from layers.errors import BuildError

PROGRAMS = (
    "bash",
    "cat",
    "chmod",
    "dd",
    "env",
    "id",
    "ln",
    "ls",
    "mkdir",
    "readlink",
    "rm",
    "setsid",
    "sleep",
    "stat",
    "touch",
)
NOBODY = 65534
HERE = Path(__file__).parent.parent


def make_root(folder: Path) -> Path:
    """Make a root with a shell and a few programs, and a link that leads out of it."""
    for name in PROGRAMS:
        program = Path(shutil.which(name) or f"/bin/{name}").resolve()
        copy(program, folder / "usr/bin" / name)
        for library in libraries(program):
            copy(library.resolve(), folder / str(library).strip("/"))
    (folder / "bin").symlink_to("usr/bin")
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/home/nonroot:/bin/sh\n")
    (folder / "etc/shared").write_text("as it was\n")
    (folder / "etc/shared").chmod(0o666)
    (folder / "leads-out").symlink_to("/..")
    (folder / "etc/tmp").symlink_to("/..")
    (folder / "tmp").mkdir()
    (folder / "tmp/of-the-root").touch()
    return folder


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def libraries(program: Path) -> list[Path]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(word) for line in listed.splitlines() for word in line.split() if word.startswith("/")]


@dataclass(frozen=True)
class Shell:
    """Runs scripts in sandboxes of one kind, as this user or as nobody."""

    root: Path
    rung: str
    nobody: bool

    def run(
        self,
        script: str,
        *,
        writable: Mapping[str, Path] | None = None,
        readable: Mapping[str, Path] | None = None,
        limits: Limits | None = None,
    ) -> Finished:
        """Run a script of bash; there is no locale but C."""
        sandbox = Sandbox(self.root, writable or {}, readable or {}, limits or Limits(time_s=60))
        return self.execute(sandbox, "/usr/bin/bash", "-c", script, env={"LC_ALL": "C"})

    def execute(self, sandbox: Sandbox, *words: str, env: Mapping[str, str] | None = None) -> Finished:
        if self.nobody:
            return as_nobody(sandbox, words, env=env or {}, rung=self.rung)
        return command.run(sandbox, words, env=env, rung=self.rung)

    def start(self, sandbox: Sandbox, script: str) -> subprocess.Popen[bytes]:
        """Run a script beside us, in a process that can be killed."""
        other = NOBODY if self.nobody else None
        process = subprocess.Popen(
            [python_of_nobody() if self.nobody else sys.executable, "-m", "tests.shut_in"],
            cwd=HERE,
            env=environment_of_nobody() if self.nobody else None,
            stdin=subprocess.PIPE,
            user=other,
            group=other,
            extra_groups=[] if self.nobody else None,
        )
        assert process.stdin
        process.stdin.write(order(sandbox, ["/usr/bin/bash", "-c", script], env={}, rung=self.rung).encode())
        process.stdin.close()
        return process

    def folder(self, path: Path) -> Path:
        """Make a folder that belongs to whoever builds."""
        path.mkdir(exist_ok=True)
        if self.nobody:
            os.chown(path, NOBODY, NOBODY)
        return path


def order(sandbox: Sandbox, words: Sequence[str], *, env: Mapping[str, str], rung: str) -> str:
    return json.dumps(
        {
            "root": str(sandbox.root),
            "writable": {place: str(host) for place, host in sandbox.writable.items()},
            "readable": {place: str(host) for place, host in sandbox.readable.items()},
            "limits": asdict(sandbox.limits),
            "command": list(words),
            "env": dict(env),
            "rung": rung,
        }
    )


def as_nobody(sandbox: Sandbox, words: Sequence[str], *, env: Mapping[str, str], rung: str) -> Finished:
    ran = subprocess.run(
        [python_of_nobody(), "-m", "tests.shut_in"],
        cwd=HERE,
        env=environment_of_nobody(),
        input=order(sandbox, words, env=env, rung=rung),
        capture_output=True,
        text=True,
        check=False,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    if "code" in answer:
        raise BuildError(answer["message"], hint=answer["hint"], code=answer["code"], details=tuple(answer["details"]))
    return Finished(**{**answer, "lacks": tuple(answer["lacks"])})


@cache
def python_of_nobody() -> str:
    """Find a Python that nobody may run: a virtual environment can be in a closed folder. Empty if there is none."""
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    for program in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin") or ""):
        try:
            subprocess.run([program, "-c", check], check=True, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    return ""


@cache
def session_key() -> int:
    """Give this thread a keyring of its own with a key in it, as a login does; return the key's number, 0 without."""
    add_key, keyctl = {"aarch64": (217, 219), "x86_64": (248, 250)}[os.uname().machine]
    system = ctypes.CDLL(None).syscall
    if system(keyctl, 1, None) < 0:
        return 0
    session = ctypes.c_int(-3)
    return max(0, int(system(add_key, b"user", b"password", b"of the host", 11, session)))


@cache
def environment_of_nobody() -> dict[str, str]:
    """Copy what we import that is not of the standard library to where nobody can read it."""
    import deflate  # which nobody may not have yet

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o755)
    shutil.copytree(Path(deflate.__file__).parent, folder / "deflate")
    for library in Path(deflate.__file__).parent.parent.glob("deflate.libs"):
        shutil.copytree(library, folder / library.name)
    return {**os.environ, "PYTHONPATH": str(folder)}


def main() -> None:
    asked = json.load(sys.stdin)
    sandbox = Sandbox(
        Path(asked["root"]),
        {place: Path(host) for place, host in asked["writable"].items()},
        {place: Path(host) for place, host in asked["readable"].items()},
        Limits(**asked["limits"]),
    )
    try:
        finished = command.run(sandbox, asked["command"], env=asked["env"], rung=asked["rung"])
        answer = asdict(finished)
    except BuildError as error:
        answer = {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
