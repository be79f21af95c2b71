"""poetry_graph: which packages of an older poetry.lock are wanted, found by following its dependencies.

Before lock version 2.1 (Poetry 2.0) a lock does not say which groups want a package, so that Poetry resolves again over
what is locked. Whatever the image wants has exactly one version in the lock that all who ask for it accept.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from buildpacks import locks
from buildpacks.api import value_at
from buildpacks.locks import normalised
from layers.expression import expression
from layers.values import dataclass

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

VERSIONS = ("1.0", "1.1", "2.0")
FILE = "poetry.lock"
_TERM = expression(r"(\^|~(?!=)|[<>=!~]=|[<>=]|)\s*([^\s,<>=!~^|]+)")
# A choice that changes more often than that goes in circles.
_ROUNDS = 20

Holds = Callable[[object, frozenset[str]], bool]
_Package = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A dependency as pyproject.toml or a lock writes it."""

    name: str
    table: Mapping[str, object]

    @property
    def extras(self) -> frozenset[str]:
        extras = self.table.get("extras")
        return frozenset(map(normalised, extras)) if isinstance(extras, list) else frozenset()


@dataclass(frozen=True, slots=True)
class Graph:
    """A lock and the project it was made for. `holds` judges markers, `python` is the version of the image's Python.

    Without `python` no condition counts, and everything that is not optional is wanted.
    """

    project: Mapping[str, object]
    lock: Mapping[str, object]
    holds: Holds = lambda _marker, _extras: True
    python: str = ""

    def wanted(self, groups: frozenset[str], extras: frozenset[str]) -> list[_Package]:
        """Return the packages that these groups (`main` among them) and extras of the project want, with their files.

        Raises UsageError IB312 if the lock lacks one of them.
        """
        accepted: dict[str, set[str]] = {}
        for _ in range(_ROUNDS):
            known = sum(map(len, accepted.values()))
            found = self._follow(list(self._roots(groups, extras)), accepted)
            if sum(map(len, accepted.values())) == known:
                return [self._with_files(package) for _, package in sorted(found.items())]
        raise locks.malformed(FILE, "its dependencies cannot be followed to an end")

    def _follow(self, asked: list[_Asked], accepted: dict[str, set[str]]) -> dict[str, _Package]:
        """Return what is wanted by name; whoever asks for a package leaves in `accepted` which versions will do."""
        found: dict[str, _Package] = {}
        seen: set[tuple[str, frozenset[str]]] = set()
        while asked:
            one = asked.pop()
            accepted.setdefault(one.name, set()).add(str(one.table.get("version", "*")))
            found[one.name] = self._choose(one.name, accepted[one.name])
            # Each extra is followed by itself: what several bring together is what each of them brings.
            for extras in (frozenset[str](), *(frozenset({extra}) for extra in one.extras)):
                if (one.name, extras) not in seen:
                    seen.add((one.name, extras))
                    asked += self._dependencies(found[one.name], extras)
        return found

    def _roots(self, groups: frozenset[str], extras: frozenset[str]) -> Iterator[_Asked]:
        own = value_at(self.project, "tool", "poetry")
        tables = [("main", value_at(own, "dependencies")), ("dev", value_at(own, "dev-dependencies"))]
        listed = value_at(own, "group")
        tables += [(normalised(name), value_at(group, "dependencies")) for name, group in _items(listed)]
        offered = {normalised(name): names for name, names in _items(value_at(own, "extras"))}
        named = {name for extra in extras for name in _names(offered.get(extra))}
        for group, table in tables:
            if group in groups:
                yield from self._active(table, extras, named)

    def _dependencies(self, package: _Package, extras: frozenset[str]) -> Iterator[_Asked]:
        offered = {normalised(name): names for name, names in _items(package.get("extras"))}
        named = {name for extra in extras for name in _names(offered.get(extra))}
        return self._active(package.get("dependencies"), extras, named)

    def _active(self, table: object, extras: frozenset[str], named: set[str]) -> Iterator[_Asked]:
        """Yield the dependencies of a table that count in the image; of optional ones those that extras name."""
        for key, value in _items(table):
            name = normalised(key)
            for entry in value if isinstance(value, list) else [value]:
                each = entry if isinstance(entry, dict) else {"version": entry}
                if name != "python" and (not each.get("optional") or name in named) and self._counts(each, extras):
                    yield _Asked(name, each)

    def _counts(self, table: Mapping[str, object], extras: frozenset[str]) -> bool:
        if not self.python:
            return True
        platform = " or ".join(_platforms(str(table.get("platform", ""))))
        fits = _accepts(str(table.get("python") or "*"), self.python)
        return fits and self.holds(platform, extras) and self.holds(table.get("markers"), extras)

    def _choose(self, name: str, accepted: set[str]) -> _Package:
        from packaging.version import Version  # only what is not pinned is read from locks

        there = [each for each in self._packages if normalised(each.get("name")) == name]
        if len(there) > 1 and self.python:
            there = [each for each in there if _accepts(str(each.get("python-versions") or "*"), self.python)]
            there = [each for each in there if all(_accepts(text, str(each.get("version"))) for text in accepted)]
        if not there:
            raise locks.malformed(FILE, f"it has no {name} that all accept who want it")
        return max(there, key=lambda each: Version(str(each.get("version"))))

    @property
    def _packages(self) -> Sequence[_Package]:
        return locks.tables(self.lock.get("package", []), FILE)

    def _with_files(self, package: _Package) -> _Package:
        """Add the files, which locks of version 1 keep apart: those of all versions of a project together."""
        if "files" in package:
            return package
        listed = value_at(self.lock, "metadata", "files")
        by_name = {normalised(name): files for name, files in _items(listed)}
        files = locks.tables(by_name.get(normalised(package.get("name")), []), FILE)
        version = str(package.get("version"))
        return {**package, "files": [file for file in files if _is_of(str(file.get("file")), version)]}


