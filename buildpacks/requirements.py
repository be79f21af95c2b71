"""Requirement files (pip's format): which files there are, what is asked for directly, and from where.

Versions are not judged here: that is the resolver's work. What the wheels engine cannot install is refused, with the
line it stands in. Variables (`${TOKEN}`) stay as they are written, so that no secret gets into a value of ours.
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from buildpacks import requirement_lines
from buildpacks.api import App
from buildpacks.local import Named
from buildpacks.requirement_lines import Line, malformed, split_options, unsupported
from layers.errors import BuildError
from layers.expression import expression
from layers.values import dataclass

_VCS = expression(r"(git|hg|svn|bzr)\+")
_ADDRESS = expression(r"[a-z]+://")
_PATH = expression(r"[.~]|[^;@\[]*/|[^\s;@]+\.(whl|zip|tar\.gz)$")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECRET_BY_NAME = expression(r"([^:]*:)?\$\{[A-Z0-9_]+\}:?")
_SERVE = "serve the wheel from a folder with --find-links"
_NAMED = expression(r"[\w.-]+\s*(\[[^\]]*\])?\s*@")
_ARCHIVE = expression(r"\.(whl|zip|tar\.gz)$")
# A folder or a repository with its extras (`./till[card]`), and a condition, which comes after a space.
_UNPUBLISHED = expression(
    r"(?P<address>[^\s\[;]+?)(?:\[(?P<extras>[^\]]*)\])?(?P<fragment>#\S*)?(?:\s*;\s*(?P<marker>.*))?"
)


@dataclass(frozen=True, slots=True)
class Requested:
    """A project that is required or constrained: the hashes allowed (`sha256:…`), the address of its wheel if given."""

    name: str
    hashes: frozenset[str] = frozenset()
    url: str = ""
    constraint: bool = False
    extras: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a whole file (`--index-url`), its value as written, and the file and line it stands in."""

    name: str
    value: str
    place: str


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirement files with everything they include, in reading order. `require_hashes`: no package without one.

    `unpublished` are folders and repositories.
    """

    files: tuple[str, ...]
    requested: tuple[Requested, ...]
    require_hashes: bool = False
    unpublished: tuple[Named, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The normalised names of the projects asked for, sorted; constraints do not count."""
        return tuple(sorted({one.name for one in self.requested if not one.constraint}))

    @property
    def hashes(self) -> Mapping[str, frozenset[str]]:
        """The hashes allowed, by project, for the projects that have any."""
        allowed: dict[str, frozenset[str]] = {}
        for one in self.requested:
            if one.hashes:
                allowed[one.name] = allowed.get(one.name, frozenset()) | one.hashes
        return allowed | {one.name: frozenset({one.hash}) for one in self.unpublished if one.hash}

    @property
    def urls(self) -> Mapping[str, str]:
        """The addresses of wheels as written, by project."""
        return {one.name: one.url for one in self.requested if one.url}


def read(app: App, roots: tuple[str, ...]) -> Requirements:
    """Read requirement files and what they include by `-r` and `-c`.

    Raises BuildError: IB401 an included file is missing, IB402 a line cannot be understood, IB403 it asks for
    something that cannot be installed, IB404 an included file is not in the application.
    """
    seen: dict[tuple[str, bool], None] = {}
    lines = list(_lines(app, roots, seen=seen))
    files = tuple(dict.fromkeys(path for path, _ in seen))
    named = {line: unpublished(line) for line in lines if not line.is_option}
    requested = tuple(_requested(line) for line, found in named.items() if found is None)
    asked_for = any(option.name == "--require-hashes" for line in lines if line.is_option for option in _options(line))
    return Requirements(
        files, requested, asked_for or any(one.hashes for one in requested), tuple(filter(None, named.values()))
    )


def published(app: App, roots: tuple[str, ...]) -> Mapping[str, str]:
    """Return the files with what they include, by path, without folders, repositories and places to look for wheels.

    The last because they may be relative to a file.
    """
    seen: dict[tuple[str, bool], None] = {}
    kept: dict[tuple[str, int], str] = {}
    for line in _lines(app, roots, seen=seen):
        places = line.is_option and any(option.name == "--find-links" for option in _options(line))
        if not places and (line.is_option or unpublished(line) is None):
            kept[line.path, line.number] = line.text
    return {file: "".join(f"{text}\n" for (path, _), text in kept.items() if path == file) for file, _ in seen}


