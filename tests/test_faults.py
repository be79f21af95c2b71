"""Faults injected into builds, one for every cause: a check finds each, names its file, its cause and what is to blame.

Three ways to inject them: build steps of an application, mistakes made in the builder, and pairs of images where no
build could bring it about.
"""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from reproducibility.causes import CAUSES
from reproducibility.scenarios import USUAL
from tests import faults, findings, world
from tests.containers import imagebuilder
from tests.faults import Fault, crafted
from tests.faults.crafted import PAIRS, Member, Pair, Sketch
from tests.findings import Findings
from tests.world import World

# The first test of a check waits for its thirty builds.
pytestmark = pytest.mark.timeout(1800)

PYTHON = shlex.quote(sys.executable)
SCRIPTS = ("prepare.sh", "native.sh") if shutil.which("gcc") else ("prepare.sh",)
# What is run in the source before each build of these checks.
PREPARE = {
    "steps": " && ".join(f"PYTHON={PYTHON} sh steps/{script}" for script in SCRIPTS),
    "sdist": f"{PYTHON} -m pip install --quiet --no-index --no-build-isolation --no-compile --target vendor ./sdist",
}
# What the others depend on; bisecting over the rest would only take time.
FEW = {mistake: {fault.blamed for fault in made} for mistake, made in faults.MISTAKES.items()}
FEW["sdist"] = {"source", "temp", "clock"}
NO_COMPILER = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
INJECTED = [
    *(pytest.param("steps", fault, id=f"{fault.cause}-{fault.path}") for fault in faults.STEPS),
    *(pytest.param("steps", fault, id=f"{fault.cause}-{fault.path}", marks=NO_COMPILER) for fault in faults.NATIVE),
    *(
        pytest.param(mistake, fault, id=f"{fault.cause}-{mistake}")
        for mistake, made in faults.MISTAKES.items()
        for fault in made
    ),
]
SDIST = (
    Fault("timestamp", "workspace/vendor/stamped/day.py", "clock"),
    Fault("build-path", "workspace/vendor/stamped/place.py", "source"),
    Fault("installer", "workspace/vendor/stamped-1.0.dist-info/direct_url.json", "source"),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Findings]:
    """What the check of this name says; made when a test asks for it first."""
    return cache(
        lambda name: findings.once(tmp_path_factory, f"check-{name}", lambda folder: _checked(name, folder))[name]
    )


def _checked(name: str, folder: Path) -> dict[str, dict[str, Any]]:
    flags = [_only(FEW[name])] if name in FEW else []
    flags += ["--prepare", PREPARE[name]] if name in PREPARE else []
    mistake = "bytecode" if name == "steps" else name if name in faults.MISTAKES else ""
    with world.running(folder) as around:
        shutil.copytree(faults.VENDORED if name == "sdist" else faults.APP, folder / "app")
        return {name: check(around, *flags, mistake=mistake)}


def _only(variations: Collection[str]) -> str:
    """Vary these, as far as this machine can: what is named and impossible would be an error."""
    left_out = [f"-{name}" for name in USUAL if name not in variations]
    return f"--vary={','.join(left_out) or 'all'}"


def check(around: World, *flags: str, mistake: str = "") -> dict[str, Any]:
    """Check an application, with the faulty builder if there is a mistake to make."""
    program = [str(faults.BUILDER), mistake] if mistake else ["-m", "imagebuilder"]
    done = subprocess.run(
        [sys.executable, *program, "check", "app", *flags, "--json"],
        cwd=around.folder,
        env={**around.environment, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["same"] == (done.returncode == 0)
    return document


def test_without_a_fault_nothing_differs(found: Callable[[str], Findings]) -> None:
    assert found("none").document["same"]


@pytest.mark.parametrize(("builds", "fault"), INJECTED)
def test_an_injected_fault_is_found_explained_and_put_down_to_its_variation(
    found: Callable[[str], Findings], builds: str, fault: Fault
) -> None:
    _skip_if_not_varied(found(builds), fault)
    at_fault = {one.blamed for one in found(builds).at(fault.path) if one.cause == fault.cause}
    assert at_fault == {(fault.blamed,)}, found(builds).at(fault.path)


@NO_COMPILER
@pytest.mark.parametrize("builds", ["steps", "files"])
def test_nothing_is_found_but_what_was_injected(found: Callable[[str], Findings], builds: str) -> None:
    injected = {"steps": (*faults.STEPS, *faults.NATIVE)}.get(builds) or faults.MISTAKES[builds]
    places = {one.path.partition("!/")[0] for one in found(builds).all if not one.follows}
    assert places <= {fault.path for fault in injected}


@pytest.mark.parametrize("fault", SDIST, ids=lambda fault: fault.cause)
def test_an_sdist_that_embeds_time_or_path_is_found(found: Callable[[str], Findings], fault: Fault) -> None:
    _skip_if_not_varied(found("sdist"), fault)
    at_fault = [one for one in found("sdist").at(fault.path) if not one.follows]
    assert [(one.cause, one.blamed) for one in at_fault] == [(fault.cause, (fault.blamed,))]


def test_the_record_of_an_sdist_follows_from_what_it_lists(found: Callable[[str], Findings]) -> None:
    (record,) = found("sdist").at("workspace/vendor/stamped-1.0.dist-info/RECORD")
    assert (record.cause, record.follows) == ("record", True)


@NO_COMPILER
def test_the_path_in_a_library_of_an_sdist_is_found(found: Callable[[str], Findings]) -> None:
    at_fault = {(one.cause, one.blamed) for one in found("sdist").at("workspace/vendor/stamped/fast.so")}
    assert ("elf-path", ("source",)) in at_fault


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.cause)
def test_a_crafted_pair_of_images_is_explained(pair: Pair, tmp_path: Path) -> None:
    compared = diff(pair.left, pair.right, tmp_path)
    assert pair.cause in {one.cause for one in compared.at(pair.path)}, compared.all
    assert {one.cause for one in compared.all if not one.follows} == {pair.follows_from or pair.cause}


@NO_COMPILER
def test_machine_code_is_told_from_the_traces_of_a_build(tmp_path: Path) -> None:
    libraries = [_library(tmp_path / size, size) for size in ("8", "9")]
    left, right = (crafted.of(Member("srv/size.so", library)) for library in libraries)
    compared = diff(left, right, tmp_path)
    assert {one.cause for one in compared.at("srv/size.so") if not one.follows} == {"elf-code"}


def _library(path: Path, size: str) -> bytes:
    source = faults.APP / "native" / "size.c"
    subprocess.run(["gcc", "-shared", f"-DSIZE={size}", "-o", str(path), str(source)], check=True)
    return path.read_bytes()


def diff(left: Sketch, right: Sketch, folder: Path) -> Findings:
    """Write two images that differ, and compare them."""
    places = left.write(folder / "left"), right.write(folder / "right")
    done = imagebuilder("diff", *places, "--json", environment={"IMAGEBUILDER_CACHE_DIR": str(folder / "cache")})
    assert done.returncode == 1, done.stderr
    return Findings(json.loads(done.stdout))


def test_every_cause_has_its_fault() -> None:
    built = {fault.cause for made in (faults.STEPS, faults.NATIVE, *faults.MISTAKES.values()) for fault in made}
    compared = {pair.cause for pair in PAIRS} | {"elf-code"}
    assert built | compared == CAUSES.keys()
    assert len(built) >= 25


def _skip_if_not_varied(checked: Findings, fault: Fault) -> None:
    reason = checked.document["scenarios"]["not_varied"].get(fault.blamed)
    if reason:
        pytest.skip(f"{fault.blamed} is not varied here: {reason}")
