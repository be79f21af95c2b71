"""Packages: what is installed in another version, and which files of an image belong to it."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from layers.expression import expression
from layers.values import dataclass
from reproducibility.difference import Aspect, Difference
from reproducibility.listing import Held, Member, Members

_DATABASE_MAX = 64 << 20
_LIST_MAX = 8 << 20
_FILES_MAX = 1_000_000
# A file of the folder that an installed distribution leaves (PyPA, "Recording installed projects"; before: egg-info).
_DISTRIBUTION = expression(r"(((?:.*/)?)([^/]+)-([^/-]+?)(?:-py3\.\d+)?\.(?:dist|egg)-info)(?:/.*)?")
# Every CPython has this one, a virtual environment has not.
_INTERPRETER = expression(r"((?:.*/)?lib)/python(3\.\d+)/os\.py")
_VERSIONED = expression(r"python3\.\d+")
_DPKG = "var/lib/dpkg/"
_STATUS = f"{_DPKG}status"
_STANZA = expression(rb"^(Package|Version|Architecture):(.*)$", re.MULTILINE)
# Folders that are links into usr in today's systems, while dpkg's lists have the names of old.
_MERGED = ("bin/", "sbin/", "lib/", "lib64/")
_BYTECODE = expression(r"(.*/)?__pycache__/([^/.]+)\.[^/]*\.pyc")


@dataclass(frozen=True, slots=True)
class Package:
    """What is installed. `path` is what says so, in the layer of that label; `files` reads which ones belong to it."""

    cause: str
    name: str
    version: str
    path: str
    layer: str
    files: Callable[[], Iterable[str]]


Packages = dict[tuple[str, str], Package]


class Changed:
    """Packages of which the versions differ, given the layers that differ from the bottom to the top."""

    def __init__(self, layers: Sequence[Held]) -> None:
        here = _installed((held.label, held.left) for held in layers)
        there = _installed((held.label, held.right) for held in layers)
        self._pairs = [(here.get(key), there.get(key)) for key in sorted({**here, **there})]
        self._pairs = [pair for pair in self._pairs if _differ(*pair, here, there)]
        self._owners: dict[str, str] = {}
        self._marks: list[str] = []
        for package in [package for pair in self._pairs for package in pair if package]:
            self._own(package)

    def differences(self) -> Iterator[Difference]:
        """Yield one difference for each package."""
        for one, other in self._pairs:
            package = one or other
            if package:
                versions = one.version if one else "", other.version if other else ""
                aspect: Aspect = "value" if one and other else "presence"
                yield Difference("file", package.path, aspect, *versions, package.cause, package.layer, package.name)

    def cause(self, path: str) -> str:
        """Return the cause that a file, or a folder that only one side has, follows from; empty if there is none."""
        path = path.partition("!/")[0]
        own = _DISTRIBUTION.fullmatch(path) if "-info/" in path else None
        for owned in (path, source(path), own[1] if own else path):
            if owned in self._owners:
                return self._owners[owned]
        return "interpreter" if any(mark in path for mark in self._marks) else ""

    def _own(self, package: Package) -> None:
        if package.cause == "interpreter":
            self._marks += [f"python{package.version}", f"cpython-{package.version.replace('.', '')}"]
        for path in package.files():
            if len(self._owners) > _FILES_MAX:
                return
            while path and path not in self._owners:
                self._owners[path] = package.cause
                path = path.rpartition("/")[0]


def source(path: str) -> str:
    """Return the source of a file of bytecode, if it is one, else the path itself."""
    match = _BYTECODE.fullmatch(path)
    if match:
        return f"{match[1] or ''}{match[2]}.py"
    return path[:-1] if path.endswith(".pyc") else path


def recorded(path: str, member: Member) -> Iterator[str]:
    """Yield what a RECORD lists, as paths in the image."""
    site = posixpath.dirname(posixpath.dirname(path))
    for line in member.content.read(0, _LIST_MAX).decode("utf-8", "surrogateescape").splitlines():
        name = line[1:].partition('",')[0] if line.startswith('"') else line.partition(",")[0]
        if name:
            yield posixpath.normpath(posixpath.join("/", site, name)).lstrip("/")


def _installed(layers: Iterable[tuple[str, Members]]) -> Packages:
    """Return packages by where and what they are; that a folder is named for a version of Python counts for nothing."""
    found: Packages = {}
    for label, members in layers:
        for path, member in members.items():
            if "-info" in path and (match := _DISTRIBUTION.fullmatch(path)):
                name = re.sub(r"[-_.]+", "-", match[3]).lower()
                files = partial(_distribution, match[1], members)
                where = _VERSIONED.sub("python3", match[2])
                found[where, name] = Package("python-package", name, match[4], match[1], label, files)
            elif path.startswith(_STATUS) and member.kind == "file":
                found |= {(_DPKG, package.name): package for package in _debian(path, members, label)}
            elif path.endswith("/os.py") and (match := _INTERPRETER.fullmatch(path)):
                folder = path.removesuffix("/os.py")
                found["interpreter", match[1]] = Package("interpreter", "Python", match[2], folder, label, tuple)
    return found


def _distribution(folder: str, members: Members) -> Iterator[str]:
    yield folder
    record = f"{folder}/RECORD"
    if record in members:
        yield from recorded(record, members[record])


def _debian(path: str, members: Members, label: str) -> Iterator[Package]:
    """Yield the packages of dpkg's database, or of a file that stands for one package where there is no dpkg."""
    stanza: dict[bytes, str] = {}
    for key, value in [*_STANZA.findall(members[path].content.read(0, _DATABASE_MAX)), (b"Package", b"")]:
        if key == b"Package" and len(stanza) == 3:
            name, architecture = stanza[b"Package"], stanza[b"Architecture"]
            info = f"{_DPKG}info/{name}"
            lists = (f"{info}.list", f"{info}:{architecture}.list", f"{path}.md5sums")
            where = f"{path}!/{name}" if path == _STATUS else path
            files = partial(_listed, where, members, lists)
            yield Package("os-package", name, stanza[b"Version"], where, label, files)
        stanza = stanza if key != b"Package" else {}
        stanza[key] = value.decode("utf-8", "surrogateescape").strip()


def _listed(path: str, members: Members, lists: Iterable[str]) -> Iterator[str]:
    yield path.partition("!/")[0]
    for one in lists:
        yield one
        if one in members:
            for line in members[one].content.read(0, _LIST_MAX).decode("utf-8", "surrogateescape").splitlines():
                name = line.partition("  ")[2] if one.endswith(".md5sums") else line.lstrip("/")
                yield name
                if name.startswith(_MERGED):
                    yield f"usr/{name}"


def _differ(one: Package | None, other: Package | None, here: Packages, there: Packages) -> bool:
    """Whether two packages are of other versions, or one is missing where its like would be known."""
    if one and other:
        return one.version != other.version
    package, known = (one, there) if one else (other, here)
    if package is None or package.cause == "interpreter":
        return False
    return package.cause != "os-package" or any(other.cause == "os-package" for other in known.values())
