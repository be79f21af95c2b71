"""uv-install: the packages of uv.lock, without development groups.

uv itself reads its lock, whose form is nobody else's business. Whether the lock still fits is judged here, for the
image alone: uv would want an interpreter that the project accepts on the host.
"""

from collections.abc import Iterator, Mapping
from posixpath import join, normpath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from buildpacks import declared, environment, local, locks, project, uv_settings
from buildpacks.api import App, Buildpack, BuildPlan, Fail, PinContext, Pins, Require, value_at
from buildpacks.locks import Asked, normalised
from layers.canonical import Json

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

_FILE = uv_settings.FILE
_VERSION = 1
_LOCAL = ("editable", "virtual", "directory")
# Requirements of all projects: their names in the lock, and in pyproject.toml.
_CONDITIONS = {
    "constraints": "constraint-dependencies",
    "overrides": "override-dependencies",
    "build-constraints": "build-constraint-dependencies",
}
# Where an entry of the lock says what it needs: always, and with one of its extras.
_ALWAYS, _BY_EXTRA = "dependencies", "optional-dependencies"
_OTHER_SOURCES = ("git", "url", "path", *_LOCAL)

# Name, extras and versions of a requirement.
_Requirement = tuple[str, frozenset[str], "SpecifierSet"]


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from uv.lock."""
    return declared.unless(app, "uv") or BuildPlan(
        provides=("uv-environment",), requires=(Require("cpython", build=True), Require("uv", build=True))
    )


def pin(context: PinContext) -> Pins:
    """Have uv write its lock in the standard's form and choose the wheels.

    Raises UsageError IB312 for a lock of another format, BuildError IB313 for one that does not fit the project.
    """
    app, document = context.app, project.beside(context.app, _FILE)
    lock = app.toml(_FILE)
    if lock.get("version") != _VERSION:
        raise locks.malformed(_FILE, f"its format is {lock.get('version')}, and imagebuilder knows {_VERSION}")
    asked = _asked(app, document)
    members = dict(_members(app, lock))
    _check_fresh(context, lock, members)
    files = {_FILE: app.text(_FILE), project.FILE: app.text(project.FILE)} | {path: app.text(path) for path in members}
    exported = context.resolver.export_uv(files, extras=sorted(asked.extras), groups=sorted(asked.groups))
    pins = locks.pins_of(context, exported, file=_FILE, indexes=dict(_indexes(document, exported)))
    return locks.with_project(context, document, pins)


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of the packages that the lock has for what is asked for, and of the project itself.

    Conditions are not judged: there is no interpreter yet.
    """
    document = project.beside(app, _FILE)
    own = normalised(value_at(document, "project", "name"))
    found = _reached(app, own, _asked(app, document)) - {own}
    return (*local.own_name(app), *project.read(document).names, *sorted(found))


def _asked(app: App, document: Mapping[str, object]) -> Asked:
    known = project.read(document)
    return locks.asked(app, project.FILE, extras=known.extras, groups=known.groups, variable="BP_UV_INSTALL_GROUPS")


def _reached(app: App, project_name: str, asked: Asked) -> set[str]:
    """Return the names of all packages that a project of the lock leads to, itself among them."""
    packages: dict[str, list[Mapping[str, object]]] = {}
    for package in locks.tables(app.toml(_FILE).get("package", []), _FILE):
        packages.setdefault(normalised(package.get("name")), []).append(package)
    wanted: list[tuple[str, tuple[str, ...]]] = [(project_name, (_ALWAYS,))]
    wanted += [(project_name, (_BY_EXTRA, extra)) for extra in asked.extras]
    wanted += [(project_name, ("dev-dependencies", group)) for group in asked.groups]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while wanted:
        name, part = one = wanted.pop()
        if one in seen:
            continue
        seen.add(one)
        for entry in (entry for each in packages.get(name, ()) for entry in _entries(each, part)):
            other, extras = normalised(entry.get("name")), entry.get("extra")
            wanted.append((other, (_ALWAYS,)))
            wanted += [(other, (_BY_EXTRA, str(extra))) for extra in (extras if isinstance(extras, list) else ())]
    return {name for name, _ in seen}


def _entries(package: Mapping[str, object], part: tuple[str, ...]) -> list[Mapping[str, object]]:
    return locks.tables(value_at(package, *part) or [], _FILE)


