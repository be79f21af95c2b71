"""cpython: which Python the image has: the base's own, or a standalone build if that is of another version.

What the user says (`--python`, configuration, BP_CPYTHON_VERSION) is taken before what files pin, but never against
the project's own `requires-python`. Files have to agree with each other. Of the versions that are left, the one that
the base puts first is chosen, else the newest standalone one; a pre-release only if one is named.
"""

import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from buildpacks import standalone
from buildpacks.api import (
    App,
    BuildContext,
    Buildpack,
    BuildPlan,
    BuildResult,
    Interpreter,
    PinContext,
    Pins,
    Require,
    value_at,
)
from layers import bytecode
from layers.errors import BuildError, UsageError
from layers.expression import expression
from layers.values import dataclass

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

# PEP 440, and what else people write: 3.13, 3.13.x, v3.13 (Paketo, nvm habits), ^3.11 and ~3.11 (Poetry).
_WORD = expression(r"(~=|==|!=|<=|>=|<|>|=|\^|~|)v?(\d+(?:\.\d+)*)(\.[*xX]|(?:a|b|rc)\d+)?")

# The Python of Debian's suites, to say where a version can be had.
_SUITES = {"bookworm": "3.11", "trixie": "3.13", "forky": "3.14"}

# Enough versions to see whether two wishes can be met by one: every minor version with more patches than any had.
_CONCEIVABLE = tuple(f"3.{minor}.{patch}" for minor in range(6, 30) for patch in range(40))

# What a require may have for a version, to say whose Python is wanted.
_BUILDS = ("base", "standalone")
_NEAR = 4

ENV = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def detect(app: App) -> BuildPlan:
    """Offer an interpreter, and require of itself the versions that the user and the files ask for.

    Raises UsageError IB303 for a version that cannot be understood.
    """
    return BuildPlan(("cpython",), tuple(_requires(app)))


def pin(context: PinContext) -> Pins:
    """Choose the first interpreter that suits all who ask.

    Raises UsageError IB302 if no version could suit them all, BuildError IB301 if there is none that does.
    """
    build = next((require.version for require in context.requires if require.version in _BUILDS), "")
    asked = [require for require in context.requires if require.version and require.version not in _BUILDS]
    wishes = [_Wish.of(require) for require in asked]
    offered = _offered(context.interpreters(), build)
    for interpreter in offered:
        if all(wish.suits(interpreter.version) for wish in wishes or [_ANY]):
            return Pins(interpreter=interpreter)
    for one, other in itertools.combinations(wishes, 2):
        if not any(one.suits(version) and other.suits(version) for version in _CONCEIVABLE):
            raise _conflict(one.require, other.require)
    raise _unavailable(wishes, offered)


def build(context: BuildContext) -> BuildResult:
    """Set what an interpreter in a container needs: output at once, no attempt to write bytecode, a place on PATH.

    If there is to be bytecode, it is found at one place, and that of the standard library is there.
    """
    own = context.interpreter and context.interpreter.archive
    env = {**ENV, "PATH": f"/{standalone.PREFIX}/bin"} if own else ENV
    if context.compiler is None:
        return BuildResult(env=env)
    return BuildResult(
        (context.compiler.standard_library(),), env={**env, "PYTHONPYCACHEPREFIX": f"/{bytecode.PREFIX}"}
    )


def _offered(interpreters: tuple[Interpreter, ...], build: str) -> tuple[Interpreter, ...]:
    """Put the base's before the standalone ones, or leave out either; of those first what is of the base's series.

    That is the series for which all packages have wheels by now.
    """
    base = [each for each in interpreters if each.archive is None]
    usual = base[0].series if base else ""
    separate = sorted((each for each in interpreters if each.archive), key=lambda each: each.series != usual)
    return (*(base if build != "standalone" else ()), *(separate if build != "base" else ()))


@dataclass(frozen=True, slots=True)
class _Wish:
    """A require, and what it says in PEP 440: one of these conditions has to hold."""

    require: Require
    conditions: tuple[str, ...]

    @classmethod
    def of(cls, require: Require) -> "_Wish":
        try:
            return cls(require, tuple(_condition(part) for part in re.split(r"\|\|?", require.version)))
        except ValueError as error:
            raise _malformed(require.version, require.version_source) from error

    def suits(self, version: str) -> bool:
        """Say whether a version fulfils it; a pre-release only does where one is named."""
        sets = map(_parsed, self.conditions)
        return any(each.contains(version, prereleases=bool(each.prereleases)) for each in sets)


_ANY = _Wish(Require("cpython"), ("",))


@cache
def _parsed(condition: str) -> "SpecifierSet":
    from packaging.specifiers import SpecifierSet  # only pinning compares versions

    return SpecifierSet(condition)


def _condition(text: str) -> str:
    """Translate a text to PEP 440; ValueError if it is no condition on versions."""
    words = re.sub(r"([<>=!~^])\s+", r"\1", text.replace(",", " ")).split()
    return ",".join(_clause(word) for word in words if word != "*")