def _platforms(text: str) -> Iterator[str]:
    """Yield the conditions that `platform = "linux || darwin"` is short for."""
    for one in filter(None, text.replace(" ", "").split("||")):
        yield f"sys_platform {'!=' if one.startswith('!=') else '=='} '{one.lstrip('!=')}'"


def _accepts(condition: str, version: str) -> bool:
    """Say whether a version fulfils a condition as Poetry writes it: `^1.2`, `~1.2`, `1.*`, `>=1,<2 || >=3`."""
    return any(_specifiers(part, condition).contains(version, prereleases=True) for part in condition.split("||"))


def _specifiers(text: str, condition: str) -> "SpecifierSet":
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # only what is not pinned is read from locks

    try:
        return SpecifierSet(",".join(part for found in _TERM.finditer(text) for part in _standard(found[1], found[2])))
    except (InvalidSpecifier, ValueError) as error:
        raise locks.malformed(FILE, f"{condition!r} is no condition on versions") from error


def _standard(operator: str, version: str) -> Iterator[str]:
    """Write one of Poetry's conditions as the standard has them (PEP 440)."""
    if version in ("*", "x"):
        return
    if operator not in ("^", "~"):
        yield f"{'==' if operator in ('', '=') else operator}{version}"
        return
    release = [int(part) for part in re.split(r"[^\d.]", version, maxsplit=1)[0].rstrip(".").split(".")]
    # `^` keeps the first number that is not 0, `~` the second of several.
    zeros = len(list(takewhile(lambda part: part == 0, release)))
    kept = min(zeros, len(release) - 1) if operator == "^" else min(1, len(release) - 1)
    yield f">={version}"
    yield f"<{'.'.join(map(str, [*release[:kept], release[kept] + 1]))}"


def _is_of(file: str, version: str) -> bool:
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
    from packaging.version import Version

    try:
        found = parse_wheel_filename(file)[1] if file.endswith(".whl") else parse_sdist_filename(file)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return True  # not to be told; the lock's hashes count for it all the same
    return found == Version(version)


def _names(requirements: object) -> Iterator[str]:
    """Yield the projects that an extra names: `asgiref (>=3.2)` is asgiref."""
    for text in requirements if isinstance(requirements, list) else ():
        yield normalised(re.split(r"[^\w.-]", str(text), maxsplit=1)[0])


def _items(table: object) -> list[tuple[str, object]]:
    return [(str(key), value) for key, value in table.items()] if isinstance(table, dict) else []