def _indexes(document: Mapping[str, object], exported: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the index of each package that comes from one that uv asks for nothing else."""
    listed = value_at(document, "tool", "uv", "index")
    explicit = {
        _bare(str(value_at(index, "url"))): str(value_at(index, "name"))
        for index in (listed if isinstance(listed, list) else ())
        if value_at(index, "explicit") is True
    }
    for package in locks.tables(exported.get("packages", []), _FILE):
        if name := explicit.get(_bare(str(package.get("index")))):
            yield normalised(package.get("name")), name


def _bare(address: str) -> str:
    """Return an index's address in one form, without credentials."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/")).geturl()


def _members(app: App, lock: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the pyproject.toml of each project in the application that the lock is about, and what the lock says."""
    for package in locks.tables(lock.get("package", []), _FILE):
        folder = next((str(value_at(package, "source", kind)) for kind in _LOCAL if _has(package, kind)), None)
        if folder is not None and app.has(path := normpath(join(folder, project.FILE))):
            yield path, package


def _has(package: Mapping[str, object], kind: str) -> bool:
    return value_at(package, "source", kind) is not None


def _check_fresh(context: PinContext, lock: Mapping[str, object], members: Mapping[str, Mapping[str, object]]) -> None:
    """Raise BuildError IB313 if the lock was made from other requirements, as far as the image is concerned."""
    judge = _Judge(context)
    for path, package in members.items():
        document = context.app.toml(path)
        if judge.locked(package) != judge.written(document, path):
            raise locks.stale(_FILE, f"the dependencies in {path} have changed", "uv lock")
    uv_settings.check(context.app, lock, {path: context.app.toml(path) for path in (project.FILE, *members)})
    settings = value_at(context.app.toml(project.FILE), "tool", "uv")
    for key, name in _CONDITIONS.items():
        written = value_at(settings, name)
        texts = project.checked(written if isinstance(written, list) else (), project.FILE)
        if judge.entries(value_at(lock, "manifest", key)) != judge.requirements(texts, frozenset()):
            raise locks.stale(_FILE, f"[tool.uv] {name} has changed", "uv lock")


class _Judge:
    """Reads requirements as they are for one image, so that two ways to write them can be compared."""

    def __init__(self, context: PinContext) -> None:
        self._context = context

    def written(self, document: Mapping[str, object], file: str) -> dict[str, set[_Requirement]]:
        """Return what a pyproject.toml asks for, by extra (`[name]`) and group; what a backend fills in is left out."""
        found, sources = project.read(document, file), value_at(document, "tool", "uv", "sources")
        elsewhere = frozenset(normalised(name) for name, source in _items(sources) if value_at(source, "index") is None)
        parts = {"": found.requirements} if "dependencies" not in found.dynamic else {}
        parts |= {f"[{name}]": texts for name, texts in found.extras.items()}
        parts |= dict(found.groups)
        old = value_at(document, "tool", "uv", "dev-dependencies")
        parts["dev"] = parts.get("dev", ()) + (tuple(map(str, old)) if isinstance(old, list) else ())
        asked = {part: self.requirements(texts, elsewhere) for part, texts in parts.items()}
        return _told_apart(asked)

    def locked(self, package: Mapping[str, object]) -> dict[str, set[_Requirement]]:
        """Return what a lock says that a project asked for when it was made."""
        listed, extras = (value_at(package, "metadata", key) for key in ("requires-dist", "provides-extras"))
        parts = {"": self.entries(listed)}
        for extra in extras if isinstance(extras, list) else ():
            parts[f"[{normalised(extra)}]"] = self.entries(listed, extra=str(extra))
        for group, entries in _items(value_at(package, "metadata", "requires-dev")):
            parts[normalised(group)] = self.entries(entries)
        return _told_apart(parts)

    def requirements(self, texts: tuple[str, ...], elsewhere: frozenset[str]) -> set[_Requirement]:
        """Read requirements as in pyproject.toml; the versions of what comes from `elsewhere` do not count."""
        from packaging.requirements import Requirement  # only what is not pinned is judged

        found = set()
        for text in texts:
            one = Requirement(text)
            if locks.holds(one.marker, self._context, file=project.FILE):
                name, extras = normalised(one.name), frozenset(map(normalised, one.extras))
                found.add((name, extras, _versions("" if one.url or name in elsewhere else str(one.specifier))))
        return found

    def entries(self, entries: object, *, extra: str = "") -> set[_Requirement]:
        """Read requirements as in uv.lock."""
        found = set()
        for entry in locks.tables(entries or [], _FILE):
            if not locks.holds(entry.get("marker"), self._context, file=_FILE, extras=(extra,)):
                continue
            extras = entry.get("extras")
            other = any(key in entry for key in _OTHER_SOURCES)
            found.add(
                (
                    normalised(entry.get("name")),
                    frozenset(map(normalised, extras if isinstance(extras, list) else ())),
                    _versions("" if other else str(entry.get("specifier", ""))),
                )
            )
        return found


def _versions(specifier: str) -> "SpecifierSet":
    from packaging.specifiers import SpecifierSet  # only what is not pinned is judged

    try:
        return SpecifierSet(specifier)
    except ValueError as error:
        raise locks.malformed(_FILE, f"{specifier!r} is no condition on versions") from error


def _told_apart(parts: Mapping[str, set[_Requirement]]) -> dict[str, set[_Requirement]]:
    """Leave out of the extras what is always asked for, and the parts that are empty."""
    always = parts.get("", set())
    told = {part: asked - always if part.startswith("[") else asked for part, asked in parts.items()}
    return {part: asked for part, asked in told.items() if asked}


def _items(table: object) -> list[tuple[str, object]]:
    return [(str(key), value) for key, value in table.items()] if isinstance(table, dict) else []


BUILDPACK = Buildpack("uv-install", detect, pin, environment.build, names)
