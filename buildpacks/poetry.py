"""poetry: provides `poetry` to buildpacks that install with it. Poetry itself never goes into the image."""

from buildpacks.api import App, Buildpack, BuildPlan, Require


def detect(_app: App) -> BuildPlan:
    """Offer Poetry to whoever requires it (Paketo: installed with pip)."""
    return BuildPlan(provides=("poetry",), requires=(Require("pip", build=True), Require("cpython", build=True)))


BUILDPACK = Buildpack("poetry", detect)
