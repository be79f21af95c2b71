"""The project: what pyproject.toml asks for in the standards' tables.

[project] is that of PEP 621, [dependency-groups] that of PEP 735.
"""

from collections.abc import Mapping

from buildpacks.api import App, value_at
from buildpacks.locks import Asked, normalised
from layers.errors import UsageError
from layers.values import dataclass

FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """Requirements as written (PEP 508): always, by extra, by group; `dynamic` names the tables a backend fills."""

    requirements: tuple[str, ...]
    extras: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]
    dynamic: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The normalised names of what is always required."""
        from packaging.requirements import Requirement  # only what is not pinned is parsed

        return tuple(normalised(Requirement(text).name) for text in self.requirements)


def read(document: Mapping[str, object], file: str = FILE) -> Project:
    """Read the tables of a pyproject.toml; UsageError IB318 for a requirement or a group that is none."""
    optional = value_at(document, "project", "optional-dependencies") or {}
    groups = document.get("dependency-groups") or {}
    if not isinstance(optional, dict) or not isinstance(groups, dict):
        raise _malformed(file, "its extras or groups are not tables")
    dynamic = value_at(document, "project", "dynamic")
    return Project(
        checked(value_at(document, "project", "dependencies") or [], file),
        {normalised(name): checked(texts, file) for name, texts in optional.items()},
        {normalised(name): checked(_group(groups, name, file), file) for name in groups},
        frozenset(map(str, dynamic)) if isinstance(dynamic, list) else frozenset(),
    )


def beside(app: App, lock: str) -> Mapping[str, object]:
    """Return the pyproject.toml that a lock was made from; UsageError IB311 if there is none."""
    if not app.has(FILE):
        raise UsageError(
            f"there is no {FILE} beside {lock}",
            hint=f"add the {FILE} that the lock was made from; if there is none, keep a pylock.toml instead",
            code="IB311",
        )
    return app.toml(FILE)


def requirements(
    document: Mapping[str, object], asked: Asked, *, built: bool = False, file: str = FILE
) -> tuple[str, ...]:
    """Return all requirements of a project with these extras and groups; extras that name others are followed.

    Those that a backend fills in are left out if the project is `built`. Otherwise, and for extras, they are UsageError
    IB316.
    """
    from packaging.requirements import Requirement  # only what is not pinned is parsed

    found = read(document, file)
    if wanted := found.dynamic & {"optional-dependencies", *(() if built else ("dependencies",))}:
        raise UsageError(
            f"{file} leaves its {' and '.join(sorted(wanted))} to the build backend (dynamic)",
            hint="write them into [project], or have a package manager write its lock",
            code="IB316",
        )
    own = normalised(value_at(document, "project", "name"))
    texts, extras = dict.fromkeys(found.requirements), set(asked.extras)
    texts |= dict.fromkeys(text for group in sorted(asked.groups) for text in found.groups[group])
    seen: set[str] = set()
    while extras - seen:
        seen.add(extra := min(extras - seen))
        for text in found.extras.get(extra, ()):
            one = Requirement(text)
            if normalised(one.name) == own:
                extras |= {normalised(name) for name in one.extras}
            else:
                texts[text] = None
    return tuple(texts)


def checked(texts: object, file: str) -> tuple[str, ...]:
    """Return requirements as written (PEP 508); UsageError IB318 for one that is none."""
    from packaging.requirements import Requirement  # only what is not pinned is parsed

    if not isinstance(texts, list | tuple):
        raise _malformed(file, "its requirements are not a list")
    for text in texts:
        try:
            Requirement(str(text))
        except (ValueError, RecursionError) as error:
            raise _malformed(file, f"{text!r}: {str(error).splitlines()[0]}") from error
    return tuple(map(str, texts))


def _group(groups: Mapping[str, list[str | Mapping[str, str]]], name: str, file: str) -> tuple[str, ...]:
    from packaging.dependency_groups import resolve_dependency_groups  # only what is not pinned is parsed

    try:
        return resolve_dependency_groups(groups, name)
    except (ValueError, TypeError, LookupError, ExceptionGroup) as error:
        raise _malformed(file, f"the dependency group {name}: {error}") from error


def _malformed(file: str, reason: str) -> UsageError:
    return UsageError(
        f"cannot read {file}: {reason}",
        hint='write requirements as in dependencies = ["flask>=3.1"]',
        code="IB318",
    )
