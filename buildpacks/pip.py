"""pip: provides `pip` to buildpacks that install with it. pip itself never goes into the image."""

from buildpacks.api import App, Buildpack, BuildPlan, Require


def detect(_app: App) -> BuildPlan:
    """Offer pip to whoever requires it; without a taker the step falls away (RFC 0001)."""
    return BuildPlan(provides=("pip",), requires=(Require("cpython", build=True),))


BUILDPACK = Buildpack("pip", detect)
