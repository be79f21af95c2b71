"""The places of a check's builds: copies of the source, folders that vanish, and processes in disguise."""

import os
import stat
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder import config, remote
from imagebuilder.arguments import Arguments
from imagebuilder.check import children, copies, host, places
from imagebuilder.check.copies import Copying
from imagebuilder.check.disguise import FAILED, Disguise
from imagebuilder.check.rebuild import MODULES, Rebuilder
from imagebuilder.config import Chosen
from imagebuilder.progress import Progress
from reproducibility.scenarios import SCENARIOS
from tests import careless_builder, world

ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "package" / "deeper").mkdir(parents=True)
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    for name in ("one", "two", "three"):
        (source / "package" / name).write_text(name)
    (source / "link").symlink_to("package/one")
    os.utime(source / "run.sh", (10**9, 10**9))
    return source


def test_a_copy_has_the_contents_modes_times_and_links_and_shares_no_file(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    size = copies.copy(tree, target, Copying())
    assert size == len("#!/bin/sh\nonetwothree") + 7 * 4096
    assert (target / "link").readlink() == Path("package/one")
    assert (target / "package" / "deeper").is_dir()
    status = (target / "run.sh").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime, status.st_nlink) == (0o755, 10**9, 1)
    assert status.st_ino != (tree / "run.sh").stat().st_ino


def test_a_copy_takes_modes_from_a_umask_and_may_be_older(tree: Path, tmp_path: Path) -> None:
    copies.copy(tree, tmp_path / "strict", Copying(umask=0o077, older=True))
    copies.copy(tree, tmp_path / "loose", Copying(umask=0))
    modes = [
        [stat.S_IMODE((tmp_path / name / path).stat().st_mode) for path in ("run.sh", "package/one", "package")]
        for name in ("strict", "loose")
    ]
    assert modes == [[0o700, 0o600, 0o700], [0o777, 0o666, 0o777]]
    assert (tmp_path / "strict" / "run.sh").stat().st_mtime == 10**9 - 100 * 86400


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no file system in memory")
@pytest.mark.parametrize("order", SCENARIOS["order"].values)
def test_the_order_in_which_files_are_made_is_chosen(tree: Path, order: str) -> None:
    folder = Path("/dev/shm") / f"imagebuilder-order-{os.getpid()}"
    try:
        for name, copying in (("sorted", Copying()), ("other", Copying(order=order))):
            copies.copy(tree, folder / name, copying)
        listed = [copies.list_order(folder / name / "package") for name in ("sorted", "other")]
    finally:
        copies.remove(folder)
    assert sorted(listed[0]) == sorted(listed[1])
    assert listed[0] != listed[1]


def test_what_no_build_reads_is_not_copied_unless_it_is_kept_or_wanted(tree: Path, tmp_path: Path) -> None:
    for path in (".git/HEAD", "node_modules/x/index.js", "dist/app.oci/oci-layout", "dist/notes", "kept/.venv/cfg"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)
    os.mkfifo(tree / "pipe")

    def ignored(path: str) -> bool:
        return not path.startswith("kept")

    copies.copy(tree, tmp_path / "some", Copying(), ignored=ignored)
    copies.copy(tree, tmp_path / "all", Copying())
    some, everything = (
        {str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*")} for name in ("some", "all")
    )
    assert everything - some == {".git", ".git/HEAD", "node_modules", "node_modules/x", "node_modules/x/index.js"} | {
        "dist/app.oci",
        "dist/app.oci/oci-layout",
    }
    assert {"dist/notes", "kept/.venv/cfg"} <= some
    assert "pipe" not in everything


def test_folders_without_rights_are_removed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "a" / "b").chmod(0o500)
    copies.remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_what_is_not_varied_has_the_paths_of_the_plain_build(tmp_path: Path) -> None:
    with places.ground(tmp_path, ("order", "filesystem"), room=1) as (ground, why):
        plain = places.place(ground, {}, name="app")
        assert places.place(ground, dict.fromkeys(("zone", "order", "filesystem"), "x"), name="app") == plain
        for variation, value in (("source", "deep"), ("temp", "short"), ("home", "new")):
            other = places.place(ground, {variation: value}, name="app")
            assert (other.source != plain.source) is (variation == "source")
            assert (other.desk != plain.desk) is (variation == "temp")
            assert (other.home is not None) is (variation == "home")
        assert why.keys() <= {"order", "filesystem"}
        made = {ground.sources, *([ground.other] if ground.other else [])} - {tmp_path}
    assert not any(folder.exists() for folder in made)


