"""Named indexes: those that the files of package managers declare, as single packages or as all come from them.

Of each manager its own words: `[[tool.uv.index]]`, `[[tool.poetry.source]]`, `[[tool.pdm.source]]`, `[[source]]` of a
Pipfile. Credentials are found as that manager finds them, and serve for fetching alone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal
from urllib.parse import quote

from buildpacks import declared, poetry_install
from buildpacks.api import App, value_at
from layers.expression import expression
from layers.values import dataclass, field

_VARIABLE = expression(r"\$(?:\{(\w+)\}|(\w+))")
_USERINFO = expression(r"//[^/@\s]*@")
_PIPFILES = ("Pipfile", "Pipfile.lock")


@dataclass(frozen=True, slots=True)
class Declared:
    """An index that a project declares. `url` may hold credentials.

    `role` says for what it is asked beside the packages that name it: for all (`default`), for all if nobody configured
    another (`fallback`), for all beside others (`extra`), or for none (`named`).
    """

    name: str
    url: str = field(repr=False)
    role: Literal["default", "fallback", "extra", "named"]
    origin: str


def of_uv(name: str, url: str, environment: Mapping[str, str]) -> str:
    """Put UV_INDEX_<NAME>_USERNAME and _PASSWORD into an index's address."""
    return _authenticated(url, "UV_INDEX_", name, environment)


def of_manager(app: App, environment: Mapping[str, str]) -> tuple[Declared, ...]:
    """Return the indexes that the files of the application's package manager declare; those of uv are read elsewhere.

    Raises what `declared.find` raises, and UsageError IB103 for a file that cannot be read.
    """
    place = declared.find(app)
    read = {"pipenv": _of_pipenv, "poetry": _of_poetry, "pdm": _of_pdm}.get(place.manager if place else "")
    return tuple(read(app, environment)) if read else ()


def expanded(url: str, environment: Mapping[str, str]) -> str:
    """Put variables into an address, as a shell does; one that there is not stays as it is written."""
    return _VARIABLE.sub(lambda match: environment.get(match[1] or match[2], match[0]), url)


def _of_pipenv(app: App, environment: Mapping[str, str]) -> Iterator[Declared]:
    """Yield the sources of a Pipfile, or of its lock alone. All comes from the first that names no other."""
    pipfile, lock = _PIPFILES
    listed = app.toml(pipfile).get("source") if app.has(pipfile) else value_at(app.json(lock), "_meta", "sources")
    mirror = environment.get("PIPENV_PYPI_MIRROR", "")
    for position, (name, url, _) in enumerate(_tables(listed)):
        public = name == "pypi"
        first: Literal["default", "fallback"] = "fallback" if public and not mirror else "default"
        address = mirror if public and mirror else expanded(url, environment)
        yield Declared(name, address, "named" if position else first, pipfile)


def _of_poetry(app: App, environment: Mapping[str, str]) -> Iterator[Declared]:
    """Yield Poetry's sources: its lock says of each package which of them has it."""
    document = app.toml("pyproject.toml") if app.has("pyproject.toml") else {}
    default = poetry_install.default_source(document)
    for name, url, _ in _tables(value_at(document, "tool", "poetry", "source")):
        url = _authenticated(url, "POETRY_HTTP_BASIC_", name, environment)
        yield Declared(name, url, "default" if name == default else "named", "pyproject.toml [tool.poetry]")


def _of_pdm(app: App, environment: Mapping[str, str]) -> Iterator[Declared]:
    """Yield PDM's sources, of which `pypi` stands for the public index."""
    document = app.toml("pyproject.toml") if app.has("pyproject.toml") else {}
    for name, url, source in _tables(value_at(document, "tool", "pdm", "source")):
        role: Literal["fallback", "extra"] = "fallback" if name == "pypi" else "extra"
        if source.get("type", "index") == "index":
            yield Declared(name, expanded(url, environment), role, "pyproject.toml [tool.pdm]")


def _tables(listed: object) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    for table in listed if isinstance(listed, list) else ():
        name, url = value_at(table, "name"), value_at(table, "url")
        if isinstance(table, dict) and isinstance(name, str) and isinstance(url, str) and url:
            yield name, url, table


def _authenticated(url: str, prefix: str, name: str, environment: Mapping[str, str]) -> str:
    variable = prefix + re.sub(r"[^A-Z0-9]", "_", name.upper())
    user, password = (environment.get(f"{variable}_{part}", "") for part in ("USERNAME", "PASSWORD"))
    if not name or not (user or password):
        return url
    secret = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return _USERINFO.sub("//", url).replace("//", f"//{secret}@", 1)