def options(app: App, roots: tuple[str, ...]) -> tuple[Option, ...]:
    """Return the options of requirement files and of what they include, in reading order. Raises as `read` does."""
    return tuple(option for line in _lines(app, roots, seen={}) if line.is_option for option in _options(line))


def _lines(
    app: App, paths: Iterable[str], *, seen: dict[tuple[str, bool], None], constraint: bool = False
) -> Iterator[Line]:
    for path in paths:
        if (path, constraint) in seen:
            continue
        seen[path, constraint] = None
        for number, text in requirement_lines.logical(app.text(path)):
            line = Line(path, number, text, constraint)
            yield line
            for option in _options(line) if line.is_option else ():
                if option.name in ("--requirement", "--constraint"):
                    path_of_it = _included(app, line, option)
                    yield from _lines(app, [path_of_it], seen=seen, constraint=option.name == "--constraint")


def _included(app: App, line: Line, option: Option) -> str:
    if "://" in option.value:
        raise unsupported(line, "a requirement file at an address", "copy the file into the application")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(line.path), option.value))
    if path.startswith(("/", "../")) or path == "..":
        raise BuildError(
            f"{line.place} includes {option.value}, which is outside the application",
            hint="move the file into the application's folder",
            code="IB404",
        )
    if not app.has(path):
        raise BuildError(
            f"{line.place} includes {option.value}, which does not exist",
            hint=f"create {path}, or remove the line",
            code="IB401",
        )
    return path


def _options(line: Line) -> list[Option]:
    return [
        Option(name, value, line.place) for name, value in split_options(line, line.text, requirement_lines.OPTIONS)
    ]


def unpublished(line: Line) -> Named | None:
    """Return the folder or the repository that a line asks for, if it does: `./till[card]`, `till @ git+https://…`."""
    if archive := _archive(line):
        return archive
    text = requirement_lines.EDITABLE.sub("", line.text, count=1)
    name, _, address = text.partition("@") if _NAMED.match(text) else ("", "", text)
    found = _UNPUBLISHED.fullmatch(address.strip())
    if not found or not _is_unpublished(found["address"]):
        if text != line.text:
            raise malformed(line, "only a folder or a repository can be editable")
        return None
    if line.constraint:
        raise unsupported(line, "a folder or a repository as a constraint", "constrain versions alone")
    fragment = dict(part.partition("=")[::2] for part in (found["fragment"] or "#")[1:].split("&"))
    extras = found["extras"] or (re.search(r"\[(.*)\]", name) or ["", ""])[1]
    part = f"#subdirectory={fragment['subdirectory']}" if "subdirectory" in fragment else ""
    return Named(
        line.place,
        found["address"].removeprefix("file:").removeprefix("//") + part,
        name.partition("[")[0].strip() or fragment.get("egg", "").partition("[")[0],
        frozenset(filter(None, (extra.strip() for extra in extras.split(",")))),
        found["marker"] or "",
    )


def _archive(line: Line) -> Named | None:
    """Return the source distribution at an address that a line asks for: `till @ https://…/till-1.0.tar.gz#sha256=…`."""
    text, *options = re.split(r"\s(?=--?[a-z])", line.text, maxsplit=1)
    name, _, address = text.partition("@") if _NAMED.match(text) else ("", "", text)
    found = _UNPUBLISHED.fullmatch(address.strip())
    if not found or not re.fullmatch(r"https?://.*\.(zip|tar\.gz)", found["address"]) or line.constraint:
        return None
    _check_user(line, found["address"])
    given = split_options(line, " ".join(options), requirement_lines.OF_ONE_REQUIREMENT)
    hashes = {value for name, value in given if name == "--hash"} | _hashes(found["fragment"] or "")
    hash_ = next(iter(hashes), "")
    if len(hashes) > 1 or not re.fullmatch(r"(sha256:[0-9a-f]{64})?", hash_):
        raise unsupported(line, "a source archive without one sha256", "end the address with #sha256=…")
    _check_tls(line, found["address"], hashes)
    extras = re.search(r"\[(.*)\]", name)
    return Named(
        line.place,
        found["address"],
        name.partition("[")[0].strip() or _sdist_project(line, found["address"]),
        frozenset(filter(None, (extra.strip() for extra in (extras[1] if extras else "").split(",")))),
        found["marker"] or "",
        hash_,
    )


