"""pip is offered, and never installed."""

from pathlib import Path

from buildpacks import pip
from buildpacks.api import App, BuildContext, BuildPlan, BuildResult, Pins, Target
from layers.descriptor import Platform


def test_pip_is_provided_for_whoever_needs_it_and_needs_cpython_at_build(tmp_path: Path) -> None:
    plan = pip.BUILDPACK.detect(App(tmp_path))
    assert isinstance(plan, BuildPlan)
    assert plan.provides == ("pip",)
    assert [(one.name, one.build, one.launch) for one in plan.requires] == [("cpython", True, False)]


def test_pip_adds_nothing_to_the_image(tmp_path: Path) -> None:
    target = Target(Platform("linux", "amd64"), "debian:trixie", (2, 41))
    context = BuildContext(App(tmp_path), (), target, None, Pins(), frozenset())
    assert pip.BUILDPACK.build(context) == BuildResult()
