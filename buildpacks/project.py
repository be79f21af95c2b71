"""The project: what pyproject.toml asks for in the standards' tables, and whether it has to be installed itself.

[project] is that of PEP 621, [dependency-groups] that of PEP 735.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from buildpacks.api import App, value_at
from buildpacks.locks import normalised
from layers.errors import BuildError, UsageError

FILE = "pyproject.toml"
# Backends whose projects are compiled: without that there is nothing to import.
_COMPILERS = ("maturin", "mesonpy", "scikit_build_core", "scikit_build", "setuptools_rust")
_OPTED_OUT = (("tool", "uv", "package"), ("tool", "poetry", "package-mode"), ("tool", "pdm", "distribution"))
_COMMANDS = (
    ("project", "scripts"),
    ("project", "gui-scripts"),
    ("project", "entry-points"),
    ("tool", "poetry", "scripts"),
    ("tool", "poetry", "plugins"),
)


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
        _requirements(value_at(document, "project", "dependencies") or [], file),
        {normalised(name): _requirements(texts, file) for name, texts in optional.items()},
        {normalised(name): _requirements(_group(groups, name, file), file) for name in groups},
        frozenset(map(str, dynamic)) if isinstance(dynamic, list) else frozenset(),
    )


def check_runs_uninstalled(app: App, document: Mapping[str, object]) -> None:
    """Raise BuildError IB315 if a project has to be installed to work, as its package manager would.

    One whose modules stand at the top of its folder does without: that is where the image starts it.
    """
    package = value_at(document, "tool", "uv", "package") is True or isinstance(document.get("build-system"), dict)
    if not package or any(value_at(document, *keys) is False for keys in _OPTED_OUT):
        return
    backend = str(value_at(document, "build-system", "build-backend"))
    reasons: tuple[Callable[[], str], ...] = (
        lambda: next((f"[{'.'.join(keys)}] defines commands" for keys in _COMMANDS if value_at(document, *keys)), ""),
        lambda: next((f"{path} is found only then" for path in _under_src(app)), ""),
        lambda: f"{backend} compiles it" if backend.partition(".")[0] in _COMPILERS else "",
    )
    for reason in reasons:
        if found := reason():
            raise BuildError(
                f"the project itself would have to be installed: {found}",
                hint="only wheels can be installed yet; see the page of this error for what can be done",
                code="IB315",
            )


def _under_src(app: App) -> tuple[str, ...]:
    return (*app.glob("src/*/__init__.py"), *app.glob("src/*.py"))


def _requirements(texts: object, file: str) -> tuple[str, ...]:
    from packaging.requirements import InvalidRequirement, Requirement  # only what is not pinned is parsed

    if not isinstance(texts, list | tuple):
        raise _malformed(file, "its requirements are not a list")
    for text in texts:
        try:
            Requirement(str(text))
        except InvalidRequirement as error:
            raise _malformed(file, str(error).splitlines()[0]) from error
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
