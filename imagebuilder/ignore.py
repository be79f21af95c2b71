"""Which files of the application stay out of the image, and by which rule.

`.imagebuilderignore`, else `.dockerignore`, then `include` or `exclude` of project.toml: patterns start at the top,
`**` crosses folders, a pattern covers what is in a folder, `!` makes an exception, the last line that applies decides.

On top of that stands what is left out by default. An exception lifts it only by naming it: `!app` does not bring
`app/.env` into the image, `!app/.env` does (docs/decisions/0032-what-is-left-out.md).
"""

import posixpath
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from buildpacks.api import App, value_at
from imagebuilder import patterns
from layers import tree
from layers.errors import UsageError
from layers.values import dataclass

_FILES = (".imagebuilderignore", ".dockerignore")
_DEFAULTS = (
    # Secrets.
    "**/.env*", "**/.netrc", "**/.pypirc", "**/.git-credentials", "**/.pgpass", "**/.aws", "**/.kube", "**/.ssh",
    "**/.gnupg", "**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx", "**/*.kdbx",
    "**/id_rsa", "**/id_dsa", "**/id_ecdsa", "**/id_ecdsa_sk", "**/id_ed25519", "**/id_ed25519_sk",
    # Version control and development environments.
    "**/.git", "**/.hg", "**/.svn", "**/.venv", "**/venv", "**/node_modules", "**/.idea", "**/.vscode", "**/.DS_Store",
    # Caches.
    "**/__pycache__", "**/.mypy_cache", "**/.ruff_cache", "**/.pytest_cache", "**/.hypothesis", "**/.tox", "**/.nox",
    "**/.cache", "**/.coverage", "**/.ipynb_checkpoints",
    # What a build makes. Further down `build` and `dist` are as likely to be sources.
    "**/*.egg-info", "build", "dist", "imagebuilder.lock",
)  # fmt: skip

# A name that no pattern spells out, and that every pattern for names of any kind matches.
_NOBODY = "\0"


@dataclass(frozen=True)
class Rule:
    """A pattern without its `!`, whether it had one, and the file it comes from."""

    pattern: str
    exception: bool
    origin: str

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(patterns.covering([self.pattern]), re.DOTALL)

    def covers(self, path: str) -> bool:
        """Say whether the pattern matches a path or a folder it is in."""
        return self._regex.fullmatch(path) is not None

    def reaches_into(self, folder: str) -> bool:
        """Say whether the pattern could match something in a folder that it does not match itself."""
        parts, names = self.pattern.split("/"), folder.split("/")
        for part, name in zip(parts, names, strict=False):
            if "**" in part:
                return True
            if not re.fullmatch(patterns.translated(part), name, re.DOTALL):
                return False
        return len(parts) > len(names)

    def tells_apart(self, path: str, stranger: str) -> bool:
        """Say whether it could match in one folder what it does not match in another, whose path has other names."""
        parts = [part for part in self.pattern.split("/") if part != "**"]
        changed = [pair for pair in zip(path.split("/"), stranger.split("/"), strict=True) if pair[0] != pair[1]]
        return any(
            "**" in part or len({bool(re.fullmatch(patterns.translated(part), name, re.DOTALL)) for name in pair}) > 1
            for part in parts
            for pair in changed
        )


