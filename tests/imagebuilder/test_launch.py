"""Processes: which there are, which one is the default, and that a launcher starts its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from buildpacks.api import Process
from imagebuilder import launch
from layers.errors import UsageError
from tests.images import WEB, WORKER


def process(type_: str, *, default: bool = False, command: tuple[str, ...] = ("run",)) -> Process:
    return Process(type_, command, "tests", default=default)


def test_processes_are_sorted_and_the_last_definition_wins() -> None:
    merged = launch.merge_processes([WORKER, process("web"), process("web", command=("other",))])
    assert [(one.type, one.command[0]) for one in merged] == [("web", "other"), ("worker", "python")]


def test_only_the_last_default_is_one() -> None:
    merged = launch.merge_processes([process("a", default=True), process("b", default=True)])
    assert [one.type for one in merged if one.default] == ["b"]


def test_a_default_is_lost_when_its_type_is_defined_again_without_it() -> None:
    assert not any(one.default for one in launch.merge_processes([process("a", default=True), process("a")]))


@pytest.mark.parametrize(
    ("types", "wanted", "chosen"),
    [
        (["web", "worker"], "worker", "worker"),
        (["web", "worker"], "", "web"),
        (["worker"], "", "worker"),
        (["release", "task*", "web"], "", "task"),
    ],
)
def test_the_default_is_the_wanted_the_declared_web_or_the_only_process(types, wanted, chosen) -> None:
    processes = tuple(process(name.strip("*"), default=name.endswith("*")) for name in types)
    assert launch.choose_default(processes, wanted).type == chosen


@pytest.mark.parametrize(("types", "wanted"), [(["worker", "release"], ""), ([], ""), (["worker"], "wroker")])
def test_without_a_default_the_user_is_asked(types: list[str], wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        launch.choose_default(tuple(map(process, types)), wanted)
    assert caught.value.code == "IB650"
    assert ", ".join(types) in caught.value.details[0]
    assert not wanted or "`--process worker`" in caught.value.hint


@pytest.mark.parametrize("bad", [process("../up"), process(".."), process("web", command=()), process("a b")])
def test_a_process_without_a_usable_type_or_command_is_refused(bad: Process) -> None:
    with pytest.raises(UsageError) as caught:
        launch.merge_processes([bad])
    assert caught.value.code == "IB650"


def write_launcher(folder: Path, command: tuple[str, ...]) -> Path:
    (entry,) = launch.launcher_layer((process("web", command=command),), sys.executable).entries({})
    assert (entry.path, entry.mode) == ("cnb/process/web", 0o755)
    script = folder / "web"
    script.write_bytes(entry.content)  # type: ignore[arg-type]
    script.chmod(entry.mode)
    return script


def test_a_launcher_runs_its_command_from_the_path_with_more_arguments(tmp_path: Path) -> None:
    program = tmp_path / "show"
    program.write_text('#!/bin/sh\nprintf "%s|" "$0" "$@"; exit 7\n')
    program.chmod(0o755)
    launcher = write_launcher(tmp_path, ("show", "a b", "'\"\\$x", "grüße", ""))
    done = subprocess.run([launcher, "more", "*"], env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, check=False)
    assert done.returncode == 7
    assert done.stdout.decode() == f"{program}|a b|'\"\\$x|grüße||more|*|"


def test_a_launcher_says_what_it_cannot_start(tmp_path: Path) -> None:
    launcher = write_launcher(tmp_path, ("missing-program",))
    done = subprocess.run([launcher], env={"PATH": "/bin"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "cannot start missing-program: No such file or directory\n"


def test_the_key_of_the_launchers_names_everything_in_them() -> None:
    keys = [
        launch.launcher_layer((WEB,), "/usr/bin/python3.13").key,
        launch.launcher_layer((WEB,), "/usr/bin/python3.14").key,
        launch.launcher_layer((WEB, WORKER), "/usr/bin/python3.13").key,
    ]
    assert keys[0] != keys[1] != keys[2] != keys[0]
