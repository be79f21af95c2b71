"""Index settings: where wheels are looked for, as pip and uv have been configured.

Read from the most to the least particular: requirement files, environment, the project's uv settings, those of the
user and of the system, pip's files. A default index is taken from the first that names one; further indexes and
find-links add up. None of it reaches the image or the lock: there a wheel is a name and a hash.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from buildpacks import pip_install, requirements
from buildpacks.api import App
from imagebuilder import foreign_settings, named
from layers.errors import UsageError
from layers.expression import expression
from layers.values import dataclass, field

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_VARIABLE = expression(r"\$\{([A-Z0-9_]+)\}")
# The one provider that pip and uv both have: the program `keyring`, wherever it was installed.
_KEYRING = "subprocess"
_USERINFO = expression(r"//[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Place:
    """An index or a find-links location (address or folder). `url` may hold credentials; `str()` leaves them out."""

    url: str = field(repr=False)
    origin: str

    def __str__(self) -> str:
        return without_credentials(self.url)


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where wheels are looked for.

    `public` says that no default index was configured, so uv's own default is asked after `indexes`. `strategy` is
    one of uv's index strategies: indexes from pip's settings are compared as pip does, the best version wins.
    `named` are those that single packages may come from, and only from there.
    `keyring` says that the program of this name is asked for the passwords of users whom addresses name.
    """

    indexes: tuple[Place, ...] = ()
    find_links: tuple[Place, ...] = ()
    public: bool = True
    strategy: str = "first-index"
    trusted_hosts: tuple[str, ...] = ()
    certificate: str = ""
    keyring: bool = False
    named: Mapping[str, Place] = field(default_factory=dict)

    @property
    def none(self) -> bool:
        """Whether no index at all may be asked."""
        return not self.public and not self.indexes

    def place(self, name: str) -> Place:
        """Return an index by its name; UsageError IB319 if nothing says where it is."""
        if name not in self.named:
            raise UsageError(
                f"packages are to come from the index {name}, and nothing says where that is",
                hint=f"declare it where the package manager keeps its indexes, or set UV_INDEX={name}=ADDRESS",
                code="IB319",
            )
        return self.named[name]


@dataclass(slots=True)
class _Found:
    """What one place of configuration says."""

    origin: str
    default: str = ""
    extra: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    no_index: bool = False
    trusted_hosts: list[str] = field(default_factory=list)
    certificate: str = ""
    keyring: bool = False
    of_pip: bool = True
    named: dict[str, str] = field(default_factory=dict)


def load(app: App, environment: Mapping[str, str], *, home: Path, prefix: Path) -> IndexSettings:
    """Read all settings; files of the system are looked for under `prefix`.

    Raises UsageError IB708 for an index without TLS that is not trusted, IB709 for a file that cannot be read.
    """
    of_uv = list(_uv_files(app, environment, home=home, prefix=prefix))
    of_manager = named.of_manager(app, environment)
    found = [
        _requirement_options(app, environment),
        _uv_environment(environment),
        _vendored(app),
        _declared(of_manager),
        *of_uv,
        _pip_settings(environment, home=home, prefix=prefix),
        _fallback(of_manager),
    ]
    no_index = any(one.no_index for one in found)
    default = next((one for one in found if one.default), None)
    indexes = [Place(url, one.origin) for one in found for url in one.extra]
    if default:
        indexes.append(Place(default.default, default.origin))
    links = [Place(_absolute(app, link), one.origin) for one in found for link in one.find_links]
    settings = IndexSettings(
        indexes=() if no_index else tuple(indexes),
        find_links=tuple(links),
        public=not no_index and default is None,
        strategy=environment.get("UV_INDEX_STRATEGY") or _strategy(found),
        trusted_hosts=tuple(host for one in found for host in one.trusted_hosts),
        certificate=_certificate(found, environment),
        keyring=any(one.keyring for one in found),
        named={name: Place(url, one.origin) for one in reversed(found) for name, url in one.named.items()},
    )
    _check_secure(settings)
    if settings.certificate and not Path(settings.certificate).exists():
        raise foreign_settings.unreadable(Path(settings.certificate), "there is no such file of certificates")
    return settings


