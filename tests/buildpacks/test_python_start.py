from pathlib import Path

import pytest

from buildpacks import python_start
from buildpacks.api import App, BuildPlan, Fail, Process
from tests import apps


def web(app: App, *distributions: str) -> Process:
    (process,) = python_start.build(apps.build_context(app, *distributions)).processes
    return process


def test_its_alternatives_are_those_of_rfc_0001_with_the_packages_first(tmp_path: Path) -> None:
    plan = python_start.detect(apps.make(tmp_path, {"app.py": ""}))
    assert isinstance(plan, BuildPlan)
    assert [[require.name for require in each.requires] for each in (plan, *plan.alternatives)] == [
        ["cpython", "site-packages"],
        ["cpython", "uv-environment"],
        ["cpython", "poetry-venv"],
        ["conda-environment"],
        ["cpython"],
    ]
    assert all(require.launch and not require.build for require in plan.requires)


@pytest.mark.parametrize("path", ["x.py", "shop/__main__.py", "requirements.txt", "pyproject.toml", "environment.yml"])
def test_what_looks_like_python_fits(tmp_path: Path, path: str) -> None:
    assert isinstance(python_start.detect(apps.make(tmp_path, {path: ""})), BuildPlan)


def test_what_does_not_look_like_python_fails_with_all_that_was_looked_for(tmp_path: Path) -> None:
    answer = python_start.detect(apps.make(tmp_path, {"index.js": "", "lib/x/y.py": ""}))
    assert isinstance(answer, Fail)
    assert answer.reason.startswith("no *.py, */__main__.py, requirements.txt, pyproject.toml")


def test_what_the_user_says_is_the_default_process(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"main.py": ""}, settings={"entry": "python main.py $MODE"})
    assert web(app) == Process(
        "web", ("/bin/sh", "-c", 'exec python main.py $MODE "$@"', "sh"), "--entry", default=True, stop_signal="SIGINT"
    )
    assert python_start.pin(apps.pin_context(app)).os_packages == ("dash",)


def test_what_is_found_is_the_default_process_otherwise(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"main.py": ""})
    assert web(app) == Process("web", ("python", "main.py"), "the script main.py", default=True, stop_signal="SIGINT")
    assert python_start.pin(apps.pin_context(app)).os_packages == ()


def test_the_environment_says_what_no_command_tells_a_server(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {})
    assert python_start.build(apps.build_context(app)).env == {"PORT": "8000"}
    assert python_start.build(apps.build_context(app, "gunicorn")).env == {
        "PORT": "8000",
        "GUNICORN_CMD_ARGS": "--worker-tmp-dir=/dev/shm",
    }
    assert python_start.build(apps.build_context(app, "gradio")).env == {
        "PORT": "8000",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": "8000",
    }