def test_another_file_system_stands_behind_the_same_path(tmp_path: Path) -> None:
    with places.ground(tmp_path, ("filesystem",), room=1) as (ground, why):
        if "filesystem" in why:
            pytest.skip(why["filesystem"])
        place = places.place(ground, {}, name="app")
        places.lay_out(place, ground, elsewhere=True, owner=None)
        assert place.store.stat().st_dev != ground.work.stat().st_dev
        places.clear(ground)
        assert not place.desk.exists()
        places.lay_out(place, ground, elsewhere=False, owner=None)
        assert place.store.stat().st_dev == ground.work.stat().st_dev


def test_room_that_nobody_has_is_said(tmp_path: Path) -> None:
    with places.ground(tmp_path, ("order",), room=1 << 60) as (ground, why):
        assert (ground.sources, why.keys()) == (ground.work, {"order"})


def test_a_folder_that_somebody_else_may_have_made_is_not_used(tmp_path: Path) -> None:
    (tmp_path / f"imagebuilder-check-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(PermissionError):
        places.own(tmp_path)


def test_a_disguise_is_put_on_for_the_program_and_what_it_starts() -> None:
    processors = tuple(sorted(os.sched_getaffinity(0)))[:1]
    disguise = Disguise(umask=0o027, processors=processors)
    assert children.ask(disguise.command("sh", "-c", "umask; nproc"), environment=ENVIRONMENT) == "0027\n1"


def test_a_disguise_that_the_kernel_refuses_is_an_error() -> None:
    with pytest.raises(OSError, match="cannot become another machine"):
        children.ask(Disguise(hostname="x" * 500).command("true"), environment=ENVIRONMENT)
    with pytest.raises(OSError, match="cannot become another machine"):
        children.ask(Disguise().command("/no/such/program"), environment=ENVIRONMENT)
    assert FAILED == 125


def test_a_machine_is_asked_what_it_lets_be_varied() -> None:
    found, why = host.survey(ENVIRONMENT, tuple(SCENARIOS), workers=2, program=MODULES)
    assert why.keys() <= {"clock", "user", "hostname"}
    assert bool(found.faketime) is ("clock" not in why)
    for variation, usual in found.usual.items():
        assert found.value(variation, 1) != usual
    _, nothing_asked = host.survey(ENVIRONMENT, ("zone",), workers=2, program=MODULES)
    assert nothing_asked == {}


def test_a_clock_leaves_the_times_of_files_alone(tmp_path: Path) -> None:
    found, why = host.survey(ENVIRONMENT, ("clock",), workers=2, program=MODULES)
    if why:
        pytest.skip(why["clock"])
    old = tmp_path / "old"
    old.touch()
    os.utime(old, (1_700_000_000, 1_700_000_000))
    worn = Disguise(clock=2_000_000_000, faketime=found.faketime)
    assert children.ask(worn.command("date", "+%Y"), environment=ENVIRONMENT) == "2033"
    assert children.ask(worn.command("stat", "-c", "%Y", str(old)), environment=ENVIRONMENT) == "1700000000"


def test_what_a_child_leaves_running_is_killed(tmp_path: Path) -> None:
    command = ("sh", "-c", f"sleep 300 & echo $! > {tmp_path}/pid; echo said; exit 3")
    assert children.run(command, environment=ENVIRONMENT, folder=tmp_path, log=tmp_path / "log") == 3
    assert (tmp_path / "log").read_text() == "said\n"
    process = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    until = time.monotonic() + 10
    while process.exists() and ") Z " not in process.read_text():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.root
def test_where_there_are_no_user_namespaces_another_user_is_had_really(tmp_path: Path) -> None:
    with world.running(tmp_path) as here, ExitStack() as opened:
        app = here.app({"requirements.txt": "flask\n", "main.py": "1\n"})
        given = config.choose(Arguments("check", str(app), {}), here.environment)
        found, _ = host.survey(here.environment, (), workers=1, program=MODULES)
        work = opened.enter_context(places.workspace(tmp_path, shared=True))
        ground, _ = opened.enter_context(places.ground(work, (), room=1, shared=True))
        script = ground.work / "builder.py"
        script.write_text(Path(careless_builder.__file__).read_text())
        script.chmod(0o644)
        builder = rebuilder(given, replace(found, setuid=True), ground, opened, script)
        varied = builder.build(("user", "umask"), 1)
        (image,) = varied.subject.images
        content = b"".join(image.layers[0].stored())
        assert b"workspace/store.txt" in content
        assert b"0010341\x00" in content  # 4321 in octal, as the owner


def rebuilder(given: Chosen, machine: host.Host, ground: places.Ground, opened: ExitStack, script: Path) -> Rebuilder:
    request = config.load(given).request
    return Rebuilder(
        given,
        request,
        request.source,
        machine,
        ground,
        ("user", "umask"),
        remote.settings_of(request, Progress()),
        Progress(),
        opened,
        prepare="touch prepared",
        program=("/usr/bin/python3", str(script), "owner,store"),
    )
