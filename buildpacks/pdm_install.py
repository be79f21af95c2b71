"""pdm-install: the packages of pdm.lock, without development groups.

Each package says which groups want it, and when, if the lock has the strategy `inherit_metadata`, PDM's default.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from buildpacks import declared, environment, local, locks, project
from buildpacks.api import App, Buildpack, BuildPlan, Fail, PinContext, Pins, Require, value_at
from buildpacks.locks import normalised

_FILE = "pdm.lock"
_VERSION = "4."
_DEFAULT = "default"


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from pdm.lock."""
    return declared.unless(app, "pdm") or BuildPlan(
        provides=("site-packages",), requires=(Require("cpython", build=True),)
    )


def pin(context: PinContext) -> Pins:
    """Choose the wheels of the packages that the default group and those asked for want.

    Raises UsageError IB312 for a lock of another format, BuildError IB313 for one that does not fit the project.
    """
    app, document = context.app, project.beside(context.app, _FILE)
    lock = app.toml(_FILE)
    version, strategy = (value_at(lock, "metadata", key) for key in ("lock_version", "strategy"))
    if not str(version).startswith(_VERSION):
        raise locks.malformed(_FILE, f"its format is {version}, and imagebuilder knows {_VERSION}x")
    if not isinstance(strategy, list) or "inherit_metadata" not in strategy:
        raise locks.malformed(_FILE, "it was not made with the strategy inherit_metadata")
    if value_at(lock, "metadata", "content_hash") != f"sha256:{_content_hash(document)}":
        raise locks.stale(_FILE, "the dependencies in pyproject.toml have changed", "pdm lock")
    known = project.read(document)
    locked = value_at(lock, "metadata", "groups")
    groups = frozenset(map(normalised, locked)) if isinstance(locked, list) else frozenset[str]()
    asked = locks.asked(
        app, _FILE, extras=groups & known.extras.keys(), groups=(groups - known.extras.keys()) | {_DEFAULT}
    )
    wanted = asked.extras | asked.groups | {_DEFAULT}
    chosen = [
        package
        for package in locks.tables(lock.get("package", []), _FILE)
        if wanted & set(_listed(package)) and locks.holds(package.get("marker"), context, file=_FILE)
    ]
    # A package with extras has an entry of its own beside that without.
    by_name = {normalised(package.get("name")): locks.package(package, _FILE) for package in chosen}
    indexes = dict(_indexes(document, tuple(by_name)))
    return locks.with_project(
        context, document, locks.pins(context, tuple(by_name.values()), file=_FILE, indexes=indexes)
    )


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of all packages of the default group, and of the project if it is installed."""
    packages = locks.tables(app.toml(_FILE).get("package", []), _FILE)
    found = (normalised(package.get("name")) for package in packages if _DEFAULT in _listed(package))
    return (*local.own_name(app), *dict.fromkeys(found))


def _indexes(document: Mapping[str, object], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the source of each package that one source claims for itself (`include_packages`)."""
    sources = value_at(document, "tool", "pdm", "source")
    for name in names:
        claimed = [
            str(value_at(source, "name"))
            for source in (sources if isinstance(sources, list) else ())
            if isinstance(patterns := value_at(source, "include_packages"), list)
            and any(fnmatchcase(name, str(pattern).lower()) for pattern in patterns)
        ]
        if len(claimed) == 1:
            yield name, claimed[0]


def _listed(package: Mapping[str, object]) -> tuple[str, ...]:
    groups = package.get("groups")
    return tuple(map(normalised, groups)) if isinstance(groups, list) else ()


def _content_hash(document: Mapping[str, object]) -> str:
    """Return the hash of what PDM hashes (pdm.project.project_file)."""
    settings, metadata = value_at(document, "tool", "pdm"), document.get("project")
    groups: dict[str, list[object]] = {}
    for table in (document.get("dependency-groups"), value_at(settings, "dev-dependencies")):
        for name, entries in table.items() if isinstance(table, dict) else ():
            groups.setdefault(normalised(name), []).extend(entries if isinstance(entries, list) else [])
    hashed: dict[str, object] = {
        "sources": value_at(settings, "source") or [],
        "dependencies": value_at(metadata, "dependencies") or [],
        "dev-dependencies": groups,
        "optional-dependencies": value_at(metadata, "optional-dependencies") or {},
        "requires-python": value_at(metadata, "requires-python") or "",
        "resolution": value_at(settings, "resolution") or {},
    }
    return locks.json_hash(hashed, file=project.FILE)


BUILDPACK = Buildpack("pdm-install", detect, pin, environment.build, names)
