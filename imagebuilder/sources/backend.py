"""Build backends: what the pyproject.toml of a source says of how a wheel is made of it (PEP 517, PEP 518)."""

from collections.abc import Mapping

import tomli

from layers.errors import BuildError
from layers.values import dataclass

# PEP 517: what to assume if nothing is said.
_BACKEND = "setuptools.build_meta:__legacy__"
_REQUIRES = ("setuptools>=40.8.0",)


@dataclass(frozen=True, slots=True)
class Backend:
    """What has to be installed, the object whose hooks are called, and the places of the source it may be in."""

    requires: tuple[str, ...] = _REQUIRES
    name: str = _BACKEND
    path: tuple[str, ...] = ()


def read(pyproject: str | None, project: str) -> Backend:
    """Read the table `build-system`; BuildError IB871 if it is not as it should be. `project` is named in errors."""
    if pyproject is None:
        return Backend()
    try:
        document = tomli.loads(pyproject)
    except (ValueError, RecursionError) as error:
        raise _malformed(project, str(error)) from error
    table = document.get("build-system")
    if table is None:
        return Backend()
    if not isinstance(table, dict) or "requires" not in table:
        raise _malformed(project, "[build-system] does not say what it requires")
    name = table.get("build-backend", _BACKEND)
    if not isinstance(name, str) or not name.isprintable() or name.startswith("-"):
        raise _malformed(project, f"its build-backend is {name!r}")
    return Backend(_texts(table, "requires", project), name, _texts(table, "backend-path", project))


def _texts(table: Mapping[str, object], key: str, project: str) -> tuple[str, ...]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) and one.isprintable() for one in found):
        raise _malformed(project, f"{key} is not a list of texts")
    return tuple(map(str, found))


def _malformed(project: str, reason: str) -> BuildError:
    return BuildError(
        f"cannot build {project}: its pyproject.toml cannot be used: {reason}",
        hint="pin another version of it, or bring a wheel with --find-links",
        code="IB871",
    )