def without_credentials(text: str) -> str:
    """Take the user information out of every address in a text."""
    return _USERINFO.sub("//", text)


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Put variables into an address, as pip does: `${NAME}`, left as it stands if there is no such variable."""
    return _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), text)


def _strategy(found: Iterable[_Found]) -> str:
    return "unsafe-best-match" if any(one.of_pip and one.extra for one in found) else "first-index"


def _certificate(found: Iterable[_Found], environment: Mapping[str, str]) -> str:
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    given = (*(one.certificate for one in found), *(environment.get(name, "") for name in names))
    return next(filter(None, given), "")


def _absolute(app: App, link: str) -> str:
    return link if "://" in link else str((app.root / link).absolute())


def _check_secure(settings: IndexSettings) -> None:
    for place in (*settings.indexes, *settings.find_links, *settings.named.values()):
        parts = urlsplit(place.url)
        trusted = {parts.hostname, f"{parts.hostname}:{parts.port}"} & {*settings.trusted_hosts, *_LOOPBACK}
        if parts.scheme == "http" and not trusted:
            raise UsageError(
                f"the index {place} is not protected by TLS",
                details=(f"it comes from {place.origin}",),
                hint=f"use https, or trust the host with PIP_TRUSTED_HOST={parts.hostname}",
                code="IB708",
            )


def _requirement_options(app: App, environment: Mapping[str, str]) -> _Found:
    roots = tuple(path for path in pip_install.requirement_files(app) if app.has(path))
    found = _Found(", ".join(roots))
    for option in requirements.options(app, roots):
        value = expand(option.value, environment)
        match option.name:
            case "--index-url":
                found.default = found.default or value
            case "--extra-index-url":
                found.extra.append(value)
            case "--find-links":
                beside = posixpath.join(posixpath.dirname(option.place), value)
                found.find_links.append(beside if (app.root / beside).exists() else value)
            case "--no-index":
                found.no_index = True
            case "--trusted-host":
                found.trusted_hosts.append(value)
            case _:
                pass  # about the requirements, not about where they are
    return found


def _vendored(app: App) -> _Found:
    """Paketo's ways: a folder of wheels in the application stands for all indexes; BP_PIP_FIND_LINKS adds places."""
    folder = app.setting("BP_PIP_DEST_PATH")
    links = app.setting("BP_PIP_FIND_LINKS")
    name = folder.value if folder else "vendor"
    found = _Found(links.origin if links else name, find_links=links.value.split() if links else [])
    if any((app.root / name).glob("*.whl")):
        found.find_links.append(name)
        found.no_index = True
    return found


