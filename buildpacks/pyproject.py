"""pyproject: the packages that [project] asks for, where no package manager has locked them."""

from buildpacks import declared, environment, locks, project
from buildpacks.api import App, Buildpack, BuildPlan, Fail, PinContext, Pins, Require, value_at


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from [project] of pyproject.toml."""
    return declared.unless(app, "pyproject") or BuildPlan(
        provides=("site-packages",), requires=(Require("cpython", build=True), Require("pip", build=True))
    )


def pin(context: PinContext) -> Pins:
    """Resolve the project's dependencies with the extras and groups that are asked for.

    Raises UsageError IB311 if [tool.uv.sources] says where packages are, which only uv's lock can tell.
    """
    document = context.app.toml(project.FILE)
    if value_at(document, "tool", "uv", "sources"):
        raise declared.missing("uv", "[tool.uv.sources] of pyproject.toml")
    known = project.read(document)
    asked = locks.asked(context.app, project.FILE, extras=known.extras, groups=known.groups)
    requirements = project.requirements(document, asked)
    resolved = locks.resolved(context, "".join(f"{text}\n" for text in requirements), file=project.FILE)
    return locks.with_project(context, document, resolved)


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of the packages that the project asks for."""
    return project.read(app.toml(project.FILE)).names


BUILDPACK = Buildpack("pyproject", detect, pin, environment.build, names)
