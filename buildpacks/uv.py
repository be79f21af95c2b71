"""uv: provides `uv` to buildpacks that install with it. uv itself never goes into the image."""

from buildpacks.api import App, Buildpack, BuildPlan


def detect(_app: App) -> BuildPlan:
    """Offer uv to whoever requires it."""
    return BuildPlan(provides=("uv",))


BUILDPACK = Buildpack("uv", detect)
