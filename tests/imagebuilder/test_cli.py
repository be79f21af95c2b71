"""What a user meets: the result on stdout, everything else on stderr, and the exit code."""

import errno
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli

import imagebuilder
from imagebuilder import cli
from imagebuilder.config import Chosen
from imagebuilder.console import Console
from imagebuilder.options import COMMANDS
from layers.errors import (
    BuildError,
    DetectionError,
    IntegrityError,
    RefusedError,
    StorageError,
    TransientError,
    UsageError,
)

pytestmark = pytest.mark.usefixtures("clean_environment")

ROOT = Path(__file__).parent.parent.parent
Command = Callable[[Chosen, Console], int]


def run(line: str, command: Command | None = None) -> int:
    """Run a command line; `command` takes the place of every command."""
    return cli.run(line.split(), commands=dict.fromkeys(COMMANDS, command) if command else None)


def raising(error: BaseException) -> Command:
    def command(_chosen: Chosen, _console: Console) -> int:
        raise error

    return command


def start(*arguments: str, **options: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; from imagebuilder.cli import main; sys.exit(main())", *arguments],
        **{"cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},  # type: ignore[call-overload]
    )


def test_an_error_is_told_in_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    error = RefusedError(
        "registry https://me:secret@r.example said no\x1b[2J",
        details=("tried: user \u202e", "two\nlines"),
        hint="log in",
        code="IB112",
    )
    assert run("build", raising(error)) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error[IB112]: registry https://***@r.example said no\\x1b[2J\n"
        "  tried: user \\u202e\n"
        "  two\n"
        "  lines\n"
        "  hint:  log in\n"
        "  more:  imagebuilder explain IB112\n"
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (BuildError, 4),
        (UsageError, 2),
        (DetectionError, 3),
        (RefusedError, 5),
        (IntegrityError, 6),
        (StorageError, 7),
        (TransientError, 75),
    ],
)
def test_each_kind_of_error_has_its_exit_code(kind: type[BuildError], code: int) -> None:
    assert run("build", raising(kind("x", hint="y", code="IB112"))) == code


def test_a_bug_asks_for_a_report_and_shows_its_traceback_only_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", raising(RuntimeError("boom"))) == 70
    _, err = capsys.readouterr()
    assert err.startswith("error[IB001]: this is a bug: RuntimeError: boom\n")
    assert "  hint:  run it again with --traceback and report what it prints" in err
    assert "Traceback" not in err
    assert run("build --traceback", raising(RuntimeError("boom"))) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_refusal_of_the_operating_system_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/file"))) == 7
    assert capsys.readouterr().err.startswith("error[IB601]: cannot use /some/file: the disk is full\n")


def test_a_typing_error_on_the_command_line_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build --pyton 3.13") == 2
    assert capsys.readouterr().err == (
        "error[IB100]: unknown flag `--pyton`\n  hint:  did you mean `--python`?\n  more:  imagebuilder explain IB100\n"
    )


def test_a_malformed_variable_exits_with_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("IMAGEBUILDER_PROGRESS", "loud")
    assert run("build", raising(RuntimeError())) == 2
    assert capsys.readouterr().err.startswith("error[IB101]: `progress` cannot be `loud` (IMAGEBUILDER_PROGRESS)\n")


def test_help_and_version_exit_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert run("build --help") == 0
    assert run("--version") == 0
    assert capsys.readouterr().out.endswith(f"imagebuilder {imagebuilder.__version__}\n")


def test_the_version_is_that_of_the_package() -> None:
    assert tomli.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == imagebuilder.__version__


def test_another_folder_can_be_changed_to_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "apps").mkdir()
    seen: list[Path] = []

    def command(_chosen: Chosen, _console: Console) -> int:
        seen.append(Path.cwd())
        return 0

    assert run("-C apps build", command) == 0
    assert seen == [tmp_path / "apps"]
    assert run("build -C nowhere", command) == 2
    assert "error[IB109]" in capsys.readouterr().err


def test_json_lines_carry_the_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    error = BuildError("no\x1b", hint="h", code="IB112", details=("d",))
    assert run("build --progress jsonl", raising(error)) == 4
    assert json.loads(capsys.readouterr().err) == {
        "event": "error",
        "code": "IB112",
        "message": "no\\x1b",
        "details": ["d"],
        "hint": "h",
    }


def test_github_actions_gets_an_annotation_beside_the_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    run("build", raising(BuildError("50% done\n", hint="h", code="IB112")))
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == "::error title=imagebuilder IB112::50%25 done\\n"
    assert second == "error[IB112]: 50% done\\n"


def test_without_a_home_a_command_that_needs_no_cache_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")
    assert run("explain IB100") == 0


