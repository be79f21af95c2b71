"""pyproject: the packages that [project] asks for, where no package manager has locked them."""

from collections.abc import Iterator, Mapping

from buildpacks import declared, environment, locks, project
from buildpacks.api import App, Buildpack, BuildPlan, Fail, PinContext, Pins, Require, value_at

# Settings by which uv would choose other versions than without them.
_OF_UV = (
    "constraint-dependencies",
    "exclude-dependencies",
    "exclude-newer",
    "exclude-newer-package",
    "override-dependencies",
    "prerelease",
    "resolution",
)


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from [project] of pyproject.toml."""
    return declared.unless(app, "pyproject") or BuildPlan(
        provides=("site-packages",), requires=(Require("cpython", build=True), Require("pip", build=True))
    )


def pin(context: PinContext) -> Pins:
    """Resolve the project's dependencies with the extras and groups that are asked for.

    Raises UsageError IB311 for a table of uv that decides versions, or says that one is no release: only uv's lock can
    tell what comes of it.
    """
    document = context.app.toml(project.FILE)
    if decides := next((key for key in _OF_UV if value_at(document, "tool", "uv", key)), ""):
        raise declared.missing("uv", f"[tool.uv] {decides} of pyproject.toml")
    indexes = dict(_indexes(context, document))
    known = project.read(document)
    asked = locks.asked(context.app, project.FILE, extras=known.extras, groups=known.groups)
    requirements = project.requirements(document, asked)
    text = "".join(f"{requirement}\n" for requirement in requirements)
    resolved = locks.resolved(context, text, file=project.FILE, indexes=indexes)
    return locks.with_project(context, document, resolved)


def _indexes(context: PinContext, document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the index of each project to which [tool.uv.sources] gives one in the image."""
    sources = value_at(document, "tool", "uv", "sources")
    for name, source in sources.items() if isinstance(sources, dict) else ():
        for each in source if isinstance(source, list) else [source]:
            index = value_at(each, "index")
            if not isinstance(index, str):
                raise declared.missing("uv", "[tool.uv.sources] of pyproject.toml")
            if locks.holds(value_at(each, "marker"), context, file=project.FILE):
                yield locks.normalised(name), index


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of the packages that the project asks for."""
    return project.read(app.toml(project.FILE)).names


BUILDPACK = Buildpack("pyproject", detect, pin, environment.build, names)