def _clause(word: str) -> str:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ValueError(word)
    operator, release, rest = match[1], match[2], re.sub("[xX]", "*", match[3] or "")
    version = release + rest
    numbers = [int(number) for number in release.split(".")]
    if operator in ("", "="):
        whole = rest.startswith(("a", "b", "rc")) or (not rest and len(numbers) > 2)
        return f"=={version}" if whole else f"=={release}.*"
    if ("*" in rest and operator not in ("==", "!=")) or (operator == "~=" and len(numbers) < 2):
        raise ValueError(word)
    if operator == "^":
        return f">={version},<{numbers[0] + 1}"
    if operator == "~":
        return f">={version},<" + (f"{numbers[0]}.{numbers[1] + 1}" if len(numbers) > 1 else f"{numbers[0] + 1}")
    return operator + version


def _requires(app: App) -> Iterator[Require]:
    whose = app.setting("python-build")
    if whose and whose.value in _BUILDS:
        yield Require("cpython", version=whose.value, version_source=whose.origin)
    setting = app.setting("python", "BP_CPYTHON_VERSION")
    if setting:
        yield _require(setting.value, setting.origin)
    else:
        yield from _pinned(app)
    if app.has("pyproject.toml"):
        document = app.toml("pyproject.toml")
        for keys in (("project", "requires-python"), ("tool", "poetry", "dependencies", "python")):
            value = value_at(document, *keys)
            if value is not None:
                # Poetry takes a table too: { version = "^3.11", … }
                yield _require(value_at(value, "version") or value, f"pyproject.toml {keys[-1]}")


def _pinned(app: App) -> Iterator[Require]:
    """Yield the versions that files pin for developers, the most specific file first."""
    if app.has("Pipfile.lock"):
        yield from _pipenv(value_at(app.json("Pipfile.lock"), "_meta", "requires"), "Pipfile.lock")
    if app.has("Pipfile"):
        yield from _pipenv(value_at(app.toml("Pipfile"), "requires"), "Pipfile")
    if app.has(".python-version"):
        yield from _pyenv(app.text(".python-version"))


def _pipenv(requires: object, file: str) -> Iterator[Require]:
    for key in ("python_full_version", "python_version"):
        value = value_at(requires, key)
        if value is not None:
            yield _require(value, f"{file} {key}")
            return


def _pyenv(text: str) -> Iterator[Require]:
    """Yield the first line that names a CPython: pyenv lists several, also of other implementations."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    versions = [re.sub(r"^(?:cpython|python)[-@]", "", line) for line in lines if line]
    for version in versions:
        if _WORD.match(version):
            yield _require(version, ".python-version")
            return
    if versions:
        raise _malformed(versions[0], ".python-version")


def _require(value: object, source: str) -> Require:
    if not isinstance(value, str):
        raise _malformed(str(value), source)
    require = Require("cpython", version=value.strip(), version_source=source)
    _Wish.of(require)
    return require


def _malformed(value: str, source: str) -> UsageError:
    return UsageError(
        f"not a Python version: {value[:100]!r} ({source})",
        hint="write it like `3.13`, `3.13.5` or `>=3.11,<3.14`, as text",
        code="IB303",
    )


def _conflict(one: Require, other: Require) -> UsageError:
    return UsageError(
        f"no Python is both {one.version} ({one.version_source}) and {other.version} ({other.version_source})",
        hint="change one of them",
        code="IB302",
    )


def _unavailable(wishes: list[_Wish], offered: tuple[Interpreter, ...]) -> BuildError:
    asked = " and ".join(f"{wish.require.version} ({wish.require.version_source})" for wish in wishes)
    there = ", ".join(f"{each.version} ({each.origin})" for each in offered) or "none"
    if any(each.archive for each in offered):
        return _nowhere(asked, wishes, offered)
    suite = next((suite for suite, series in _SUITES.items() if wishes and _has(series, wishes)), None)
    return BuildError(
        f"the base has no Python {asked}".rstrip(),
        details=(
            f"there is: {there}",
            "Debian has: " + ", ".join(f"{series} in {suite}" for suite, series in _SUITES.items()),
        ),
        hint=f'set base = "debian:{suite}"' if suite else "ask for one of these versions",
        code="IB301",
    )


def _nowhere(asked: str, wishes: list[_Wish], offered: tuple[Interpreter, ...]) -> BuildError:
    """Say that not even a standalone build is of a version, and name those of the nearest ones."""
    wanted = [int(number) for number in re.findall(r"\d+", wishes[0].require.version)[:3]] if wishes else []
    own = ", ".join(f"{each.version} ({each.origin})" for each in offered if each.archive is None)

    def distance(version: str) -> list[int]:
        return [abs(int(one) - other) for one, other in zip(re.findall(r"\d+", version), wanted, strict=False)]

    near = sorted((each.version for each in offered if each.archive), key=distance)[:_NEAR]
    return BuildError(
        f"there is no Python {asked}".rstrip(),
        details=(*((f"the base has: {own}",) if own else ()), f"standalone builds near it: {', '.join(near)}"),
        hint="ask for one of these versions",
        code="IB301",
    )


def _has(series: str, wishes: list[_Wish]) -> bool:
    versions = (version for version in _CONCEIVABLE if version.startswith(f"{series}."))
    return any(all(wish.suits(version) for wish in wishes) for version in versions)


BUILDPACK = Buildpack("cpython", detect, pin, build)
