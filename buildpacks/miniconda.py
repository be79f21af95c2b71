"""miniconda: provides `conda` to what installs with it. conda itself is not needed, and never goes into the image."""

from buildpacks.api import App, Buildpack, BuildPlan


def detect(_app: App) -> BuildPlan:
    """Offer conda to whoever requires it (RFC 0001)."""
    return BuildPlan(provides=("conda",))


BUILDPACK = Buildpack("miniconda", detect)