@pytest.mark.parametrize(
    ("environment", "flags", "coloured"),
    [
        ({}, "", False),
        ({"FORCE_COLOR": "1"}, "", True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "", False),
        ({"NO_COLOR": "1"}, "--color always", True),
        ({"FORCE_COLOR": "1"}, "--color never", False),
    ],
)
def test_colour_is_decided_by_flag_then_environment_then_terminal(
    environment: dict[str, str],
    flags: str,
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run(f"build {flags}", raising(BuildError("x", hint="y", code="IB112")))
    assert ("\x1b[31m" in capsys.readouterr().err) is coloured


def test_progress_is_live_only_on_a_terminal_outside_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modes: list[str] = []

    def command(_chosen: Chosen, console: Console) -> int:
        modes.append(console.mode)
        return 0

    run("build", command)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run("build", command)
    for name, value in {"CI": "true", "GITHUB_ACTIONS": "true", "TERM": "dumb"}.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            run("build", command)
    for flags in ("-q", "--progress none", "--progress tty", "-q --progress jsonl"):
        run(f"build {flags}", command)
    assert modes == ["plain", "tty", "plain", "plain", "plain", "none", "none", "tty", "jsonl"]
    assert capsys.readouterr() == ("", "")


def test_errors_on_a_terminal_are_coloured_and_elsewhere_have_no_escapes(tmp_path: Path) -> None:
    piped = start("build", "nowhere", env={**os.environ, "TERM": "xterm"})
    assert "\x1b" not in piped.communicate()[1]
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as screen:
        shown = start("build", "nowhere", stderr=slave, env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        shown.communicate()
        assert screen.read(4096).startswith(b"\x1b[31merror[IB109]:\x1b[0m no such folder: nowhere\r\n")
    assert (piped.returncode, shown.returncode) == (2, 2)


def test_a_reader_that_leaves_early_gets_no_complaint() -> None:
    with start("explain") as left:
        assert left.stdout
        assert left.stderr
        left.stdout.close()
        assert left.stderr.read() == ""
    assert left.returncode == 128 + signal.SIGPIPE


def test_a_reader_of_stderr_that_leaves_early_gets_no_complaint() -> None:
    with start("build", "nowhere") as left:
        assert left.stderr
        left.stderr.close()
    assert left.returncode == 128 + signal.SIGPIPE


def test_a_broken_pipe_that_is_not_ours_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("build", raising(BrokenPipeError(errno.EPIPE, "Broken pipe", "podman"))) == 7
    assert "error[IB601]: cannot use podman: Broken pipe" in capfd.readouterr().err


def test_a_result_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        ran = start("explain", stdout=full)
        _, err = ran.communicate()
    assert err.startswith("error[IB601]: cannot use stdout: the disk is full\n")
    assert ran.returncode == 7


def test_an_error_that_cannot_be_told_is_still_in_the_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        ran = start("build", "nowhere", stderr=full)
        out, _ = ran.communicate()
    assert (ran.returncode, out) == (2, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_reason_to_fail(closed: str) -> None:
    shell = f'exec "{sys.executable}" -m imagebuilder explain IB100 {closed}'
    assert subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_in_order(number: signal.Signals, code: int) -> None:
    program = (
        "import sys, threading\n"
        "from imagebuilder import commands, cli\n"
        "def wait(chosen, console):\n"
        "    try:\n"
        "        console.result('ready'); threading.Event().wait(30)\n"
        "    finally:\n"
        "        console.result('tidied')\n"
        "commands.COMMANDS = {'build': wait}\n"
        "sys.exit(cli.main())\n"
    )
    ran = subprocess.Popen([sys.executable, "-c", program, "build"], cwd=ROOT, text=True, stdout=-1, stderr=-1)
    assert ran.stdout
    assert ran.stdout.readline() == "ready\n"
    ran.send_signal(number)
    out, err = ran.communicate(timeout=20)
    assert (out, err, ran.returncode) == ("tidied\n", "", code)


def test_a_path_that_is_no_text_survives_json(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 the name is bytes
    ran = subprocess.run(
        [sys.executable, "-m", "imagebuilder", "cache", b"--cache-dir=" + folder, "--json"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert os.fsencode(json.loads(ran.stdout)["cache"]) == folder


def test_help_imports_nothing_of_the_builder() -> None:
    program = (
        "import sys; from imagebuilder import cli; cli.run(['build', '--help']); print(*sys.modules, file=sys.stderr)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True
    ).stderr
    heavy = {
        "buildpacks",
        "requests",
        "tomli",
        "imagebuilder.config",
        "imagebuilder.build",
        "docker",
        "difflib",
        "subprocess",
    }
    assert not heavy & set(loaded.split())


def test_the_program_runs_as_a_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "imagebuilder", "--version"], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert ran.stdout == f"imagebuilder {imagebuilder.__version__}\n"
