"""Settings: what the configuration files say, each value checked and with its origin.

`[tool.imagebuilder]` of pyproject.toml, or imagebuilder.toml where there is no pyproject.toml; project.toml (the CNB
project descriptor 0.2); and the user's own file, which may only set what does not change an image. No folder above
the application is looked at.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from buildpacks.api import Setting
from imagebuilder import smallfile, text
from imagebuilder.options import BY_KEY, OPTIONS, Option
from layers.errors import UsageError
from layers.values import dataclass, field

FORMAT = 1
_LIMIT = 4 << 20
_READ = ("build", "include", "exclude")


@dataclass(frozen=True, slots=True)
class Given:
    """The values given for an option, and where. A switch that is on has none; one that is off is not given."""

    values: tuple[str, ...]
    origin: str

    @property
    def text(self) -> str:
        """The values in one line."""
        return " ".join(self.values)


@dataclass(frozen=True, slots=True)
class Values:
    """Values by key. What was not given is empty, or off."""

    given: Mapping[str, Given]

    def text(self, key: str, default: str = "") -> str:
        """Return the value of an option in one line."""
        return self.given[key].text if key in self.given else default

    def list(self, key: str) -> tuple[str, ...]:
        """Return the values of an option that may be repeated."""
        return self.given[key].values if key in self.given else ()

    def on(self, key: str) -> bool:
        """Say whether a switch is on."""
        return key in self.given


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What configuration files say: values by key, and tables (`env`, `labels`, `processes`) by key and name."""

    values: Mapping[str, Given] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    project_name: str = ""
    build_env: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()


def read_project(folder: Path) -> FileSettings:
    """Read the configuration of an application.

    Raises UsageError IB105 for a file that is not TOML, IB106 for two configurations, IB102 and IB104 for their keys.
    """
    pyproject, own = _read(folder / "pyproject.toml"), _read(folder / "imagebuilder.toml")
    if pyproject is not None and own is not None:
        raise UsageError(
            "both pyproject.toml and imagebuilder.toml are there: it is not clear which one counts",
            hint="move the keys of imagebuilder.toml to [tool.imagebuilder] in pyproject.toml",
            code="IB106",
        )
    descriptor = _read(folder / "project.toml")
    files = {"pyproject.toml": pyproject, "imagebuilder.toml": own, "project.toml": descriptor}
    origin = "imagebuilder.toml" if own is not None else "pyproject.toml [tool.imagebuilder]"
    section = own if own is not None else _table(pyproject or {}, ("tool", "imagebuilder"), "pyproject.toml")
    values, tables = _check(section, origin)
    project = _table(pyproject or {}, ("project",), "pyproject.toml").get("name")
    return FileSettings(
        values,
        tables,
        project if isinstance(project, str) else "",
        _build_env(descriptor or {}),
        tuple(name for name, document in files.items() if document is not None),
        _unused(descriptor or {}),
    )


def read_user(path: Path) -> Mapping[str, Given]:
    """Read the user's configuration; UsageError IB111 for a key that could change an image.

    One that may not be read is none: a HOME inherited from another user is no reason to fail.
    """
    document = _read(path) if os.access(path, os.R_OK) else None
    if document is None:
        return {}
    allowed = [option.key for option in OPTIONS if option.user]
    for key in document:
        if key in BY_KEY and key not in allowed:
            raise UsageError(
                f"`{key}` may not stand in {path}: it would change images on this machine only",
                hint=f"set it in the project; this file may hold {', '.join(allowed)}",
                code="IB111",
            )
    return {
        key: Given((_text(value, key, str(path)),), str(path)) for key, value in _known(document, str(path), allowed)
    }


def _check(section: Mapping[str, object], origin: str) -> tuple[dict[str, Given], dict[str, dict[str, Setting]]]:
    values: dict[str, Given] = {}
    tables: dict[str, dict[str, Setting]] = {}
    for key, value in _known(section, origin, [option.key for option in OPTIONS if option.file] + ["format"]):
        if key == "format":
            _check_format(value, origin)
        elif BY_KEY[key].file == "table":
            tables[key] = _setting_table(value, key, origin)
        else:
            values[key] = Given(_values(BY_KEY[key], value, origin), origin)
    return values, tables


