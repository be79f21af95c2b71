"""pipenv: provides `pipenv` to buildpacks that install with it. Pipenv itself never goes into the image."""

from buildpacks.api import App, Buildpack, BuildPlan, Require


def detect(_app: App) -> BuildPlan:
    """Offer Pipenv to whoever requires it (RFC 0001: installed with pip)."""
    return BuildPlan(provides=("pipenv",), requires=(Require("pip", build=True), Require("cpython", build=True)))


BUILDPACK = Buildpack("pipenv", detect)
