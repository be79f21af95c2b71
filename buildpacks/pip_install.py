"""pip-install: the packages of requirement files, as layers of a virtual environment."""

from buildpacks.api import App, BuildContext, BuildPlan, Buildpack, BuildResult, Fail, PinContext, Pins


def requirement_files(app: App) -> tuple[str, ...]:
    """Return the requirement files: the setting `requirements`, BP_PIP_REQUIREMENT, or `requirements.txt`."""
    raise NotImplementedError


def detect(app: App) -> BuildPlan | Fail:
    """Fit if there are requirement files."""
    raise NotImplementedError


def pin(context: PinContext) -> Pins:
    """Resolve the requirements and choose wheels."""
    raise NotImplementedError


def build(context: BuildContext) -> BuildResult:
    """Describe the layers: the environment, one for each large wheel, one for all small wheels."""
    raise NotImplementedError


BUILDPACK = Buildpack("pip-install", detect, pin, build)
