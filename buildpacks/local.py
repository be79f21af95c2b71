"""Local projects: the application itself and folders in it, which are built as what is published is."""

import configparser
import re
from collections.abc import Callable, Mapping
from posixpath import join, normpath
from typing import TYPE_CHECKING

import tomli

from buildpacks.api import App, Folder, PinContext, PinnedWheel, value_at
from layers.errors import BuildError

if TYPE_CHECKING:
    from packaging.pylock import Package

_PYPROJECT = "pyproject.toml"
# Of these a build backend makes out what it requires; who reads only some of them has to know when others come.
_FILES = (_PYPROJECT, "setup.cfg", "setup.py")
_OPTED_OUT = (("tool", "uv", "package"), ("tool", "poetry", "package-mode"), ("tool", "pdm", "distribution"))
_NAMES = (("project", "name"), ("tool", "poetry", "name"), ("tool", "flit", "metadata", "module"))
_IN_SETUP = re.compile(r"""\bname\s*=\s*["']([A-Za-z0-9][A-Za-z0-9._-]*)["']""")


def is_installed(document: Mapping[str, object]) -> bool:
    """Say whether the project that a pyproject.toml describes is a package, and so installed itself."""
    package = value_at(document, "tool", "uv", "package") is True or isinstance(document.get("build-system"), dict)
    return package and not any(value_at(document, *keys) is False for keys in _OPTED_OUT)


def project(app: App, document: Mapping[str, object]) -> tuple[PinnedWheel, ...]:
    """Return the application's own project, which is to be built, if it is one that is installed."""
    return (folder(app, ".", origin=_PYPROJECT),) if is_installed(document) else ()


def pinned(context: PinContext, package: "Package", *, origin: str) -> PinnedWheel:
    """Return what is to be built of a package of a lock that is a folder or a repository.

    Raises BuildError as `folder` does.
    """
    if package.directory is None:
        raise BuildError(
            f"{package.name} is a repository, and those cannot be installed yet",
            hint="name a released version, or build a wheel of it and serve it with --find-links",
            code="IB315",
        )
    path = join(package.directory.path, package.directory.subdirectory or "")
    return folder(context.app, path, origin=origin, name=package.name)


def folder(app: App, path: str, *, origin: str, name: str = "") -> PinnedWheel:
    """Return what is to be built of a folder; `origin` is the place that names it, `name` that of its project if known.

    Raises BuildError IB877 if it is not in the application, IB878 if it holds no project, IB879 if it has no name, and
    UsageError IB103 if it cannot be read.
    """
    found = normpath(path.removeprefix("file://"))
    if found.startswith(("/", "../")) or found == "..":
        raise BuildError(
            f"{origin} names the folder {path}, which is outside the application",
            hint="move it into the application's folder, or build from the folder that holds both",
            code="IB877",
        )
    found = app.real(found)
    app.on_read(join(found, _PYPROJECT))
    there = [file for file in _FILES if app.has(join(found, file))]
    if not {_PYPROJECT, "setup.py"} & {*there}:
        raise BuildError(
            f"{origin} names {path}, which holds no project that can be installed",
            hint=f"name a folder with a {_PYPROJECT} or a setup.py, or the address of a wheel",
            code="IB878",
        )
    texts = {file: app.text(join(found, file)) for file in there}
    return PinnedWheel(_normalised(name or name_in(texts.get) or _unnamed(path, origin)), "", Folder(found))


def name_in(read: Callable[[str], str | None]) -> str:
    """Return the name of a project as its files say it; empty if they leave that to their code."""
    document = _toml(read(_PYPROJECT) or "")
    named = next((str(name) for keys in _NAMES if (name := value_at(document, *keys))), "")
    return named or _in_configuration(read("setup.cfg") or "") or _in_script(read("setup.py") or "")


def _toml(text: str) -> Mapping[str, object]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError:
        return {}  # its build says what is wrong with it


def _in_configuration(text: str) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return ""
    return parser.get("metadata", "name", fallback="")


def _in_script(text: str) -> str:
    found = _IN_SETUP.search(text)
    return found[1] if found else ""


def _unnamed(path: str, origin: str) -> str:
    raise BuildError(
        f"{origin} names {path}, and nothing in it says what the project is called",
        hint=f"write [project] with a name into its {_PYPROJECT}, or end the line with #egg=NAME",
        code="IB879",
    )


def _normalised(name: str) -> str:
    from packaging.utils import canonicalize_name  # only what is not pinned is read

    return canonicalize_name(name)
