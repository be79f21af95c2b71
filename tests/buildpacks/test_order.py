import importlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import buildpacks
from buildpacks.api import App, Buildpack, BuildPlan, Order, Require
from buildpacks.order import ORDER
from buildpacks.order import order as order_with
from imagebuilder.resolve import resolve
from layers.errors import BuildError
from tests import apps, orders

MODULES = sorted(path.stem for path in Path(buildpacks.__path__[0]).glob("*.py"))


def test_every_buildpack_of_the_folder_is_in_the_order() -> None:
    modules = [importlib.import_module(f"buildpacks.{name}") for name in MODULES]
    written = {module.BUILDPACK.id for module in modules if isinstance(getattr(module, "BUILDPACK", None), Buildpack)}
    assert written == {element.buildpack.id for group in ORDER for element in group}
    assert len(written) >= 5


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("requirements.txt", "cpython pip pip-install python-start"),
        ("requirements.txt app.py Procfile", "cpython pip pip-install python-start procfile"),
        ("main.py", "cpython python-start"),
        ("main.py Procfile", "cpython python-start procfile"),
        ("pyproject.toml", "cpython python-start"),
        ("pyproject.toml uv.lock requirements.txt", "cpython uv uv-install python-start"),
        ("Pipfile", "cpython pip pipenv pipenv-install python-start"),
        ("pyproject.toml pdm.lock", "cpython pdm-install python-start"),
        ("pyproject.toml poetry.lock", "cpython pip poetry poetry-install python-start"),
        ("pylock.toml requirements.txt Procfile", "cpython pylock python-start procfile"),
        ("shop/__main__.py", "cpython python-start"),
    ],
)
def test_an_application_gets_the_group_for_its_files(tmp_path: Path, files: str, expected: str) -> None:
    app = apps.make(tmp_path, {file: "web: python main.py" if file == "Procfile" else "" for file in files.split()})
    assert [step.buildpack.id for step in resolve(ORDER, app).steps] == expected.split()


def test_the_interpreter_is_asked_for_by_all_that_need_it(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"requirements.txt": "", ".python-version": "3.13\n"})
    (cpython, pip, _, start) = resolve(ORDER, app).steps
    assert [(each.version, each.build, each.launch) for each in cpython.requires] == [
        ("3.13", False, False),
        ("", True, False),
        ("", True, False),
        ("", False, True),
    ]
    assert [each.name for each in pip.requires] == ["pip"]
    assert start.requires == ()


def test_detection_reads_no_file_outside_the_application(tmp_path: Path) -> None:
    read: list[str] = []
    (tmp_path / "requirements.txt").touch()
    resolve(ORDER, App(tmp_path, on_read=read.append))
    assert set(read) <= {"requirements.txt"}


def ids(order: Order, app: App) -> list[str]:
    return [step.buildpack.id for step in resolve(order, app).steps]


# What decides: at most one manager's lock, and what may stand beside it.
locks = st.sampled_from(["", "Pipfile", "Pipfile.lock", "uv.lock", "poetry.lock", "pdm.lock"])
others = st.sets(
    st.sampled_from(["pylock.toml", "requirements.txt", "pyproject.toml", "main.py", "Procfile", "environment.yml"])
)
CONTENT = {"Procfile": "web: python main.py", "Pipfile.lock": "{}"}


@settings(max_examples=60)
@given(locks, others)
def test_the_order_resolves_as_the_lifecycle_does_whatever_files_there_are(lock: str, files: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = apps.make(Path(folder), {file: CONTENT.get(file, "") for file in files | {lock} - {""}})
        expected = orders.lifecycle(ORDER, app)
        assert expected == orders.brute_force(ORDER, app)
        try:
            assert ids(ORDER, app) == expected
        except BuildError as error:
            assert (error.code, expected) == ("IB300", [])


# Buildpacks from outside, whose plans have names of ours in them.
names = st.lists(st.sampled_from(["cpython", "site-packages", "pip", "procfile", "oil"]), max_size=2, unique=True)
plans = st.builds(lambda provides, requires: BuildPlan(tuple(provides), tuple(map(Require, requires))), names, names)
from_outside = st.lists(st.tuples(plans, plans, st.sampled_from(["addition", "installer"])), max_size=3)


@settings(max_examples=100)
@given(from_outside, st.sets(st.sampled_from(["requirements.txt", "main.py", "Procfile"]), min_size=1))
def test_it_does_so_with_any_buildpacks_from_outside(
    drawn: list[tuple[BuildPlan, BuildPlan, str]], files: set[str]
) -> None:
    def outside(number: int, plan: BuildPlan, other: BuildPlan, place: str) -> Buildpack:
        answer = BuildPlan(plan.provides, plan.requires, (other,))
        return Buildpack(f"outside/{number}", lambda _app: answer, place=place)

    order = order_with([outside(number, *each) for number, each in enumerate(drawn)])
    with tempfile.TemporaryDirectory() as folder:
        app = apps.make(Path(folder), {file: CONTENT.get(file, "") for file in files})
        expected = orders.brute_force(order, app)
        assume(expected)  # a Procfile alone is no application
        assert ids(order, app) == expected == orders.lifecycle(order, app)
