"""What is not published: the application itself, folders in it and repositories, which are built as sources are."""

from collections.abc import Callable, Mapping
from posixpath import basename, join, normpath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import tomli

from buildpacks.api import App, Folder, PinContext, PinnedWheel, Source, value_at
from layers.digest import Digest
from layers.errors import BuildError
from layers.expression import expression
from layers.values import dataclass, replace

if TYPE_CHECKING:
    from packaging.pylock import Package

_PYPROJECT = "pyproject.toml"
# Of these a build backend makes out what it requires; who reads only some of them has to know when others come.
_FILES = (_PYPROJECT, "setup.cfg", "setup.py")
_OPTED_OUT = (("tool", "uv", "package"), ("tool", "poetry", "package-mode"), ("tool", "pdm", "distribution"))
_NAMES = (("project", "name"), ("tool", "poetry", "name"), ("tool", "flit", "metadata", "module"))
_COMMANDS = (("project", "scripts"), ("tool", "poetry", "scripts"), ("tool", "flit", "scripts"))
_IN_SETUP = expression(r"""\bname\s*=\s*["']([A-Za-z0-9][A-Za-z0-9._-]*)["']""")


@dataclass(frozen=True, slots=True)
class Named:
    """A folder, or a repository (`git+URL@REVISION`), as it is named in a place; what is said of its project there.

    `https://…` is a source distribution at an address, with its hash if that is named too.
    """

    place: str
    address: str
    name: str = ""
    extras: frozenset[str] = frozenset()
    marker: str = ""
    hash: str = ""


def wheel(context: PinContext, named: Named) -> PinnedWheel:
    """Return what is to be built of a folder, a repository or an archive; what has no hash keeps that of the old pins.

    Raises as `folder` and `Resolver.repository` do.
    """
    archive = named.address.startswith(("https://", "http://"))
    if named.hash:
        file = unquote(basename(urlsplit(named.address).path))
        source = Source("url", file, Digest(named.hash), None, named.address)
        return PinnedWheel(_normalised(named.name), "", source)
    if not archive and not named.address.startswith("git+"):
        return folder(context.app, named.address, origin=named.place, name=named.name)
    for known in context.previous.wheels:
        if isinstance(known.source, Source) and known.source.locator == named.address:
            return replace(known, requires=None)
    if archive:
        return PinnedWheel(_normalised(named.name), "", context.resolver.archive(named.address))
    found = context.resolver.repository(named.address)
    name = named.name or name_in(found.texts.get) or _unnamed(named.address.partition("@")[0], named.place)
    return PinnedWheel(_normalised(name), "", found.source)


def is_installed(document: Mapping[str, object]) -> bool:
    """Say whether the project that a pyproject.toml describes is a package, and so installed itself."""
    package = value_at(document, "tool", "uv", "package") is True or isinstance(document.get("build-system"), dict)
    return package and not any(value_at(document, *keys) is False for keys in _OPTED_OUT)


def own_name(app: App) -> tuple[str, ...]:
    """Return the normalised name of the application's own project, if it is one that is installed."""
    installed = app.has(_PYPROJECT) and is_installed(app.toml(_PYPROJECT))
    return (_normalised(named),) if installed and (named := _name_of(app.toml(_PYPROJECT))) else ()


def is_among(app: App, distributions: frozenset[str]) -> bool:
    """Say whether the application's own project is one of these distributions."""
    named = _name_of(app.toml(_PYPROJECT)) if app.has(_PYPROJECT) else ""
    return bool(named) and _normalised(named) in distributions


def commands(app: App) -> Mapping[str, str]:
    """Return the commands that the application's own project has once it is installed, and what each calls."""
    document = app.toml(_PYPROJECT) if app.has(_PYPROJECT) else {}
    tables = (value_at(document, *keys) for keys in _COMMANDS)
    return {str(name): str(target) for table in tables if isinstance(table, dict) for name, target in table.items()}


def project(app: App, document: Mapping[str, object]) -> tuple[PinnedWheel, ...]:
    """Return the application's own project, which is to be built, if it is one that is installed."""
    return (folder(app, ".", origin=_PYPROJECT),) if is_installed(document) else ()


def pinned(context: PinContext, package: "Package", *, origin: str) -> PinnedWheel:
    """Return what is to be built of a package of a lock that is a folder or a repository.

    Raises BuildError as `wheel` does, IB882 for a repository that is none of Git.
    """
    if package.directory:
        path = join(package.directory.path, package.directory.subdirectory or "")
        return wheel(context, Named(origin, path, package.name))
    vcs = package.vcs
    if vcs is None or vcs.type != "git":
        raise BuildError(
            f"{origin} names a repository of {package.name} that is none of Git",
            hint="name a released version, or a repository of Git",
            code="IB882",
        )
    part = f"#subdirectory={vcs.subdirectory}" if vcs.subdirectory else ""
    found = wheel(context, Named(origin, f"git+{vcs.url or vcs.path}@{vcs.commit_id}{part}", package.name))
    return replace(found, version=str(package.version or ""))


def folder(app: App, path: str, *, origin: str, name: str = "") -> PinnedWheel:
    """Return what is to be built of a folder; `origin` is the place that names it, `name` that of its project if known.

    Raises BuildError IB877 if it is not in the application, IB878 if it holds no project, IB879 if it has no name, and
    UsageError IB103 if it cannot be read.
    """
    found = normpath(path.removeprefix("file:").removeprefix("//"))
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
    named = _name_of(_toml(read(_PYPROJECT) or ""))
    return named or _in_configuration(read("setup.cfg") or "") or _in_script(read("setup.py") or "")


def _name_of(document: Mapping[str, object]) -> str:
    return next((str(name) for keys in _NAMES if (name := value_at(document, *keys))), "")


def _toml(text: str) -> Mapping[str, object]:
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError):
        return {}  # its build says what is wrong with it


def _in_configuration(text: str) -> str:
    import configparser  # few projects have a setup.cfg

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
