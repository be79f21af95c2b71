"""poetry-install: the packages of poetry.lock, without development groups.

Since lock version 2.1 (Poetry 2.0) each package says which groups want it, and when; `poetry_graph` reads older locks.
"""

from collections.abc import Iterator, Mapping

from buildpacks import declared, environment, local, locks, poetry_graph, project
from buildpacks.api import App, Buildpack, BuildPlan, Fail, PinContext, Pins, Require, value_at
from buildpacks.locks import Asked, normalised
from buildpacks.poetry_graph import Graph
from layers.expression import expression

_FILE = poetry_graph.FILE
_VERSION = "2.1"
_MAIN = "main"
_ONLY = "BP_POETRY_INSTALL_ONLY"
# What of pyproject.toml Poetry hashes (poetry.packages.locker).
_OF_PROJECT = ("requires-python", "dependencies", "optional-dependencies")
_BEFORE_GROUPS = expression(r"#[^\n]*Poetry 2\.[0-2]\.")
_OF_POETRY = ("dependencies", "source", "extras", "dev-dependencies")


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from poetry.lock."""
    return declared.unless(app, "poetry") or BuildPlan(
        provides=("poetry-venv",), requires=(Require("cpython", build=True), Require("poetry", build=True))
    )


def pin(context: PinContext) -> Pins:
    """Choose the wheels of the packages that the main group and those asked for want.

    Raises UsageError IB312 for a lock of another format, BuildError IB313 for one that does not fit the project.
    """
    app, document = context.app, project.beside(context.app, _FILE)
    lock = app.toml(_FILE)
    version, content = (value_at(lock, "metadata", key) for key in ("lock-version", "content-hash"))
    if version not in (_VERSION, *poetry_graph.VERSIONS):
        raise locks.malformed(_FILE, f"its format is {version}, and imagebuilder knows those up to {_VERSION}")
    if content not in _content_hashes(document, app.text(_FILE)):
        raise locks.stale(_FILE, "the dependencies in pyproject.toml have changed", "poetry lock")
    packages = locks.tables(lock.get("package", []), _FILE)
    extras = value_at(lock, "extras")
    asked = locks.asked(
        app,
        _FILE,
        extras=extras if isinstance(extras, dict) else (),
        groups={_MAIN, *_groups(document, packages)},
        variable=_ONLY,
    )
    # Paketo's variable names all groups there shall be, ours those beside the main one.
    only = app.setting("groups") is None and app.setting(_ONLY) is not None
    wanted = Asked(asked.extras, asked.groups if only else asked.groups | {_MAIN})
    choose = _marked if version == _VERSION else _followed
    chosen = choose(context, lock, wanted)
    listed = [locks.package(package, _FILE) for package in chosen]
    pins = locks.pins(context, listed, file=_FILE, indexes=dict(_indexes(document, chosen)))
    return locks.with_project(context, document, pins)


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of all packages of the main group, and of the project if it is installed."""
    lock = app.toml(_FILE)
    if value_at(lock, "metadata", "lock-version") in poetry_graph.VERSIONS:
        packages = Graph(app.toml(project.FILE), lock).wanted(frozenset({_MAIN}), frozenset())
    else:
        packages = [one for one in locks.tables(lock.get("package", []), _FILE) if _MAIN in _listed(one)]
    return (*local.own_name(app), *(normalised(package.get("name")) for package in packages))


def _marked(context: PinContext, lock: Mapping[str, object], asked: Asked) -> list[Mapping[str, object]]:
    """Return the packages that say that one of the groups wants them."""
    return [
        package
        for package in locks.tables(lock.get("package", []), _FILE)
        if any(
            locks.holds(marker, context, file=_FILE, extras=asked.extras) for marker in _markers(package, asked.groups)
        )
    ]


def _followed(context: PinContext, lock: Mapping[str, object], asked: Asked) -> list[Mapping[str, object]]:
    """Return the packages that the groups lead to."""
    graph = Graph(
        context.app.toml(project.FILE),
        lock,
        lambda marker, extras: locks.holds(marker, context, file=_FILE, extras=extras),
        environment.interpreter_of(context.interpreter).version,
    )
    return graph.wanted(asked.groups, asked.extras)


def default_source(document: Mapping[str, object]) -> str:
    """Return the name of the source that stands for the public index; empty if that is asked itself."""
    listed = value_at(document, "tool", "poetry", "source")
    sources = [source for source in listed if isinstance(source, dict)] if isinstance(listed, list) else []
    if any(normalised(source.get("name")) == "pypi" for source in sources):
        return ""
    return next((str(source.get("name")) for source in sources if _is_primary(source)), "")


def _is_primary(source: Mapping[str, object]) -> bool:
    """Say whether Poetry asks a source for everything; before version 1.5 it had two switches for that."""
    other = source.get("secondary") is True and source.get("default") is not True
    return source.get("priority", "secondary" if other else "primary") in ("primary", "default")


def _indexes(document: Mapping[str, object], packages: list[Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    """Yield the source of each package that has another than most."""
    default = default_source(document)
    for package in packages:
        reference = str(value_at(package, "source", "reference"))
        if value_at(package, "source", "type") == "legacy" and reference != default:
            yield normalised(package.get("name")), reference


def _content_hashes(document: Mapping[str, object], lock: str) -> tuple[str, ...]:
    """Return the hashes that a lock may have: before 2.3 Poetry left the groups of PEP 735 out, as it says itself."""
    groups = document.get("dependency-groups") or {}
    known = (groups, {}) if _BEFORE_GROUPS.match(lock) else (groups,)
    return tuple(locks.json_hash(_relevant(document, each), file=project.FILE) for each in known)


def _relevant(document: Mapping[str, object], groups: object) -> dict[str, object]:
    standard = {key: value for key in _OF_PROJECT if (value := value_at(document, "project", key)) is not None}
    own = {key: value_at(document, "tool", "poetry", key) for key in (*_OF_POETRY, "group")}
    found = ({"project": standard} if standard else {}) | ({"dependency-groups": groups} if groups else {})
    if found:
        return {**found, "tool": {"poetry": {key: value for key, value in own.items() if value is not None}}}
    return {key: value for key, value in own.items() if value is not None or key in _OF_POETRY}


def _groups(document: Mapping[str, object], packages: list[Mapping[str, object]]) -> Iterator[str]:
    """Yield the groups there are: a group without packages is in no lock."""
    for table in (document.get("dependency-groups"), value_at(document, "tool", "poetry", "group")):
        yield from table if isinstance(table, dict) else ()
    if value_at(document, "tool", "poetry", "dev-dependencies"):
        yield "dev"
    for package in packages:
        yield from _listed(package)


def _listed(package: Mapping[str, object]) -> tuple[str, ...]:
    groups = package.get("groups")
    return tuple(map(normalised, groups)) if isinstance(groups, list) else ()


def _markers(package: Mapping[str, object], groups: frozenset[str]) -> Iterator[object]:
    """Yield under which condition each of the groups wants a package: one for all, or one for each."""
    markers = package.get("markers")
    for group in _listed(package):
        if group in groups:
            yield value_at(markers, group) if isinstance(markers, dict) else markers


BUILDPACK = Buildpack("poetry-install", detect, pin, environment.build, names)