@dataclass(frozen=True)
class Ignore:
    """The rules of an application, as `layers.tree` asks for them."""

    defaults: tuple[Rule, ...]
    rules: tuple[Rule, ...] = ()

    def __call__(self, path: str) -> bool:
        """Say whether a path is left out; with a slash at its end, whether all that is in the folder is."""
        if not self._candidates.fullmatch(path.rstrip("/")):
            return False
        if not path.endswith("/"):
            return self.rule(path) is not None
        return self.rule(path[:-1]) is not None and not self._has_exceptions_in(path[:-1])

    def rule(self, path: str) -> Rule | None:
        """Return the rule that leaves a path out, or None."""
        last = next((rule for rule in reversed(self.rules) if rule.covers(path)), None)
        if last and not last.exception:
            return last
        for rule, stranger in self._defaults_on(path):
            if not any(each.covers(path) and not each.covers(stranger) for each in self._exceptions):
                return rule
        return None

    def _has_exceptions_in(self, folder: str) -> bool:
        """Say whether something in a folder may be kept: exceptions reach into it, and answer each default on it."""
        if not any(each.reaches_into(folder) for each in self._exceptions):
            return False
        near = [each for each in self._exceptions if each.reaches_into(folder) or each.covers(folder)]
        return all(
            any(each.tells_apart(folder, stranger) for each in near) for _, stranger in self._defaults_on(folder)
        )

    def _defaults_on(self, path: str) -> Iterable[tuple[Rule, str]]:
        """Yield each default on a path, and the path as it would be if what it is about had another name."""
        names = path.split("/") if self._default_candidates.fullmatch(path) else []
        for depth in range(len(names)):
            prefix = "/".join(names[: depth + 1])
            stranger = "/".join((*names[:depth], _NOBODY, *names[depth + 1 :]))
            for rule in self.defaults:
                if rule.covers(prefix) and not rule.covers("/".join(names[:depth])):
                    yield rule, stranger

    @cached_property
    def _exceptions(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.exception)

    @cached_property
    def _candidates(self) -> re.Pattern[str]:
        """Match whatever some rule may leave out: the one question that is asked of every file."""
        return _covered_by((*self.defaults, *(rule for rule in self.rules if not rule.exception)))

    @cached_property
    def _default_candidates(self) -> re.Pattern[str]:
        return _covered_by(self.defaults)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file, or a folder (with a slash at its end) and all that is in it, and the rule that leaves it out."""

    path: str
    pattern: str
    origin: str


def read(root: Path, *, written: tuple[str, ...] = ()) -> Ignore:
    """Read the rules of an application. `written` are paths in it that the build itself writes, such as its outputs.

    Raises UsageError IB306 for a malformed pattern, or a project.toml that has both `include` and `exclude`.
    """
    app = App(root)
    defaults = [Rule(pattern, exception=False, origin="default") for pattern in _DEFAULTS]
    defaults += [Rule(patterns.escaped(path), exception=False, origin="written by the build") for path in written]
    rules: list[Rule] = []
    file = next((name for name in _FILES if app.has(name)), None)
    if file:
        rules += _rules(app.text(file).splitlines(), file)
    if app.has("project.toml"):
        rules += _rules(_project_patterns(app), "project.toml")
    return Ignore(tuple(defaults), tuple(rules))


def left_out(root: Path, ignore: Ignore) -> tuple[LeftOut, ...]:
    """List what the rules leave out of an application, without looking into folders that are left out whole."""
    found: list[LeftOut] = []

    def recorded(path: str) -> bool:
        ignored = ignore(path)
        rule = ignore.rule(path.rstrip("/")) if ignored else None
        if rule:
            found.append(LeftOut(path, rule.pattern, rule.origin))
        return ignored

    tree.list_files(root, ignored=recorded)
    return tuple(sorted(found, key=lambda each: each.path.encode("utf-8", "surrogateescape")))


def _covered_by(rules: Iterable[Rule]) -> re.Pattern[str]:
    return re.compile(patterns.covering(rule.pattern for rule in rules), re.DOTALL)


def _rules(lines: Iterable[str], origin: str) -> list[Rule]:
    rules = []
    for line in lines:
        text = line.strip()
        if not text or line.startswith("#"):
            continue
        body = text.removeprefix("!").strip()
        pattern = posixpath.normpath(body).lstrip("/")
        try:
            re.compile(patterns.translated(pattern))
        except (ValueError, re.error) as error:
            raise _malformed(f"malformed pattern in {origin}: {line!r}") from error
        if not body:
            raise _malformed(f"an exception without a pattern in {origin}: {line!r}")
        rules.append(Rule(pattern, text.startswith("!"), origin))
    return rules


def _project_patterns(app: App) -> list[str]:
    """Return what a project descriptor (CNB, version 0.2) includes or excludes, as lines of an ignore file."""
    table = value_at(app.toml("project.toml"), "io", "buildpacks")
    include, exclude = (_texts(value_at(table, key), key) for key in ("include", "exclude"))
    if include and exclude:
        raise _malformed("project.toml has both include and exclude")
    if not include:
        return [_from_gitignore(line) for line in exclude]
    kept = map(_from_gitignore, include)
    return ["**", *(line[1:] if line.startswith("!") else f"!{line}" for line in kept)]


def _texts(value: object, key: str) -> list[str]:
    items = [] if value is None else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise _malformed(f"{key} in project.toml is not a list of texts")
    return items


def _from_gitignore(line: str) -> str:
    """Rewrite a pattern: without a slash in front or inside it applies at any depth. A slash at the end is dropped."""
    body = line.strip().removeprefix("!").rstrip("/")
    return ("!" if line.startswith("!") else "") + (body if "/" in body else f"**/{body}")


def _malformed(message: str) -> UsageError:
    return UsageError(message, hint="write patterns as in a .dockerignore file", code="IB306")