def _sdist_project(line: Line, url: str) -> str:
    from packaging.utils import InvalidSdistFilename, parse_sdist_filename  # only what is not locked is parsed

    try:
        return parse_sdist_filename(unquote(posixpath.basename(_parts(line, url).path)))[0]
    except InvalidSdistFilename as error:
        raise unsupported(line, "an archive that does not say its project", "write `NAME @` before it") from error


def _check_user(line: Line, url: str) -> None:
    user = _parts(line, url).netloc.rpartition("@")[0]
    if user and not _SECRET_BY_NAME.fullmatch(user):
        raise unsupported(line, "an address with a password in it", "write ${NAME} for it, or use a netrc file")


def _check_tls(line: Line, url: str, hashes: Collection[str]) -> None:
    parts = _parts(line, url)
    if not hashes and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise unsupported(line, "an address without TLS", "use https, or add #sha256=… to the address")


def _parts(line: Line, url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise malformed(line, f"{url[:200]!r} is no address") from error


def _hashes(fragment: str) -> frozenset[str]:
    return frozenset(f"sha256:{part[7:]}" for part in fragment.lstrip("#").split("&") if part.startswith("sha256="))


def _is_unpublished(address: str) -> bool:
    if address.startswith("git+"):
        return True
    if _ARCHIVE.search(address) or _VCS.match(address) or (_ADDRESS.match(address) and not address.startswith("file:")):
        return False
    return address.startswith("file:") or _PATH.match(address) is not None


def _requested(line: Line) -> Requested:
    text, *options = re.split(r"\s(?=--?[a-z])", line.text, maxsplit=1)
    given = split_options(line, " ".join(options), requirement_lines.OF_ONE_REQUIREMENT)
    hashes = frozenset(value for name, value in given if name == "--hash")
    if _VCS.match(text):
        raise unsupported(
            line, "a repository that is none of Git", "name a released version, or build a wheel of it first"
        )
    if _ADDRESS.match(text):
        name, url, extras = "", text.partition(";")[0].strip(), frozenset[str]()
    else:
        name, url, extras = _parse(line, text)
    if not url:
        return Requested(name, hashes, constraint=line.constraint, extras=extras)
    name = name or _wheel_project(line, url)
    address, _, fragment = url.partition("#")
    _check_user(line, url)
    hashes |= _hashes(fragment)
    _check_tls(line, url, hashes)
    return Requested(name, hashes, address, constraint=line.constraint, extras=extras)


def _parse(line: Line, text: str) -> tuple[str, str, frozenset[str]]:
    from packaging.requirements import Requirement  # only what is not locked is parsed
    from packaging.utils import canonicalize_name

    if _PATH.match(text):
        raise unsupported(line, "a local path", _SERVE)
    try:
        requirement = Requirement(text)
    except (ValueError, RecursionError) as error:
        raise malformed(line, str(error).splitlines()[0]) from error
    if requirement.url:
        _wheel_project(line, requirement.url)
    return canonicalize_name(requirement.name), requirement.url or "", frozenset(requirement.extras)


def _wheel_project(line: Line, url: str) -> str:
    """Return the project of a wheel's address; refuse addresses of anything else."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # only what is not locked is parsed

    if _VCS.match(url):
        raise unsupported(
            line, "a repository that is none of Git", "name a released version, or build a wheel of it first"
        )
    parts = _parts(line, url)
    if parts.scheme not in ("https", "http"):
        raise unsupported(line, "a local path", _SERVE)
    try:
        return parse_wheel_filename(unquote(posixpath.basename(parts.path)))[0]
    except InvalidWheelFilename as error:
        raise unsupported(
            line, "an address that is no wheel", "name a released version, or the address of a wheel"
        ) from error
