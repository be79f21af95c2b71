"""Files that name conda packages: environment.yml, package-list.txt, conda-lock.yml, pixi.lock; a vendored channel.

Of several files the most exact counts: a lock before the list, the list before the environment (RFC 0001 takes
`package-list.txt` for the lock of environment.yml). A folder `vendor` that is a channel is then the only one.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from buildpacks import declared, locks
from buildpacks.api import App, value_at
from layers.canonical import Json
from layers.descriptor import Platform
from layers.errors import UsageError
from layers.expression import expression
from layers.values import dataclass, replace

SUBDIRS = {"amd64": "linux-64", "arm64": "linux-aarch64"}
_VENDORED = "vendor"
_ENVIRONMENT = "environment.yml"
_VARIABLE = expression(r"[A-Za-z_][A-Za-z0-9_]*")
# What environments mean by this name, on the server where channels are found by name.
_DEFAULTS = ("main",)
_LOCAL = expression(r"\.{0,2}/|file:")
_NAME = expression(r"[^/.][^/]*(?:/label/[^/]+)?$")
_PACKAGE = expression(
    r"(?P<channel>.+)/(?P<subdir>[a-z0-9]+(?:-[a-z0-9]+)?)/(?P<name>[^/#]+\.(?:conda|tar\.bz2))"
    r"(?:#(?:(?:sha256:)?(?P<sha256>[0-9a-f]{64})|(?P<md5>[0-9a-f]{32})))?"
)
_ANY_TOKEN, _PASSWORD = expression(r"/t/[^/]+/"), expression(r"//[^/@]*@")
_SPEC_NAME = expression(r"(?:.*::)?\s*([A-Za-z0-9_][A-Za-z0-9_.-]*)")
_PLATFORM = expression(r"#\s*platform:\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Named:
    """A package that a lock names: its channel as it is written, its file, and the hashes that are given."""

    channel: str
    subdir: str
    file: str
    sha256: str = ""
    md5: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """What an application says of its conda environment.

    Either `specs` are to be solved, or `packages` are all there is. `pip` are requirements of packages for Python
    beside those, `wheels` such packages of a lock in the form of PEP 751.
    """

    file: str
    channels: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    packages: tuple[Named, ...] = ()
    pip: tuple[str, ...] = ()
    wheels: tuple[Mapping[str, Json], ...] = ()


def read(app: App, platform: Platform) -> Environment:
    """Read the file that counts; UsageError IB912 if it cannot be understood or is not for the platform."""
    subdir = SUBDIRS[platform.architecture]
    vendored = [f"{_VENDORED}/{each}/repodata.json" for each in (subdir, "noarch")]
    for path in (*declared.FILES["conda"], *vendored):
        app.on_read(path)  # also what is not there: it would count if it were
    file = next(filter(app.has, declared.FILES["conda"]))
    with _explained(file):
        match file:
            case "conda-lock.yml":
                found = _conda_lock(app, file, subdir)
            case "pixi.lock":
                found = _pixi_lock(app, file, subdir)
            case "package-list.txt":
                found = _package_list(app, file, subdir)
            case _:
                found = _environment_yml(app)
    return replace(found, channels=(f"./{_VENDORED}",)) if any(map(app.has, vendored)) else found


def variables(app: App) -> Mapping[str, str]:
    """Return the variables that environment.yml sets, whichever file counts. Raises as `read` does."""
    with _explained(_ENVIRONMENT):
        document = _parsed(app, _ENVIRONMENT) if app.has(_ENVIRONMENT) else {}
        given = {name: str(value) for name, value in _table(document, "variables").items() if value is not None}
        if wrong := [name for name, value in given.items() if not _VARIABLE.fullmatch(name) or "\0" in value]:
            raise ValueError(f"{wrong[0][:100]!r} is no variable")
        return given


def _environment_yml(app: App) -> Environment:
    """Read environment.yml; one that is not there says nothing."""
    file = _ENVIRONMENT
    if not app.has(file):
        return Environment(file, _DEFAULTS)
    document = _parsed(app, file)
    specs, pip = [], []
    for item in _listed(document, "dependencies"):
        if isinstance(item, str):
            specs.append(item)
        elif isinstance(item, Mapping) and item.keys() == {"pip"}:
            pip += _texts(item, "pip")
        else:
            raise ValueError(f"{str(item)[:100]!r} is neither a package nor `pip:`")
    for requirement in pip:
        if requirement.startswith(("-", ".", "/")):
            raise ValueError(f"{requirement[:100]!r} below `pip:` is no name of a package")
    return Environment(file, _channels(_texts(document, "channels")), tuple(specs), pip=tuple(pip))


def names(app: App) -> tuple[str, ...]:
    """Return the names of the packages that are asked for, on whichever platform, as far as the files say them."""
    try:
        found = read(app, Platform("linux", "amd64"))
    except UsageError:
        found = read(app, Platform("linux", "arm64"))
    asked = [match[1] for text in (*found.specs, *found.pip) if (match := _SPEC_NAME.match(text))]
    locked = [package.file.rsplit("-", 2)[0] for package in found.packages]
    return tuple(locks.normalised(name) for name in (*asked, *locked, *(wheel["name"] for wheel in found.wheels)))


def channels(app: App, platform: Platform) -> tuple[str, ...]:
    """Return all channels that the application names, as they are written."""
    found = read(app, platform)
    return tuple(dict.fromkeys((*found.channels, *(package.channel for package in found.packages))))


def channel_name(channel: str) -> str:
    """Return what a channel is called wherever it is: without server, credentials, and the folders it is in.

    That is `conda-forge`, or `conda-forge/label/rc`.
    """
    path = unquote(urlsplit(channel).path) if "://" in channel else channel
    match = _NAME.search(posixpath.normpath(path))
    return match[0] if match else "channel"


def is_local(channel: str) -> bool:
    """Say whether a channel is a folder."""
    return _LOCAL.match(channel) is not None


def _channels(written: Iterable[str]) -> tuple[str, ...]:
    """Return the channels to ask; `defaults` if there are none, unless `nodefaults` says that this is meant."""
    listed = list(written)
    found = [name for each in listed for name in (_DEFAULTS if each == "defaults" else (each,)) if each != "nodefaults"]
    return tuple(dict.fromkeys(found)) or (() if "nodefaults" in listed else _DEFAULTS)


def _package_list(app: App, file: str, subdir: str) -> Environment:
    """Read what `conda list --explicit` or `conda list --export` wrote, or a list of specs."""
    lines = [line.strip() for line in app.text(file).splitlines() if line.strip()]
    for line in lines:
        if (match := _PLATFORM.match(line)) and match[1] not in (subdir, "noarch"):
            raise ValueError(f"it is for {match[1]}, and the image for {subdir}")
    listed = [line for line in lines if not line.startswith("#")]
    if "@EXPLICIT" in listed:
        packages = tuple(_named(line, subdir) for line in listed if line != "@EXPLICIT")
        return Environment(file, packages=packages)
    return Environment(file, _environment_yml(app).channels, tuple(listed))


def _conda_lock(app: App, file: str, subdir: str) -> Environment:
    """Read the unified lock of conda-lock (version 1): its main category, and those that are asked for as groups."""
    tables = [each for each in _listed(_parsed(app, file), "package") if isinstance(each, Mapping)]
    here = [each for each in tables if each.get("platform") == subdir]
    if not here:
        raise ValueError(f"it has nothing for {subdir}")
    asked = locks.asked(app, file, groups={str(each.get("category", "main")) for each in here})
    wanted = [each for each in here if locks.normalised(each.get("category", "main")) in {"main", *asked.groups}]
    packages, wheels = [], []
    for each in wanted:
        sha256, md5 = (str(value_at(each, "hash", name) or "") for name in ("sha256", "md5"))
        if each.get("manager") == "pip":
            wheels.append(_wheel(str(each.get("name")), str(each.get("version")), str(each.get("url")), sha256))
        else:
            packages.append(replace(_named(str(each.get("url")), subdir), sha256=sha256, md5=md5))
    return Environment(file, packages=tuple(packages), wheels=tuple(wheels))


def _pixi_lock(app: App, file: str, subdir: str) -> Environment:
    """Read the environment `default` of a lock of pixi (version 4 to 6)."""
    locks.asked(app, file)
    document = _parsed(app, file)
    chosen = list(_listed(value_at(document, "environments", "default", "packages"), subdir))
    if not chosen:
        raise ValueError(f"its environment `default` has nothing for {subdir}")
    known = {_url(each): each for each in _listed(document, "packages") if isinstance(each, Mapping)}
    packages, wheels = [], []
    for item in chosen:
        url = _url(item)
        record = known.get(url)
        if record is None or not url:
            raise ValueError(f"it does not describe {url[:100]!r}")
        sha256 = str(record.get("sha256") or "")
        if isinstance(item, Mapping) and "pypi" in item:
            wheels.append(_wheel(str(record.get("name")), str(record.get("version")), url, sha256))
        else:
            size = str(record.get("size") or "")
            named = replace(_named(url, subdir), sha256=sha256, md5=str(record.get("md5") or ""))
            packages.append(replace(named, size=int(size) if size.isdigit() else None))
    return Environment(file, packages=tuple(packages), wheels=tuple(wheels))


def _parsed(app: App, file: str) -> Json:
    from buildpacks import yaml  # only who has an environment reads YAML

    return yaml.parse(app.text(file))


def _url(record: Json) -> str:
    """Return the address of a package of pixi.lock, which each version of the format keeps elsewhere."""
    return next((str(value_at(record, key)) for key in ("conda", "pypi", "url") if value_at(record, key)), "")


def _named(url: str, subdir: str) -> Named:
    match = _PACKAGE.fullmatch(url.strip())
    if match is None:
        raise ValueError(
            f"{_PASSWORD.sub('//', _ANY_TOKEN.sub('/t/…/', url))[:200]!r} is no address of a conda package"
        )
    if match["subdir"] not in (subdir, "noarch"):
        raise ValueError(f"{match['name']} is for {match['subdir']}, and the image for {subdir}")
    return Named(match["channel"], match["subdir"], unquote(match["name"]), match["sha256"] or "", match["md5"] or "")


def _wheel(name: str, version: str, url: str, sha256: str) -> Mapping[str, Json]:
    file = unquote(posixpath.basename(urlsplit(url).path))
    if not sha256:
        raise ValueError(f"{file[:100]!r} has no sha256")
    entry: dict[str, Json] = {"name": file, "path": file, "hashes": {"sha256": sha256}}
    normalised = locks.normalised(name)
    if file.endswith(".whl"):
        return {"name": normalised, "version": version, "wheels": [entry]}
    return {"name": normalised, "version": version, "sdist": entry}


def _table(document: Json, key: str) -> Mapping[str, Json]:
    value = value_at(document, key)
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"`{key}` is no table")
    return value or {}


def _listed(document: object, key: str) -> Iterator[Json]:
    value = value_at(document, key)
    if value is not None and not isinstance(value, list):
        raise ValueError(f"`{key}` is no list")
    yield from value or ()


def _texts(document: Json, key: str) -> list[str]:
    found = list(_listed(document, key))
    if not all(isinstance(item, str) for item in found):
        raise ValueError(f"`{key}` is no list of texts")
    return [str(item) for item in found]


@contextmanager
def _explained(file: str) -> Iterator[None]:
    """Say of which file it is that something cannot be understood."""
    try:
        yield
    except ValueError as error:
        raise UsageError(
            f"cannot use {file}: {error}",
            hint="correct it, or make it anew with the program that wrote it",
            code="IB912",
        ) from error
