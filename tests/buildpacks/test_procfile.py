from pathlib import Path

import pytest

from buildpacks import procfile
from buildpacks.api import App, BuildPlan, Fail, Process
from layers.errors import UsageError
from tests import apps


def processes(app: App) -> dict[str, Process]:
    return {process.type: process for process in procfile.build(apps.build_context(app)).processes}


def default(app: App) -> list[str]:
    return [process.type for process in processes(app).values() if process.default]


def test_a_procfile_provides_what_it_requires(tmp_path: Path) -> None:
    plan = procfile.detect(apps.make(tmp_path, {"Procfile": "web: python app.py\n"}))
    assert isinstance(plan, BuildPlan)
    assert plan.provides == tuple(require.name for require in plan.requires) == ("procfile",)


def test_without_any_process_it_does_not_fit(tmp_path: Path) -> None:
    assert isinstance(procfile.detect(apps.make(tmp_path, {})), Fail)
    assert isinstance(procfile.detect(apps.make(tmp_path, {"Procfile": "# none\n\n"})), Fail)


def test_lines_become_processes_with_their_commands(tmp_path: Path) -> None:
    text = "# all of ours\r\nweb: gunicorn shop.wsgi\r\n\r\nwork-er_2:   python work.py --queue 'a b'\r\n"
    found = processes(apps.make(tmp_path, {"Procfile": text}))
    assert found == {
        "web": Process("web", ("gunicorn", "shop.wsgi"), "Procfile", default=True),
        "work-er_2": Process("work-er_2", ("python", "work.py", "--queue", "a b"), "Procfile"),
    }


@pytest.mark.parametrize(
    ("types", "expected"),
    [("other web worker", ["web"]), ("other worker", ["worker"]), ("other", ["other"]), ("one two", [])],
)
def test_the_default_is_web_or_worker_or_the_only_one(tmp_path: Path, types: str, expected: list[str]) -> None:
    app = apps.make(tmp_path, {"Procfile": "".join(f"{type_}: x\n" for type_ in types.split())})
    assert default(app) == expected


def test_the_configuration_has_the_last_word(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"Procfile": "web: a\nclock: b\n"}, processes={"web": "c", "worker": "d"})
    assert {type_: (each.command, each.origin) for type_, each in processes(app).items()} == {
        "clock": (("b",), "Procfile"),
        "web": (("c",), "test"),
        "worker": (("d",), "test"),
    }
    assert isinstance(procfile.detect(apps.make(tmp_path / "other", {"a": ""}, processes={"x": "y"})), BuildPlan)


def test_an_entry_given_by_the_user_replaces_web_and_is_the_default(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"Procfile": "web: a\nworker: b\n"}, settings={"entry": "c"})
    assert list(processes(app)) == ["worker"]
    assert default(app) == []


def test_commands_that_need_a_shell_bring_one(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"Procfile": "web: gunicorn -b :$PORT x\nplain: python app.py\n", "app.py": ""})
    assert procfile.pin(apps.pin_context(app)).os_packages == ("dash",)
    assert processes(app)["web"].command == ("/bin/sh", "-c", 'exec gunicorn -b :$PORT x "$@"', "sh")
    assert processes(app)["plain"].stop_signal == "SIGINT"
    plain = apps.make(tmp_path / "plain", {"Procfile": "web: gunicorn x\n"})
    assert procfile.pin(apps.pin_context(plain)).os_packages == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("web gunicorn\n", "line 1 is 'web gunicorn'"),
        ("web: a\n\nb c: d\n", "line 3 is 'b c: d'"),
        ("web:\n", "line 1 is 'web:'"),
        (" web: a\n", "line 1 is ' web: a'"),
        ("web: a\nweb: b\n", "line 2 defines 'web' again"),
    ],
)
def test_a_malformed_line_is_an_error_that_names_it(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        procfile.detect(apps.make(tmp_path, {"Procfile": text}))
    assert (caught.value.code, caught.value.exit_code) == ("IB304", 2)
    assert caught.value.message == f"cannot read Procfile: {what}"


@pytest.mark.parametrize(
    ("files", "expected"),
    [({}, "python a.py"), ({"Procfile": "web: python b.py\n"}, "python b.py"), ({"Procfile": ""}, "python a.py")],
)
def test_paketo_s_variable_is_the_process_of_who_has_no_procfile(
    tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    app = apps.make(tmp_path, files, settings={"BP_PROCFILE_DEFAULT_PROCESS": "python a.py"})
    assert procfile._command_lines(app)["web"].value == expected
