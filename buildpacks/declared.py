"""Declared: where an application names its packages, and which of these places counts.

Each installer asks here whether it is meant, so that there is one rule and not one for each pair of managers
(docs/decisions/0120-whose-lock-counts.md). Packages that nothing installs would be missing in an image that is built
and does not start; so that is looked for too, and refused.
"""

import re
from collections.abc import Iterator

from buildpacks import local
from buildpacks.api import App, Fail, value_at
from layers.errors import DetectionError, UsageError
from layers.expression import expression
from layers.values import dataclass

# The files of each manager, the one that counts first. Those of `_EXCLUSIVE` exclude each other.
FILES = {
    "pipenv": ("Pipfile.lock", "Pipfile"),
    "uv": ("uv.lock",),
    "poetry": ("poetry.lock",),
    "pdm": ("pdm.lock",),
    "pylock": ("pylock.toml",),
    "pip": ("requirements.txt",),
    "conda": ("conda-lock.yml", "pixi.lock", "package-list.txt", "environment.yml"),
    "pyproject": ("pyproject.toml",),
}
_EXCLUSIVE = ("pipenv", "uv", "poetry", "pdm")
_MAKE = {
    "pipenv": "run `pipenv lock`",
    "uv": "run `uv lock`",
    "poetry": "run `poetry lock`",
    "pdm": "run `pdm lock`",
    "pylock": "run `uv export -o pylock.toml` or `pip lock`",
    "pip": "write requirements.txt",
    "conda": "write environment.yml",
    "pyproject": "write pyproject.toml",
}
_PYLOCK = expression(r"(?:.*/)?pylock(?:\.[^./]+)?\.toml")
_NOT_TO_RUN = expression(r"(^|[^a-z])(dev|develop|development|tests?|testing|docs?|lint|ci)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose files name the packages, and the file or the setting that says so."""

    manager: str
    origin: str


def unless(app: App, manager: str) -> Fail | None:
    """Say why a manager is not the one that installs the packages; None if it is. Raises what `find` raises."""
    place = find(app)
    if place and place.manager == manager:
        return None
    reason = f"no {' or '.join(FILES[manager])}"
    return Fail(f"the packages come from {place.origin}" if place and _has(app, manager) else reason)


def find(app: App) -> Place | None:
    """Return whose files name the packages: what a setting says, a manager's lock, pylock.toml, requirements.txt, …

    Raises UsageError IB310 for the locks of two managers and IB311 for a manager that is named but has no files;
    DetectionError IB305 if only files name packages that none of them installs from.
    """
    if place := _from_settings(app):
        return place
    places = [Place(manager, _first(app, manager)) for manager in _EXCLUSIVE if _has(app, manager)]
    if len(places) > 1:
        raise _two(places)
    places += [Place(manager, _first(app, manager)) for manager in ("pylock", "pip", "conda") if _has(app, manager)]
    places += _from_pyproject(app) if not places else ()
    if not places:
        _refuse(app)
    return places[0] if places else None


def is_pylock(path: str) -> bool:
    """Say whether a file's name is one that PEP 751 gives its locks."""
    return _PYLOCK.fullmatch(path) is not None


def missing(manager: str, origin: str) -> UsageError:
    """Return the error for a manager without the files it installs from."""
    return UsageError(
        f"there is no {FILES[manager][0]}, and {origin} asks for it",
        hint=f"{_MAKE[manager]} and keep the result with the application",
        code="IB311",
    )


def _from_settings(app: App) -> Place | None:
    named, files = app.setting("manager"), app.setting("requirements", "BP_PIP_REQUIREMENT")
    if named:
        if not _has(app, named.value) and not (files and named.value in ("pip", "pylock")):
            raise missing(named.value, f"`{named.value}` ({named.origin})")
        return Place(named.value, named.origin)
    if files:
        return Place("pylock" if is_pylock(files.value) else "pip", files.origin)
    return None


def _from_pyproject(app: App) -> Iterator[Place]:
    document = app.toml("pyproject.toml") if app.has("pyproject.toml") else {}
    dynamic = value_at(document, "project", "dynamic")
    if value_at(document, "project", "dependencies") or (isinstance(dynamic, list) and "dependencies" in dynamic):
        yield Place("pyproject", "pyproject.toml [project]")
        return
    if local.is_installed(document) and value_at(document, "project"):
        yield Place("pyproject", "pyproject.toml [build-system]")
        return
    poetry = value_at(document, "tool", "poetry", "dependencies")
    if isinstance(poetry, dict) and poetry.keys() - {"python"}:
        raise missing("poetry", "pyproject.toml [tool.poetry]")


def _refuse(app: App) -> None:
    for files in (app.glob("*requirements*.txt"), app.glob("requirements/*.txt")):
        for file in files:
            if not _NOT_TO_RUN.search(file):
                raise _refused(file, f'write requirements = ["{file}"] into the configuration')


def _has(app: App, manager: str) -> bool:
    return any(map(app.has, FILES[manager]))


def _first(app: App, manager: str) -> str:
    return next(filter(app.has, FILES[manager]))


def _two(places: list[Place]) -> UsageError:
    return UsageError(
        f"both {places[0].origin} and {places[1].origin} are there: it is not clear which one counts",
        hint=f'remove one of them, or write manager = "{places[0].manager}" into the configuration',
        code="IB310",
    )


def _refused(place: str, hint: str) -> DetectionError:
    return DetectionError(
        f"the packages in {place} would be missing: nothing installs from there",
        hint=f"{hint}; an empty requirements.txt if there is nothing to install",
        code="IB305",
    )
