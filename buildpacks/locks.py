"""Locks of package managers: what their readers share, from the choice of groups to the wheels.

Every reader turns its lock into a PEP 751 document and leaves the choice of files to `selection`, so that the same
packages have the same files, whoever locked them.
"""

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from buildpacks import environment, local, selection
from buildpacks.api import App, Built, Circumstances, Folder, PinContext, Pins, Setting, value_at
from layers.canonical import Json
from layers.digest import Digest
from layers.errors import BuildError, UsageError
from layers.expression import expression
from layers.values import dataclass, replace

_EXTRA = expression(r"""\bextra\s*(==|!=)\s*("[^"]*"|'[^']*')""")
_OPERATORS = {"==": "in", "!=": "not in"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The extras and dependency groups that the user wants beside what the application always needs."""

    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


def asked(
    app: App, file: str, *, extras: Iterable[object] = (), groups: Iterable[object] = (), variable: str = ""
) -> Asked:
    """Return the extras and groups that are set, normalised; UsageError IB314 for one that `file` does not have.

    `variable` is Paketo's for groups.
    """
    return Asked(
        _known(app.setting("extras"), "extra", file, extras),
        _known(app.setting("groups", *([variable] if variable else [])), "group", file, groups),
    )


def normalised(name: object) -> str:
    """Return the normalised form of a project, extra or group (PEP 503, 685, 735)."""
    from packaging.utils import canonicalize_name  # only what is not pinned is read from locks

    return canonicalize_name(str(name))


def pins(
    context: PinContext,
    packages: Sequence[Mapping[str, Json]],
    *,
    file: str,
    indexes: Mapping[str, str] | None = None,
) -> Pins:
    """Choose the wheels of the packages that a lock names, each as in PEP 751. Raises as `pins_of` does."""
    document: Mapping[str, Json] = {"lock-version": "1.0", "created-by": file, "packages": packages}
    return pins_of(context, document, file=file, indexes=indexes)


def pins_of(
    context: PinContext,
    document: Mapping[str, Json],
    *,
    file: str,
    asked: Asked | None = None,
    hashes: Mapping[str, frozenset[str]] | None = None,
    indexes: Mapping[str, str] | None = None,
    built: Sequence[Built] = (),
) -> Pins:
    """Choose the wheels of a PEP 751 document. `indexes` names by project the only index that may have it.

    Raises UsageError IB312 if it is none, what `check_python` raises, and what `selection.select` raises.
    """
    from packaging.pylock import Pylock, PylockValidationError  # only what is not pinned is read from locks

    try:
        lock = Pylock.from_dict(document)
    except PylockValidationError as error:
        raise malformed(file, str(error)) from error
    check_python(context, str(lock.requires_python or ""), file=file)
    known = {each.wheel.name: each.wheel for each in built}
    groups = frozenset(lock.default_groups or ()) | (asked.groups if asked else frozenset())
    wheels = selection.select(
        document,
        environment.interpreter_of(context.interpreter),
        context.target,
        hashes=hashes or {},
        urls={},
        extras=asked.extras if asked else frozenset(),
        groups=groups,
        unpublished=lambda package: known.get(package.name) or local.pinned(context, package, origin=file),
        indexes=indexes,
    )
    return Pins(wheels=wheels)


def with_project(context: PinContext, document: Mapping[str, object], pins: Pins) -> Pins:
    """Add the application's own project, if its pyproject.toml says that it is installed."""
    others = tuple(wheel for wheel in pins.wheels if wheel.source != Folder("."))
    own = local.project(context.app, document)
    return replace(pins, wheels=tuple(sorted((*others, *own), key=lambda wheel: wheel.name)))


def resolved(
    context: PinContext,
    text: str,
    *,
    file: str,
    allowed: Mapping[str, frozenset[str]] | None = None,
    indexes: Mapping[str, str] | None = None,
    built: tuple[Built, ...] = (),
) -> Pins:
    """Resolve the text of a requirement file and choose the wheels; `file` is where the requirements stand.

    `indexes` names by project the only index that it may come from. `allowed` are the hashes of a lock, by project:
    then what the text names is all there is, and nothing has to be built of `built`, which is wanted beside it, to
    learn what it requires.
    """
    if allowed is not None and built:
        others = resolved(context, text, file=file, allowed=allowed, indexes=indexes).wheels
        return Pins(wheels=tuple(sorted((*others, *(each.wheel for each in built)), key=lambda wheel: wheel.name)))
    if not text and not built:
        return Pins()
    interpreter = environment.interpreter_of(context.interpreter)
    circumstances = Circumstances(interpreter, context.target, context.previous.wheels, built, indexes or {})
    document = context.resolver.resolve_text(text, circumstances, dependencies=allowed is None)
    return pins_of(context, document, file=file, hashes=allowed, indexes=indexes, built=built)


def check_python(context: PinContext, condition: str, *, file: str) -> None:
    """Raise BuildError IB408 if a lock was not made for the image's Python."""
    from packaging.specifiers import SpecifierSet  # only what is not pinned is read from locks

    version = environment.interpreter_of(context.interpreter).version
    try:
        fits = SpecifierSet(condition).contains(version, prereleases=True)
    except ValueError as error:
        raise malformed(file, f"{condition[:200]!r} is no condition on Python's version") from error
    if not fits:
        raise BuildError(
            f"{file} is for Python {condition}, and the image's is {version}",
            hint="choose another Python with --python, or lock again for this one",
            code="IB408",
        )


def holds(marker: object, context: PinContext, *, file: str, extras: Iterable[str] = ()) -> bool:
    """Say whether a marker (none: always) is true for the image when these extras are wanted.

    Locks ask for one extra at a time (`extra == "pg"`), which is not what several are: they are asked of all.
    """
    # Only what is not pinned is read from locks.
    from packaging.markers import Marker

    if not marker:
        return True
    interpreter = environment.interpreter_of(context.interpreter)
    values = {key: str(value) for key, value in selection.environment(interpreter, context.target).items()}
    text = _EXTRA.sub(lambda found: f"{found[2]} {_OPERATORS[found[1]]} extras", str(marker))
    wanted = {"extras": frozenset(extras), "dependency_groups": frozenset[str]()}
    try:
        return Marker(text).evaluate({**values, **wanted}, context="lock_file")
    except (ValueError, LookupError, RecursionError) as error:  # LookupError: an `extra` in another way
        raise malformed(file, f"{str(marker)[:200]!r} is no marker") from error


def json_hash(document: object, *, file: str, compact: bool = False) -> str:
    """Return the SHA-256 by which poetry, pdm and pipenv recognise what a lock was made from, in hexadecimal."""
    separators = (",", ":") if compact else (", ", ": ")
    try:
        text = json.dumps(document, sort_keys=True, separators=separators)  # noqa: TID251 the form others have hashed
    except TypeError as error:
        raise malformed(file, str(error)) from error
    return Digest.of(text.encode()).hex


def plain(value: object) -> Json:
    """Return a parsed value as JSON; dates, which only say when a file was uploaded, are left out."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if isinstance(item, (dict, list, str, int, float))}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float) else str(value)


def tables(document: object, file: str) -> list[Mapping[str, object]]:
    """Return what should be a list of tables; UsageError IB312 if it is not."""
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise malformed(file, "its packages are not a list of tables")
    return document


def package(locked: Mapping[str, object], file: str) -> Mapping[str, Json]:
    """Return a package of poetry.lock or pdm.lock in the form of PEP 751; UsageError IB312 if it has no files."""
    name, version = normalised(locked.get("name")), str(locked.get("version"))
    if address := _address(locked):
        return {"name": name, "version": version, "archive": _archive(locked, address, file)}
    if unpublished := _unpublished(locked, name):
        return {"name": name, **unpublished}
    listed = [_file(each, name, file) for each in tables(locked.get("files"), file)]
    wheels = [each for each in listed if str(each["name"]).endswith(".whl")]
    sources = [each for each in listed if str(each["name"]).endswith((".tar.gz", ".zip"))][:1]
    if not wheels and not sources:
        raise malformed(file, f"{name} has no files")
    return {"name": name, "version": version, "wheels": wheels, **({"sdist": sources[0]} if sources else {})}


def _unpublished(locked: Mapping[str, object], name: str) -> Mapping[str, Json]:
    """Return where the folder or the repository of a package is, if it is one, as Poetry or PDM say it.

    Raises BuildError IB315 for an archive in the application.
    """
    kind, url = (value_at(locked, "source", key) for key in ("type", "url"))
    if kind == "file":
        raise BuildError(
            f"{name} is an archive of the application, which cannot be installed from this lock yet",
            hint="name a released version, or serve the archive with --find-links",
            code="IB315",
        )
    if kind == "directory" or "path" in locked:
        return {"directory": {"path": str(url if kind else locked["path"])}}
    if kind != "git" and "git" not in locked:
        return {}
    repository, commit = url or locked.get("git"), value_at(locked, "source", "resolved_reference")
    vcs = {"type": "git", "url": str(repository), "commit-id": str(commit or locked.get("revision"))}
    folder = value_at(locked, "source", "subdirectory") or locked.get("subdirectory")
    return {"vcs": {**vcs, "subdirectory": str(folder)} if folder else vcs}


def _address(locked: Mapping[str, object]) -> str:
    """Return the address that a package comes from, if the project names one: its index does not have it."""
    found = value_at(locked, "source", "url") if value_at(locked, "source", "type") == "url" else locked.get("url")
    return found if isinstance(found, str) else ""


def _archive(locked: Mapping[str, object], address: str, file: str) -> Mapping[str, Json]:
    name = normalised(locked.get("name"))
    hashes = [_file(each, name, file)["hashes"] for each in tables(locked.get("files"), file)]
    if len(hashes) != 1:
        raise malformed(file, f"{name} comes from an address and has {len(hashes)} files")
    return {"url": address, "hashes": hashes[0]}


def _file(listed: Mapping[str, object], package: str, file: str) -> Mapping[str, Json]:
    """Return a file by its name, or by its address (PDM's strategy static_urls): any index that has it will do."""
    algorithm, _, value = str(listed.get("hash")).partition(":")
    try:
        name = listed.get("file") or unquote(posixpath.basename(urlsplit(str(listed.get("url", ""))).path))
    except ValueError:
        name = ""
    if not isinstance(name, str) or not name or not value:
        raise malformed(file, f"a file of {package} has no name or no hash")
    return {"name": name, "path": name, "hashes": {algorithm: value}}


def names(app: App, file: str, key: str) -> tuple[str, ...]:
    """Return the normalised names of all packages of a lock that lists them under `key`."""
    return tuple(normalised(package.get("name")) for package in tables(app.toml(file).get(key), file))


def malformed(file: str, reason: str) -> UsageError:
    """Return the error for a lock that cannot be understood."""
    return UsageError(
        f"cannot use {file}: {reason}",
        hint="make it anew with the package manager that wrote it; do not edit it",
        code="IB312",
    )


def stale(file: str, reason: str, command: str) -> BuildError:
    """Return the error for a lock that does not fit what it was made from."""
    return BuildError(f"{file} is out of date: {reason}", hint=f"run `{command}` and commit the result", code="IB313")


def _known(setting: Setting | None, kind: str, file: str, known: Iterable[object]) -> frozenset[str]:
    if setting is None:
        return frozenset()
    names = {normalised(name): str(name) for name in known}
    wanted = setting.value.replace(",", " ").split()
    for name in wanted:
        if normalised(name) not in names:
            raise UsageError(
                f"{file} has no {kind} {name}",
                details=(f"`{kind}s` comes from {setting.origin}",),
                hint=f"choose among {', '.join(sorted(names))}" if names else f"remove `{kind}s`: there are none",
                code="IB314",
            )
    return frozenset(map(normalised, wanted))
