import subprocess
from pathlib import Path

import pytest

from buildpacks import command
from buildpacks.api import App, Setting
from buildpacks.command import Command
from layers.errors import UsageError
from tests import apps


def parsed(text: str) -> Command:
    return command.parse(Setting(text, "test"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gunicorn app:app", ["gunicorn", "app:app"]),
        ("  exec gunicorn   app:app ", ["gunicorn", "app:app"]),
        ("gunicorn 'app:create_app()'", ["gunicorn", "app:create_app()"]),
        ('python -c "print(1); x = {2}"', ["python", "-c", "print(1); x = {2}"]),
        (r"echo a\ b '$HOME' \$5", ["echo", "a b", "$HOME", "$5"]),
        ("python --flag=x=y -", ["python", "--flag=x=y", "-"]),
        ("./start.sh", ["./start.sh"]),
    ],
)
def test_plain_words_become_the_command_itself(text: str, words: list[str]) -> None:
    assert parsed(text) == Command(tuple(words), tuple(words))


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("gunicorn -b :$PORT app", 'exec gunicorn -b :$PORT app "$@"'),
        ("exec gunicorn -b :$PORT app", 'exec gunicorn -b :$PORT app "$@"'),
        ('python "$SCRIPT"', 'exec python "$SCRIPT" "$@"'),
        ("python *.py", 'exec python *.py "$@"'),
        ("python ~/x.py", 'exec python ~/x.py "$@"'),
        ("A=1 B='x y' python app.py", "A=1 B='x y' exec python app.py \"$@\""),
        ("python app.py > /dev/shm/log 2>&1", 'exec python app.py > /dev/shm/log 2>&1 "$@"'),
        ("python manage.py migrate && gunicorn shop", 'python manage.py migrate && exec gunicorn shop "$@"'),
        ("cd src; X=1 exec python app.py", 'cd src; X=1 exec python app.py "$@"'),
        ("A=$B python a.py && C=$D python b.py", 'A=$B python a.py && C=$D exec python b.py "$@"'),
    ],
)
def test_the_last_program_takes_the_place_of_the_shell(text: str, script: str) -> None:
    found = parsed(text)
    assert found.words == ("/bin/sh", "-c", script, "sh")
    assert found.program[0] in ("gunicorn", "python")


@pytest.mark.parametrize(
    "text",
    [
        "a | b", "a || b", "a & b", "(a; b)", "echo $(date)", "if a; then b; fi", "a && cd b", "a; wait", "a;",
        "for x in 1 2; do echo $x; done", "! a; b", "a && { b; }",
    ],
)  # fmt: skip
def test_what_a_shell_has_to_stay_for_is_left_as_it_is(text: str) -> None:
    assert parsed(text) == Command(("/bin/sh", "-c", text, "sh"), ())


@pytest.mark.parametrize("text", ["", "  ", "python 'app.py", 'python "app.py', "python app.py\\"])
def test_a_command_that_cannot_be_understood_is_an_error_that_names_its_place(text: str) -> None:
    with pytest.raises(UsageError, match="cannot understand the command") as caught:
        parsed(text)
    assert (caught.value.code, caught.value.exit_code) == ("IB307", 2)
    assert caught.value.details == ("it comes from test",)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("printf '[%s]' $WORD", "[w][1][2 3]"),
        ("A=$WORD env printf '[%s]'", "[1][2 3]"),
        ("true && printf '[%s]' \"$WORD x\" '$y'", "[w x][$y][1][2 3]"),
        ("cd /; printf '[%s]'", "[1][2 3]"),
        (r"printf '[%s]' a\ b 'c d'", "[a b][c d][1][2 3]"),
        ("printf '[%s]' x | cat", "[x]"),
    ],
)
def test_a_shell_runs_it_as_written_and_added_arguments_arrive(text: str, output: str) -> None:
    ran = subprocess.run(
        [*parsed(text).words, "1", "2 3"], env={"WORD": "w", "PATH": "/usr/bin:/bin"}, capture_output=True
    )
    assert (ran.stdout.decode(), ran.stderr) == (output, b"")


def test_the_program_has_the_process_of_the_shell() -> None:
    with subprocess.Popen(parsed("true && sleep $TIME").words, env={"TIME": "60", "PATH": "/usr/bin:/bin"}) as started:
        name = Path(f"/proc/{started.pid}/comm")
        while name.read_text() != "sleep\n":
            assert started.poll() is None
        started.terminate()
    assert started.returncode == -15


@pytest.fixture
def app(tmp_path: Path) -> App:
    return apps.make(
        tmp_path,
        {
            "start.sh": "#!/bin/sh\nexec python app.py\n",
            "run": "#!/usr/bin/env bash\n",
            "tool": "#!/usr/bin/python3\n",
            "app.py": "print(1)\n",
            "bin/listens.py": "signal.signal(signal.SIGTERM, stop)\n",
        },
    )


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("gunicorn app", []),
        ("gunicorn -b :$PORT app", ["dash"]),
        ("bash -c 'x'", ["bash"]),
        ("./start.sh", ["dash"]),
        ("start.sh x", ["dash"]),
        ("./run", ["bash", "coreutils"]),
        ("./run $X", ["bash", "coreutils", "dash"]),
        ("./tool", []),
        ("./binary", []),
        ("../start.sh", []),
        ("/start.sh", []),
    ],
)
def test_the_shells_that_a_command_needs_are_named(app: App, text: str, packages: list[str]) -> None:
    (app.root / "binary").write_bytes(b"\x7fELF\xff")
    assert command.os_packages(app, parsed(text)) == tuple(packages)


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("gunicorn app", "SIGTERM"),
        ("uwsgi --http :8000", "SIGINT"),
        ("/layers/site-packages/bin/waitress-serve app:app", "SIGINT"),
        ("python app.py", "SIGINT"),
        ("python3.13 -u ./app.py", "SIGINT"),
        ("X=$Y python app.py", "SIGINT"),
        ("python bin/listens.py", "SIGTERM"),
        ("python -m gunicorn app", "SIGTERM"),
        ("python -m shop", "SIGINT"),
        ("python", "SIGTERM"),
        ("pythonista app.py", "SIGTERM"),
        ("a | b", "SIGTERM"),
    ],
)
def test_plain_python_is_stopped_by_the_signal_it_knows(app: App, text: str, signal: str) -> None:
    assert command.stop_signal(app, parsed(text)) == signal


@pytest.mark.parametrize(
    ("text", "signal"),
    [("shop --all", "SIGINT"), ("serve", "SIGTERM"), ("sh -c shop", "SIGTERM"), ("exec shop > $LOG", "SIGINT")],
)
def test_commands_of_the_project_are_plain_python(tmp_path: Path, text: str, signal: str) -> None:
    project = "[project.scripts]\nshop = 'shop.cli:main'\nserve = 'shop:serve'\n"
    files = {"pyproject.toml": project, "src/shop/__init__.py": "signal.SIGTERM", "src/shop/cli.py": ""}
    assert command.stop_signal(apps.make(tmp_path, files), parsed(text)) == signal