def _known(document: Mapping[str, object], origin: str, known: list[str]) -> list[tuple[str, object]]:
    for key in document:
        if key not in known:
            near = text.nearest(key, known)
            raise UsageError(
                f"unknown key `{key}` in {origin}",
                hint=f"did you mean `{near}`?" if near else f"known keys: {', '.join(sorted(known))}",
                code="IB102",
            )
    return list(document.items())


def _check_format(value: object, origin: str) -> None:
    if value != FORMAT or isinstance(value, bool):
        raise UsageError(
            f"unknown output format {value!r} in {origin}",
            hint=f"this version writes format {FORMAT}; a newer one may be needed",
            code="IB101",
        )


def _values(option: Option, value: object, origin: str) -> tuple[str, ...]:
    if "list" in option.file and isinstance(value, list):
        return tuple(_word(item, option.key, origin) for item in value)
    if "text" in option.file:
        return (_text(value, option.key, origin),)
    raise _wrong_type(option.key, "a list of texts", value, origin)


def _setting_table(value: object, key: str, origin: str) -> dict[str, Setting]:
    if not isinstance(value, dict):
        raise _wrong_type(key, "a table", value, origin)
    return {str(name): Setting(_text(item, f"{key}.{name}", origin), origin) for name, item in value.items()}


def _text(value: object, key: str, origin: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(key, "a text in quotes", value, origin)
    return value


def _word(value: object, key: str, origin: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(key, "a list of texts", value, origin)
    if value.split() != [value]:
        raise UsageError(
            f"`{key}` in {origin} has an empty name or one with spaces: {value!r}",
            hint="give each name as an item of its own",
            code="IB101",
        )
    return value


def _wrong_type(key: str, wanted: str, value: object, origin: str) -> UsageError:
    kind = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a table", str: "a text"}
    shown = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else "…"
    examples = {"a list of texts": f'["{shown}"]', "a table": '{ name = "…" }', "a list of tables": "[{ … }]"}
    example = examples.get(wanted, f'"{shown}"')
    return UsageError(
        f"`{key}` in {origin} must be {wanted}, not {kind.get(type(value), 'a date or time')}",
        hint=f"write `{key.rpartition('.')[2]} = {example}`",
        code="IB104",
    )


def _build_env(descriptor: Mapping[str, object]) -> dict[str, str]:
    """Read io.buildpacks.build.env (project descriptor 0.2): a list of tables with `name` and `value`."""
    build = _table(descriptor, ("io", "buildpacks", "build"), "project.toml")
    entries = build.get("env", [])
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict):
            raise _wrong_type("io.buildpacks.build.env", "a list of tables", entry, "project.toml")
        name = _text(entry.get("name"), "io.buildpacks.build.env.name", "project.toml")
        found[name] = _text(entry.get("value"), "io.buildpacks.build.env.value", "project.toml")
    return found


def _unused(descriptor: Mapping[str, object]) -> tuple[str, ...]:
    """Name what a project descriptor asks for and nobody here does; `include` and `exclude` are read by ignore.py."""
    buildpacks = _table(descriptor, ("io", "buildpacks"), "project.toml")
    return tuple(f"`io.buildpacks.{key}` (project.toml)" for key in buildpacks if key not in _READ)


def _table(document: Mapping[str, object], path: tuple[str, ...], name: str) -> Mapping[str, object]:
    found: object = document
    for depth, key in enumerate(path, 1):
        found = found.get(key, {}) if isinstance(found, dict) else {}
        if not isinstance(found, dict):
            raise _wrong_type(".".join(path[:depth]), "a table", found, name)
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> dict[str, object] | None:
    """Parse a TOML file; None if there is none."""
    try:
        content = smallfile.read(path, limit=_LIMIT)
        import tomli  # only who has a configuration pays for it

        document: dict[str, object] = tomli.loads(content.decode("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML: tomli says in which line
        raise _unreadable(path, str(error)) from error
    return document


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(f"cannot read {path}: {reason}", hint="correct the file, or remove it", code="IB105")
