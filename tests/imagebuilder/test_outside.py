"""Buildpacks from outside: installed ones that the project names, and the project's own file that somebody trusts."""

import importlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildpacks.api import Setting
from imagebuilder import outside
from imagebuilder.request import BuildRequest
from imagebuilder.resolve import resolve
from layers.descriptor import Platform
from layers.errors import BuildError, UsageError
from tests import world
from tests.world import ROOT, World

EXAMPLE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "buildpacks.md").read_text(), re.DOTALL)[0]
GOOD = "from buildpacks.api import *\nBUILDPACK = Buildpack('acme/x', lambda app: BuildPlan())\n"


def install(folder: Path, code: str, *, version: str = "1.2", name: str = "acme", points: str = "") -> Path:
    """Write what pip would install of a distribution with one buildpack."""
    (folder / f"{name}_buildpack.py").write_text(code)
    metadata = folder / f"{name}_buildpacks-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-buildpacks\nVersion: {version}\n")
    points = points or f"release = {name}_buildpack:BUILDPACK\n"
    (metadata / "entry_points.txt").write_text(f"[imagebuilder.buildpacks]\n{points}")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where distributions are looked for."""
    place = tmp_path / "installed"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    for name in ("acme_buildpack", "other_buildpack"):
        monkeypatch.delitem(importlib.sys.modules, name, raising=False)
    return place


def request(folder: Path, *names: str, file: str = "", trust: bool = False) -> BuildRequest:
    (folder / "main.py").touch()
    return BuildRequest(
        folder,
        "app",
        Platform("linux", "amd64"),
        buildpacks=names,
        own_buildpack=Setting(file, "pyproject.toml") if file else None,
        trust_buildpack=trust,
    )


def steps(request: BuildRequest) -> list[tuple[str, str]]:
    plan = resolve(outside.order(request), request.app)
    return [(step.buildpack.id, step.buildpack.version) for step in plan.steps]


def test_an_installed_buildpack_takes_part_only_if_the_project_names_it(here: Path, tmp_path: Path) -> None:
    install(here, GOOD)
    assert [id_ for id_, _ in steps(request(tmp_path))] == ["cpython", "python-start"]
    assert steps(request(tmp_path, "release")) == [("cpython", ""), ("python-start", ""), ("acme/x", "1.2")]


def test_an_installer_has_a_group_of_its_own_before_all_others(here: Path, tmp_path: Path) -> None:
    code = "BuildPlan(('site-packages',), (Require('cpython', build=True),))"
    install(here, GOOD.replace("BuildPlan())", f"{code}, place='installer')"))
    (tmp_path / "requirements.txt").touch()
    plan = resolve(outside.order(request(tmp_path, "release")), request(tmp_path).app)
    assert [step.buildpack.id for step in plan.steps] == ["cpython", "acme/x", "python-start"]
    assert plan.groups[0].group == ("cpython", "acme/x", "python-start", "procfile")


def failure(request: BuildRequest) -> BuildError:
    with pytest.raises(BuildError) as caught:
        resolve(outside.order(request), request.app)
    return caught.value


def test_a_buildpack_that_is_not_installed_is_an_error_that_names_what_is(here: Path, tmp_path: Path) -> None:
    install(here, GOOD)
    error = failure(request(tmp_path, "relese"))
    assert (error.code, error.hint) == ("IB330", "did you mean `release`?")
    assert "release" in error.details[0]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nowhere_to_be_found\n", "ModuleNotFoundError"),
        ("raise SystemExit\n", "SystemExit"),
        ("x = 1\n", "AttributeError"),
        ("def\n", "SyntaxError"),
    ],
)
def test_a_broken_entry_point_names_its_distribution(here: Path, tmp_path: Path, code: str, message: str) -> None:
    install(here, code)
    error = failure(request(tmp_path, "release"))
    assert error.code == "IB332"
    assert "acme-buildpacks 1.2" in error.message
    assert message in error.message
    assert error.details == ("it is to be at acme_buildpack:BUILDPACK",)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("BUILDPACK = 3\n", "gives 3 and no Buildpack"),
        (GOOD.replace("acme/x", "Acme X"), "calls its buildpack 'Acme X'"),
        (GOOD.replace("acme/x", "cpython"), "calls its buildpack 'cpython', as imagebuilder does"),
        (GOOD.replace("())", "(), place='first')"), "puts its buildpack at 'first'"),
    ],
)
def test_what_cannot_be_a_buildpack_is_refused(here: Path, tmp_path: Path, code: str, message: str) -> None:
    install(here, code)
    error = failure(request(tmp_path, "release"))
    assert error.code == "IB333"
    assert message in error.message


def test_one_name_of_two_distributions_is_refused(here: Path, tmp_path: Path) -> None:
    install(here, GOOD)
    install(here, GOOD, name="other")
    error = failure(request(tmp_path, "release"))
    assert error.code == "IB333"
    assert "acme-buildpacks 1.2" in error.message
    assert "other-buildpacks 1.2" in error.message


@pytest.mark.parametrize("answer", ["1 / 0", "None", "exit()"])
def test_a_buildpack_that_fails_is_named(here: Path, tmp_path: Path, answer: str) -> None:
    install(here, GOOD.replace("BuildPlan()", answer))
    error = failure(request(tmp_path, "release"))
    assert error.code == "IB334"
    assert error.message.startswith("the buildpack acme/x (acme-buildpacks 1.2) fails in detect: ")


@pytest.mark.parametrize(
    ("place", "plan", "message"),
    [
        ("addition", "BuildPlan((), (Require('oil'),))", "it requires oil, which none before it provides"),
        ("addition", "BuildPlan(('wood',))", "it provides wood, which none after it requires"),
        ("installer", "BuildPlan(('site-packages',), (Require('oil'),))", "it requires oil"),
    ],
)
def test_a_plan_that_cannot_be_met_is_an_error(here: Path, tmp_path: Path, place: str, plan: str, message: str) -> None:
    install(here, GOOD.replace("BuildPlan())", f"{plan}, place={place!r})"))
    error = unmet(request(tmp_path, "release"))
    assert (error.code, error.exit_code) == ("IB940", 2)
    assert error.message.startswith(f"the buildpack acme/x (acme-buildpacks 1.2) cannot take part: {message}")


def test_buildpacks_that_wait_for_each_other_are_an_error(here: Path, tmp_path: Path) -> None:
    plan = "BuildPlan(('chicken',), (Require('egg'),))"
    install(here, GOOD.replace("BuildPlan()", plan))
    other = plan.replace("chicken", "x").replace("egg", "chicken").replace("x", "egg")
    install(here, GOOD.replace("BuildPlan()", other).replace("acme/x", "other/x"), name="other",
            points="other = other_buildpack:BUILDPACK")  # fmt: skip
    assert unmet(request(tmp_path, "release", "other")).code == "IB940"
    assert unmet(request(tmp_path, "other", "release")).code == "IB940"


def test_a_buildpack_that_says_it_does_not_fit_is_no_error(here: Path, tmp_path: Path) -> None:
    install(here, GOOD.replace("BuildPlan()", "Fail('no oil')"))
    asked = request(tmp_path, "release")
    order = outside.order(asked)
    outside.check(order, resolve(order, asked.app))


def unmet(request: BuildRequest) -> BuildError:
    order = outside.order(request)
    plan = resolve(order, request.app)
    with pytest.raises(BuildError) as caught:
        outside.check(order, plan)
    return caught.value


def test_an_error_in_a_buildpacks_own_words_is_left_as_it_is(here: Path, tmp_path: Path) -> None:
    code = "from layers.errors import UsageError\nfrom buildpacks.api import *\ndef detect(app):\n"
    code += (
        "    raise UsageError('no licence', hint='buy one', code='ACME1')\nBUILDPACK = Buildpack('acme/x', detect)\n"
    )
    install(here, code)
    assert failure(request(tmp_path, "release")).code == "ACME1"


def test_the_projects_own_buildpack_does_not_run_untrusted(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import pathlib\npathlib.Path(__file__).touch()\n")
    error = failure(request(tmp_path, file="own.py"))
    assert (error.code, error.hint) == ("IB331", "read it; if you trust it, give --trust-buildpack")
    assert isinstance(error, UsageError)


def test_the_version_of_the_projects_own_buildpack_is_its_hash_and_it_leaves_no_bytecode(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(GOOD)
    first = steps(request(tmp_path, file="own.py", trust=True))
    assert first[-1][0] == "acme/x"
    assert first[-1][1].startswith("sha256:")
    (tmp_path / "own.py").write_text(GOOD + "# changed\n")
    assert steps(request(tmp_path, file="own.py", trust=True)) != first
    assert not list(tmp_path.rglob("*.pyc"))


@pytest.mark.parametrize("code", ["1 / 0\n", "def\n"])
def test_the_projects_own_buildpack_that_cannot_run_is_named(tmp_path: Path, code: str) -> None:
    (tmp_path / "own.py").write_text(code)
    error = failure(request(tmp_path, file="own.py", trust=True))
    assert error.code == "IB332"
    assert "own.py" in error.message


def test_a_file_outside_the_project_is_none_of_its_buildpacks(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "own.py").write_text(GOOD)
    assert failure(request(project, file="../own.py", trust=True)).code == "IB103"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world.running(tmp_path_factory.mktemp("world")) as found:
        yield found


def built(place: World, *flags: str, **environment: str) -> dict:
    ran = place.run("build", "app", "--json", *flags, **environment)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def config_of(place: World) -> dict:
    shown = place.run("inspect", "oci:dist/app.oci", "--json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def test_the_example_of_the_documentation_works(place: World) -> None:
    pyproject = '[tool.imagebuilder.buildpack]\nfile = "tools/release.py"\n'
    place.app({"main.py": "", "VERSION": "2.1\n", "tools/release.py": EXAMPLE, "pyproject.toml": pyproject})
    refused = place.run("plan", "app")
    assert refused.returncode == 2
    assert "IB331" in refused.stderr
    planned = place.run("plan", "app", "--trust-buildpack")
    assert "example/release is from tools/release.py of the project: its code runs" in " ".join(planned.stdout.split())
    first = built(place, "--trust-buildpack")
    shown = place.run("inspect", "oci:dist/app.oci", "--files")
    assert "etc/release" in shown.stdout
    assert "APP_RELEASE=2.1" in place.run("inspect", "oci:dist/app.oci", "--json").stdout
    again = place.run("check", "app", "--trust-buildpack", "--vary", "source,umask")
    assert again.returncode == 0, again.stdout + again.stderr
    assert built(place, "--trust-buildpack")["manifest_digest"] == first["manifest_digest"]


def test_an_upgrade_makes_its_layers_anew_and_the_lock_stale(place: World, tmp_path: Path) -> None:
    place.app({"main.py": "", "VERSION": "1\n", "imagebuilder.toml": 'buildpacks = ["release"]\n'}, "app2")
    old = install(tmp_path, EXAMPLE, version="1.0")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return place.run(*arguments, PYTHONPATH=f"{ROOT}:{old}")

    assert run("build", "app2").returncode == 0
    (tmp_path / "acme_buildpacks-1.0.dist-info").rename(tmp_path / "acme_buildpacks-1.1.dist-info")
    metadata = tmp_path / "acme_buildpacks-1.1.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "1.1"))
    checked = run("lock", "app2", "--check")
    assert checked.stdout == "example/release: its version is 1.1, the lock has 1.0\n"
    again = json.loads(run("build", "app2", "--json").stdout)
    assert {layer["name"]: layer["cached"] for layer in again["layers"]}["release"] is False
    config = json.dumps(json.loads(run("inspect", "oci:dist/app2.oci", "--json").stdout))
    assert "example/release" in config
    assert "1.1" in config
    without = place.app({"imagebuilder.toml": ""}, "app2")
    assert "example/release: it does not take part any more" in run("lock", str(without), "--check").stdout