def _uv_environment(environment: Mapping[str, str]) -> _Found:
    def words(name: str, separator: str | None = None) -> list[str]:
        return [word.strip() for word in environment.get(name, "").split(separator) if word.strip()]

    default = next((environment[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if environment.get(name)), "")
    extra = [_named(word) for word in (*words("UV_INDEX"), *words("UV_EXTRA_INDEX_URL"))]
    return _Found(
        "the environment (UV_*)",
        default=named.of_uv(*_named(default), environment),
        extra=[named.of_uv(name, url, environment) for name, url in extra],
        named={name: named.of_uv(name, url, environment) for name, url in extra if name},
        find_links=words("UV_FIND_LINKS", ","),
        no_index=_true(environment.get("UV_NO_INDEX", "")),
        trusted_hosts=words("UV_INSECURE_HOST"),
        keyring=environment.get("UV_KEYRING_PROVIDER") == _KEYRING,
        of_pip=False,
    )


def _named(text: str) -> tuple[str, str]:
    """Split `name=address`, as uv takes it."""
    match = re.fullmatch(r"([A-Za-z0-9._-]+)=(.*)", text)
    return (match[1], match[2]) if match else ("", text)


def _declared(indexes: Iterable[named.Declared]) -> _Found:
    """Return what a package manager's own files say, which is more than what the user says of all projects."""
    return _Found(
        next((one.origin for one in indexes), ""),
        default=next((one.url for one in indexes if one.role == "default"), ""),
        extra=[one.url for one in indexes if one.role == "extra"],
        of_pip=False,
        named={one.name: one.url for one in indexes},
    )


def _fallback(indexes: Iterable[named.Declared]) -> _Found:
    """Return what stands for the public index in a package manager's files: a mirror that is configured replaces it."""
    found = next((one for one in indexes if one.role == "fallback"), None)
    return _Found(found.origin, default=found.url, of_pip=False) if found else _Found("")


def _uv_files(app: App, environment: Mapping[str, str], *, home: Path, prefix: Path) -> Iterator[_Found]:
    project = foreign_settings.toml(app.root / "uv.toml")
    pyproject: object = foreign_settings.toml(app.root / "pyproject.toml")
    for key in ("tool", "uv"):
        pyproject = pyproject.get(key) if isinstance(pyproject, Mapping) else None
    yield _uv_table(project or pyproject, "uv.toml" if project else "pyproject.toml [tool.uv]", environment)
    if _true(environment.get("UV_NO_CONFIG", "")):
        return
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "uv" / "uv.toml"
    named = environment.get("UV_CONFIG_FILE")
    for path in (Path(named),) if named else (user, prefix / "etc" / "uv" / "uv.toml"):
        yield _uv_table(foreign_settings.toml(path), str(path), environment)


def _uv_table(table: object, origin: str, environment: Mapping[str, str]) -> _Found:
    """Read uv's settings: `[[index]]` and the older keys. Explicit indexes are for the packages that name them."""
    found = _Found(origin, of_pip=False)
    if not isinstance(table, Mapping):
        return found
    for index in _list(table.get("index")):
        if not isinstance(index, Mapping) or not isinstance(url := index.get("url"), str):
            continue
        name = str(index.get("name", ""))
        url = named.of_uv(name, url, environment)
        if name:
            found.named.setdefault(name, url)
        if index.get("default") is True:
            found.default = found.default or url
        elif index.get("explicit") is not True:
            found.extra.append(url)
    found.default = found.default or str(table.get("index-url", ""))
    found.extra += [str(url) for url in _list(table.get("extra-index-url"))]
    found.find_links = [str(link) for link in _list(table.get("find-links"))]
    found.no_index = table.get("no-index") is True
    found.keyring = table.get("keyring-provider") == _KEYRING
    found.trusted_hosts = [str(host) for host in _list(table.get("allow-insecure-host"))]
    return found


def _pip_settings(environment: Mapping[str, str], *, home: Path, prefix: Path) -> _Found:
    """Read pip's files and PIP_* variables. Of each key the most particular value counts; they do not add up."""
    values: dict[str, str] = {}
    for path in _pip_files(environment, home=home, prefix=prefix):
        values |= foreign_settings.of_pip(path)
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    return _Found(
        "pip's settings",
        default=values.get("index-url", "").strip(),
        extra=values.get("extra-index-url", "").split(),
        find_links=values.get("find-links", "").split(),
        no_index=_true(values.get("no-index", "")),
        trusted_hosts=values.get("trusted-host", "").split(),
        certificate=values.get("cert", ""),
        keyring=values.get("keyring-provider") == _KEYRING,
    )


def _pip_files(environment: Mapping[str, str], *, home: Path, prefix: Path) -> Iterator[Path]:
    """Yield pip's files, the most general first (pip: Configuration, Location)."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == "/dev/null":
        return
    yield from (prefix / "etc" / "xdg" / "pip" / "pip.conf", prefix / "etc" / "pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    if environment.get("VIRTUAL_ENV"):
        yield Path(environment["VIRTUAL_ENV"]) / "pip.conf"
    if named:
        yield Path(named)


def _list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _true(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on", "y", "t")
