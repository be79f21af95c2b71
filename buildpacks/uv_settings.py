"""uv_settings: whether uv's settings of a project are those that its uv.lock was made with.

uv writes them in a form of its own (`~=3.11.2` becomes `>=3.11.2, <3.12`), so conditions are compared by what they say
of interpreters and machines that there may be, not by their text.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from posixpath import normpath
from typing import TYPE_CHECKING

from buildpacks import locks
from buildpacks.api import App, value_at
from buildpacks.locks import normalised

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet

FILE = "uv.lock"
_PYPROJECT = "pyproject.toml"
# Options that decide versions: their names in the lock, and what they are if nobody sets them.
_OPTIONS = {
    "resolution": ("resolution-mode", "highest"),
    "prerelease": ("prerelease-mode", "if-necessary-or-explicit"),
    "fork-strategy": ("fork-strategy", "requires-python"),
}
_MACHINES = (
    ("linux", "Linux", "posix", "x86_64"),
    ("linux", "Linux", "posix", "aarch64"),
    ("darwin", "Darwin", "posix", "arm64"),
    ("darwin", "Darwin", "posix", "x86_64"),
    ("win32", "Windows", "nt", "AMD64"),
)
_SERIES = range(6, 21)
_PATCHES = range(20)
_Documents = Mapping[str, Mapping[str, object]]


def check(app: App, lock: Mapping[str, object], members: _Documents) -> None:
    """Raise BuildError IB313 if a lock was made with other settings; `members` are the pyproject.toml by path."""
    root = app.toml(_PYPROJECT)
    settings = value_at(root, "tool", "uv")
    if app.has("uv.toml"):
        settings = {**(settings if isinstance(settings, dict) else {}), **app.toml("uv.toml")}
    if not _same_pythons(members, lock):
        raise locks.stale(FILE, "requires-python has changed", "uv lock")
    if _written_conflicts(members) != _locked_conflicts(lock):
        raise locks.stale(FILE, "[tool.uv] conflicts has changed", "uv lock")
    for name in _changed(settings, lock):
        raise locks.stale(FILE, f"[tool.uv] {name} has changed", "uv lock")
    for path in _paths(app, root):
        if path not in members:
            raise locks.stale(FILE, f"{path} is a new member of the workspace", "uv lock")


def _changed(settings: object, lock: Mapping[str, object]) -> Iterator[str]:
    """Yield the settings that have changed. What only a lock has may be the choice of the user who made it."""
    for name, key in (("environments", "supported-markers"), ("required-environments", "required-markers")):
        if not _same_environments(value_at(settings, name), lock.get(key)):
            yield name
    for name, (key, default) in _OPTIONS.items():
        written = value_at(settings, name)
        if written is not None and written != (value_at(lock, "options", key) or default):
            yield name
    if value_at(settings, "exclude-newer") and not value_at(lock, "options"):
        yield "exclude-newer"
    if _names(value_at(settings, "exclude-dependencies")) != _names(value_at(lock, "manifest", "excludes")):
        yield "exclude-dependencies"


def _same_pythons(members: _Documents, lock: Mapping[str, object]) -> bool:
    """Say whether the lock is for the Pythons that all members accept; those of groups may narrow it further."""
    written = [value_at(document, "project", "requires-python") for document in members.values()]
    texts = [text for text in written if isinstance(text, str)]
    narrowed = any(value_at(document, "tool", "uv", "dependency-groups") for document in members.values())
    locked = str(lock.get("requires-python", ""))
    if not texts or narrowed or texts == [locked]:
        return True
    known, wanted = _specifiers(locked, FILE), [_specifiers(text, _PYPROJECT) for text in texts]
    return all(
        known.contains(version, prereleases=True) == all(each.contains(version, prereleases=True) for each in wanted)
        for version in _versions()
    )


def _versions() -> Iterator[str]:
    yield from ("2.7.18", "4.0.0")
    yield from (f"3.{minor}.{patch}" for minor in _SERIES for patch in _PATCHES)


def _specifiers(text: str, file: str) -> "SpecifierSet":
    from packaging.specifiers import SpecifierSet  # only what is not pinned is judged

    try:
        return SpecifierSet(text)
    except ValueError as error:
        raise locks.malformed(file, f"{text!r} is no condition on versions") from error


def _same_environments(written: object, locked: object) -> bool:
    wanted, known = _markers(written), _markers(locked)
    return all(
        any(marker.evaluate(each) for marker in wanted) == any(marker.evaluate(each) for marker in known)
        for each in (_environments() if wanted or known else ())
    )


def _markers(texts: object) -> "list[Marker]":
    from packaging.markers import Marker  # only what is not pinned is judged

    listed = texts if isinstance(texts, list) else [texts] if texts else []
    try:
        return [Marker(str(text)) for text in listed]
    except (ValueError, RecursionError) as error:
        raise locks.malformed(FILE, f"{listed!r} are no markers") from error


@cache
def _environments() -> tuple[dict[str, str], ...]:
    """List machines that there may be, as markers see them."""
    return tuple(
        {
            "implementation_name": implementation.lower(),
            "implementation_version": f"3.{minor}.1",
            "os_name": os_name,
            "platform_machine": machine,
            "platform_python_implementation": implementation,
            "platform_release": "",
            "platform_system": system,
            "platform_version": "",
            "python_full_version": f"3.{minor}.1",
            "python_version": f"3.{minor}",
            "sys_platform": platform,
        }
        for (platform, system, os_name, machine), minor, implementation in product(
            _MACHINES, _SERIES, ("CPython", "PyPy")
        )
    )


def _written_conflicts(members: _Documents) -> set[frozenset[tuple[str, ...]]]:
    return {
        conflict
        for document in members.values()
        for conflict in _conflicts(
            value_at(document, "tool", "uv", "conflicts"), normalised(value_at(document, "project", "name"))
        )
    }


def _locked_conflicts(lock: Mapping[str, object]) -> set[frozenset[tuple[str, ...]]]:
    return set(_conflicts(lock.get("conflicts"), ""))


def _conflicts(listed: object, own: str) -> Iterator[frozenset[tuple[str, ...]]]:
    """Yield sets of which one member at most may be asked for; `own` is the project of those that name none."""
    for conflict in listed if isinstance(listed, list) else ():
        yield frozenset(
            (
                normalised(value_at(item, "package") or own),
                *(normalised(value_at(item, key) or "") for key in ("extra", "group")),
            )
            for item in (conflict if isinstance(conflict, list) else ())
        )


def _names(listed: object) -> set[str]:
    return {normalised(name) for name in listed} if isinstance(listed, list) else set()


def _paths(app: App, root: Mapping[str, object]) -> Iterator[str]:
    """Yield the pyproject.toml of each member of a workspace."""
    members, excluded = (value_at(root, "tool", "uv", "workspace", key) for key in ("members", "exclude"))
    left_out = {path for pattern in _patterns(excluded) for path in app.glob(pattern)}
    for pattern in _patterns(members):
        yield from (path for path in app.glob(pattern) if path not in left_out)


def _patterns(listed: object) -> list[str]:
    return [f"{normpath(str(each))}/{_PYPROJECT}" for each in listed] if isinstance(listed, list) else []
