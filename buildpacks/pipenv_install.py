"""pipenv-install: the packages of Pipfile.lock, as `pipenv install --deploy` takes them, or of a Pipfile alone.

The lock names versions and hashes, but no files: the index says which file has which hash.
"""

from collections.abc import Iterator, Mapping

from buildpacks import declared, environment, local, locks, project
from buildpacks.api import App, Buildpack, BuildPlan, Built, Fail, PinContext, Pins, Require, value_at
from buildpacks.locks import Asked, normalised
from layers.errors import BuildError

_PIPFILE, _LOCK = "Pipfile", "Pipfile.lock"
# Names in the lock of the two tables that Pipenv has always had.
_LOCKED_AS = {"packages": "default", "dev-packages": "develop"}
_NO_PACKAGES = ("source", "requires", "scripts", "pipfile", "pipenv")
# Keys of what is not released but somewhere.
_PLACES = frozenset({"git", "hg", "svn", "bzr", "path", "file"})
# A Pipfile writes conditions also by key: `sys_platform = "== 'win32'"`.
_VARIABLES = (
    "implementation_name", "implementation_version", "os_name", "platform_machine", "platform_python_implementation",
    "platform_release", "platform_system", "platform_version", "python_full_version", "python_version", "sys_platform",
)  # fmt: skip


def detect(app: App) -> BuildPlan | Fail:
    """Fit if the packages come from a Pipfile or its lock."""
    return declared.unless(app, "pipenv") or BuildPlan(
        provides=("site-packages",), requires=(Require("cpython", build=True), Require("pipenv", build=True))
    )


def pin(context: PinContext) -> Pins:
    """Choose the wheels of the versions that are locked; resolve the Pipfile where it has no lock.

    Raises BuildError IB313 for a lock that was made from another Pipfile.
    """
    app = context.app
    if not app.has(_LOCK):
        pipfile = app.toml(_PIPFILE)
        packages = _chosen(pipfile, _asked(app, _PIPFILE, (key for key in pipfile if key not in _NO_PACKAGES)))
        indexes = _indexes(packages, pipfile.get("source"))
        return _resolved(context, packages, file=_PIPFILE, indexes=indexes)
    lock = app.json(_LOCK)
    pipfile = app.toml(_PIPFILE) if app.has(_PIPFILE) else {}
    if pipfile and value_at(lock, "_meta", "hash", "sha256") != _content_hash(pipfile, lock):
        raise locks.stale(_LOCK, "the Pipfile has changed", "pipenv lock")
    names = {value: key for key, value in _LOCKED_AS.items()}
    tables = {names.get(key, key): value for key, value in lock.items() if key != "_meta"}
    chosen = _asked(app, _LOCK, tables)
    conditions = _chosen(pipfile, chosen)
    packages = {name: _both(entry, conditions.get(name)) for name, entry in _chosen(tables, chosen).items()}
    allowed = {name: hashes for name, entry in packages.items() if (hashes := frozenset(_hashes(entry)))}
    indexes = _indexes(packages, pipfile.get("source", value_at(lock, "_meta", "sources")))
    return _resolved(context, packages, file=_LOCK, indexes=indexes, allowed=allowed)


def names(app: App) -> tuple[str, ...]:
    """Return the normalised names of the packages that are always installed."""
    document = {"packages": app.json(_LOCK).get("default")} if app.has(_LOCK) else app.toml(_PIPFILE)
    return tuple(_chosen(document, Asked()))


def _asked(app: App, file: str, categories: Iterator[str] | Mapping[str, object]) -> Asked:
    return locks.asked(app, file, groups={"packages", *categories})


def _chosen(document: Mapping[str, object], asked: Asked) -> dict[str, object]:
    """Return the entries of the tables that are wanted, by project; the same project is the same version in all."""
    found: dict[str, object] = {}
    for table, entries in document.items():
        if normalised(table) in {"packages", *asked.groups} and table not in _NO_PACKAGES:
            found |= {normalised(name): entry for name, entry in entries.items()} if isinstance(entries, dict) else {}
    return found


