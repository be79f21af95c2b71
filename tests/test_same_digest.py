"""One manifest digest, whatever differs between two machines: what could be in an image of a real application is not.

If a test that varies several things fails, `imagebuilder check` says which of them it was.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uv

pytestmark = pytest.mark.network

EXAMPLE = Path(__file__).parent.parent / "examples" / "flask"
NOBODY = 65534

# Runs the command line with every directory listed backwards.
REVERSED = """
import os, sys
listing = os.scandir
class Reversed(list):
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def close(self): pass
os.scandir = lambda *where: Reversed(sorted(listing(*where), key=lambda entry: entry.name, reverse=True))
from imagebuilder.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Machine:
    """A place to build in: the application with its lock, and a cache that has everything."""

    app: Path
    cache: Path

    def digest(
        self,
        folder: Path,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], None] = lambda: None,
        program: tuple[str, ...] = ("-m", "imagebuilder"),
        python: str = sys.executable,
        user: int | None = None,
        cache: Path | None = None,
    ) -> str:
        """Build in a process of its own and return the manifest digest."""
        command = [
            python, *program, "build", str(self.app), "--locked",
            "--cache-dir", str(cache or self.cache), "--output", f"oci:{folder}", *flags,
        ]  # fmt: skip
        ran = subprocess.run(
            command,
            cwd="/" if user else EXAMPLE.parent.parent,
            env={**os.environ, **(environment or {})},
            preexec_fn=prepare,
            user=user,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip().rpartition("@")[2]


@dataclass(frozen=True)
class Reference:
    machine: Machine
    digest: str
    folder: Path = field(compare=False)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The digest that all others must equal, and what it was made with."""
    folder = tmp_path_factory.mktemp("reference")
    app = folder / "app"
    shutil.copytree(EXAMPLE, app, ignore=shutil.ignore_patterns("dist", "imagebuilder.lock"))
    machine = Machine(app, folder / "cache")
    command = [sys.executable, "-m", "imagebuilder", "lock", str(app), "--cache-dir", str(machine.cache)]
    subprocess.run(command, cwd=EXAMPLE.parent.parent, check=True, capture_output=True)
    return Reference(machine, machine.digest(folder / "image"), folder)


def test_a_warm_cache_gives_the_same_digest(reference: Reference, tmp_path: Path) -> None:
    assert reference.machine.digest(tmp_path / "image") == reference.digest


def test_the_folder_and_its_name_are_not_in_the_image(reference: Reference, tmp_path: Path) -> None:
    elsewhere = tmp_path / "quite" / "another name"
    shutil.copytree(reference.machine.app, elsewhere)
    machine = Machine(elsewhere, reference.machine.cache)
    assert machine.digest(tmp_path / "image", "--no-cache") == reference.digest


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_umask_is_not_in_an_image_for_which_everything_is_fetched_and_made_again(
    reference: Reference, tmp_path: Path, mask: int
) -> None:
    app = tmp_path / "app"
    shutil.copytree(reference.machine.app, app)
    for path in [app, *app.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
    machine = Machine(app, tmp_path / "cache")
    found = machine.digest(tmp_path / "image", prepare=lambda: os.umask(mask) and None)
    assert found == reference.digest


@pytest.mark.parametrize(
    ("workers", "program", "environment"),
    [
        ("1", ("-m", "imagebuilder"), {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"}),
        ("4", ("-c", REVERSED), {
            "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "4242",
            "USER": "someone", "HOSTNAME": "elsewhere", "NOISE": "x" * 5000,
        }),
    ],
    ids=["zone", "locale, noise and the order of directories"],
)  # fmt: skip
def test_the_environment_and_the_number_of_workers_are_not_in_the_image(
    reference: Reference, tmp_path: Path, workers: str, program: tuple[str, ...], environment: Mapping[str, str]
) -> None:
    flags = ("--no-cache", "--workers", workers)
    found = reference.machine.digest(tmp_path / "image", *flags, program=program, environment=environment)
    assert found == reference.digest


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no file system in memory")
def test_the_file_system_is_not_in_the_image(reference: Reference) -> None:
    folder = Path("/dev/shm") / f"imagebuilder-{os.getpid()}"
    try:
        shutil.copytree(reference.machine.app, folder / "app")
        machine = Machine(folder / "app", folder / "cache")
        assert machine.digest(folder / "image") == reference.digest
    finally:
        shutil.rmtree(folder)


@pytest.mark.root
def test_an_unprivileged_user_makes_the_same_image(reference: Reference) -> None:
    folder = Path("/tmp") / f"imagebuilder-nobody-{os.getpid()}"
    try:
        shutil.copytree(reference.machine.app, folder / "app")
        python, path = python_of_nobody(folder)
        for place in [folder, *folder.rglob("*")]:
            os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
        machine = Machine(folder / "app", folder / "cache")
        environment = {"HOME": str(folder), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        found = machine.digest(folder / "image", python=python, user=NOBODY, environment=environment)
        assert found == reference.digest
    finally:
        shutil.rmtree(folder)


def python_of_nobody(folder: Path) -> tuple[str, str]:
    """Return an interpreter of our version that anybody may run, and where a copy of what we import is."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip(f"there is no python{version} in /usr that another user may run")
    for package in ("imagebuilder", "buildpacks", "layers", "reproducibility"):
        shutil.copytree(EXAMPLE.parent.parent / package, folder / "lib" / package)
    shutil.copytree(sysconfig.get_path("purelib"), folder / "lib", dirs_exist_ok=True)
    (folder / ".local" / "bin").mkdir(parents=True)
    shutil.copy(uv.find_uv_bin(), folder / ".local" / "bin")
    return python, str(folder / "lib")


def test_source_file_times_are_not_in_the_image(reference: Reference, tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(reference.machine.app, app)
    for path in app.rglob("*"):
        os.utime(path, (10**9, 10**9))
    machine = Machine(app, reference.machine.cache)
    assert machine.digest(tmp_path / "image") == reference.digest


def test_a_changed_file_is_in_the_image(reference: Reference, tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(reference.machine.app, app)
    (app / "app.py").write_text((app / "app.py").read_text() + "# changed\n")
    assert Machine(app, reference.machine.cache).digest(tmp_path / "image") != reference.digest
