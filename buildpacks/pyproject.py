"""pyproject: the packages that [project] asks for, where no package manager has locked them."""

from collections.abc import Iterator, Mapping

from buildpacks import declared, environment, frameworks, local, locks, project
from buildpacks.api import App, Buildpack, BuildPlan, Built, Fail, PinContext, Pins, Require, value_at
from buildpacks.requirement_lines import Line
from buildpacks.requirements import unpublished
from layers.values import replace

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
    own = tuple(map(Built, local.project(context.app, document)))
    requirements = _requirements(context.app, built=bool(own))
    named = {text: found for text in requirements if (found := _unpublished(text))}
    resolved = locks.resolved(
        context,
        "".join(f"{text}\n" for text in requirements if text not in named),
        file=project.FILE,
        indexes=indexes,
        built=(
            *(own if "dependencies" in known.dynamic else ()),
            *(
                Built(local.wheel(context, each), each.extras)
                for each in named.values()
                if locks.holds(each.marker, context, file=project.FILE)
            ),
        ),
    )
    return locks.with_project(context, document, resolved)


def _requirements(app: App, *, built: bool) -> tuple[str, ...]:
    """Return what the project requires with the extras and groups that are asked for."""
    document = app.toml(project.FILE)
    known = project.read(document)
    asked = locks.asked(app, project.FILE, extras=known.extras, groups=known.groups)
    return project.requirements(document, asked, built=built)


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


def _unpublished(text: str) -> local.Named | None:
    """Return what a requirement names of folders and repositories, if it does."""
    from packaging.requirements import Requirement  # only what is not pinned is parsed

    one = Requirement(text)
    url = one.url or ""
    if url.startswith(("https://", "http://")):
        found = unpublished(Line(project.FILE, 0, text, constraint=False))
        return found and replace(found, place=project.FILE)
    if not url.startswith(("git+", "file:")) or url.endswith(".whl"):
        return None
    return local.Named(project.FILE, url, one.name, frozenset(one.extras), str(one.marker or ""))


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of the packages that the project asks for, and of itself if it is installed."""
    own = local.own_name(app)
    return (*own, *frameworks.named(_requirements(app, built=bool(own))))


BUILDPACK = Buildpack("pyproject", detect, pin, environment.build, names)