def _indexes(packages: Mapping[str, object], sources: object) -> dict[str, str]:
    """Return the index of each package that names one; the first of the sources is that of all others, too."""
    first = value_at(sources[0], "name") if isinstance(sources, list) and sources else None
    named = {name: value_at(entry, "index") for name, entry in packages.items()}
    return {name: index for name, index in named.items() if isinstance(index, str) and index != first}


def _both(locked: object, written: object) -> object:
    """Add the conditions of the Pipfile: Pipenv leaves some of them out of its lock."""
    if not isinstance(locked, dict):
        return locked
    return {**{key: value for key in _VARIABLES if (value := value_at(written, key))}, **locked}


def _resolved(
    context: PinContext,
    packages: Mapping[str, object],
    *,
    file: str,
    indexes: Mapping[str, str],
    allowed: Mapping[str, frozenset[str]] | None = None,
) -> Pins:
    """Resolve the packages that the image wants as a requirement file, and folders and repositories beside it."""
    tables = {name: _table(name, entry, file) for name, entry in sorted(packages.items())}
    wanted = {name: table for name, table in tables.items() if _is_wanted(table, context, file)}
    built = {name: _built(name, table, context, file) for name, table in wanted.items() if _PLACES & table.keys()}
    text = "".join(_line(name, table, file) for name, table in wanted.items() if name not in built)
    return locks.resolved(context, text, file=file, allowed=allowed, indexes=indexes, built=tuple(built.values()))


def _table(name: str, entry: object, file: str) -> Mapping[str, object]:
    table = {"version": entry} if isinstance(entry, str) else entry
    if not isinstance(table, dict):
        raise locks.malformed(file, f"{name} has no version")
    return table


def _is_wanted(table: Mapping[str, object], context: PinContext, file: str) -> bool:
    conditions = [f"{key} {table[key]}" for key in _VARIABLES if key in table]
    conditions += [f"({table['markers']})"] if table.get("markers") else []
    return locks.holds(" and ".join(conditions), context, file=file)


def _built(name: str, table: Mapping[str, object], context: PinContext, file: str) -> Built:
    address = table.get("path")
    if address is None and "git" in table:
        part = f"#subdirectory={table['subdirectory']}" if "subdirectory" in table else ""
        address = f"git+{str(table['git']).removeprefix('git+')}@{table.get('ref', 'HEAD')}{part}"
    if address is None:
        raise BuildError(
            f"{name} is an archive or a repository that is none of Git, which cannot be installed from {file}",
            hint="name a released version, or build a wheel of it and serve it with --find-links",
            code="IB315",
        )
    return Built(local.wheel(context, local.Named(file, str(address), name)), frozenset(_extras(table)))


def _line(name: str, table: Mapping[str, object], file: str) -> str:
    version, extras = str(table.get("version", "*")).strip(), _extras(table)
    text = f"{name}[{','.join(extras)}]" if extras else name
    (requirement,) = project.checked([text if version == "*" else text + version], file)
    return "".join([requirement, *(f" --hash={value}" for value in _hashes(table)), "\n"])


def _extras(table: Mapping[str, object]) -> tuple[str, ...]:
    extras = table.get("extras")
    return tuple(map(str, extras)) if isinstance(extras, list) else ()


def _hashes(entry: object) -> list[str]:
    hashes = value_at(entry, "hashes")
    return [str(value) for value in hashes if str(value).startswith("sha256:")] if isinstance(hashes, list) else []


def _content_hash(pipfile: Mapping[str, object], lock: Mapping[str, object]) -> str:
    """Return the hash of what Pipenv hashes (plette.Pipfile.get_hash).

    A Pipfile without sources has Pipenv's own, which the lock repeats.
    """
    sources = pipfile.get("source", value_at(lock, "_meta", "sources"))
    hashed: dict[str, object] = {
        "_meta": {"sources": sources, "requires": pipfile.get("requires", {})},
        "default": pipfile.get("packages", {}),
        "develop": pipfile.get("dev-packages", {}),
    }
    known = (*_NO_PACKAGES, *_LOCKED_AS, "default", "develop")
    hashed |= {key: value for key, value in pipfile.items() if key not in known}
    return locks.json_hash(hashed, file=_PIPFILE, compact=True)


BUILDPACK = Buildpack("pipenv-install", detect, pin, environment.build, names)
