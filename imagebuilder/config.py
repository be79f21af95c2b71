"""Configuration: flags, environment and files become one BuildRequest, each value with its origin.

Precedence: flag, IMAGEBUILDER_* variable, BP_* variable, [tool.imagebuilder], project.toml, the user's file, default.
The only module that reads the environment of the process.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from buildpacks.api import Setting
from imagebuilder import again, created, destinations, ignore, reference, settings, text, variables
from imagebuilder.arguments import Arguments
from imagebuilder.ignore import Ignore
from imagebuilder.options import BY_KEY, OPTIONS, Option, options_of
from imagebuilder.request import BuildRequest
from imagebuilder.settings import FileSettings, Given, Values
from layers.descriptor import Platform
from layers.errors import UsageError
from layers.expression import expression
from layers.values import dataclass, replace

Tables = Mapping[str, Mapping[str, Setting]]

_ON = ("1", "true", "yes", "on")
_OFF = ("0", "false", "no", "off")
_PREFIX = "IMAGEBUILDER_"
_MOST_WORKERS = 64
_VARIABLE = (expression(r"[A-Za-z_][A-Za-z0-9_]*"), "use letters, digits and underscores")
_NAMES = {
    "env": _VARIABLE,
    "collectstatic-env": _VARIABLE,
    "processes": (expression(r"[A-Za-z0-9_-]+"), "use letters, digits and underscores"),
    "buildpack": (expression("file"), 'write file = "tools/buildpack.py"'),
}
_OF_BUILDPACKS = (
    "python", "python-build", "requirements", "manager", "extras", "groups", "entry", "process",
    "project-version", "BP_PIP_DEST_PATH", "BP_PIP_FIND_LINKS", "BP_POETRY_INSTALL_ONLY", "BP_PROCFILE_DEFAULT_PROCESS",
    "BP_UV_INSTALL_GROUPS",
)  # fmt: skip
_DEFAULTS = {
    "platform": "linux/amd64",  # not the host's: the same command makes the same image everywhere
    "base": "debian:trixie",
    "compression": "gzip",
    "created": "1980-01-01T00:00:01Z",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What flags and variables say for one command; and what the user's file says where they and the project do not."""

    argument: str
    further: tuple[str, ...]
    given: Mapping[str, Given]
    user: Mapping[str, Given]
    environment: Mapping[str, str]
    question: again.Question | None = None

    @property
    def values(self) -> Values:
        """The values of options that may not stand in a project."""
        return Values({**self.user, **self.given})


@dataclass(frozen=True, slots=True)
class Configuration:
    """The request; and for people: what is left out, every value with its origin, files read, what looks mistaken.

    It is `repeatable` if files, flags and variables decide it, and neither the clock nor git.
    """

    request: BuildRequest
    ignored: Ignore
    values: Mapping[str, Setting]
    files: tuple[str, ...]
    warnings: tuple[str, ...]
    repeatable: bool


def process_environment() -> dict[str, str]:
    """Return the environment of this process."""
    return dict(os.environ)  # noqa: TID251 the one door to the environment


def choose(arguments: Arguments, environment: Mapping[str, str], question: again.Question | None = None) -> Chosen:
    """Take flags, then variables, then the user's file.

    Raises UsageError IB101 for a value that its option cannot have, IB111 for a key that the user's file may not set.
    """
    given: dict[str, Given] = {}
    for option in OPTIONS:
        if option.key in arguments.flags:
            given[option.key] = Given(arguments.flags[option.key], option.flag)
        elif not option.commands or option in options_of(arguments.command):
            given |= _from_variable(option, environment.get(option.variable, ""))
    path = destinations.user_file(environment)
    user = settings.read_user(path) if path else {}
    _check_choices({**user, **given})
    return Chosen(arguments.argument, arguments.further, given, user, environment, question)


def load(chosen: Chosen) -> Configuration:
    """Read the project in the folder that was given (default: the current one) and make the request.

    Raises UsageError IB109 if there is no such folder, and what the modules that read a part of it raise.
    """
    source = Path(chosen.argument or ".")
    if not source.is_dir():
        raise UsageError(f"no such folder: {source}", hint="give the folder of the application", code="IB109")
    project = settings.read_project(source)
    described = variables.read(project.build_env, {}, where="project.toml")
    in_files = {**described.env, **project.tables.get("env", {})}
    exported = variables.read(chosen.environment, in_files)
    given = {**chosen.user, **described.values, **project.values, **exported.values, **chosen.given}
    _check_choices(given)
    repeatable = "created" not in given or given["created"].text not in ("git", "now")
    given |= _creation_time(given, source, chosen)
    tables = {
        "processes": project.tables.get("processes", {}),
        "env": {**in_files, **exported.env},
        "labels": {**described.labels, **project.tables.get("labels", {}), **exported.labels},
        "buildpack": project.tables.get("buildpack", {}),
        "collectstatic-env": project.tables.get("collectstatic-env", {}),
    }
    _check_names(tables)
    request = _request(source, Values(given), tables, project=project, chosen=chosen)
    ignored = ignore.read(source, written=destinations.written_into(request))
    without_effect = (*project.without_effect, *described.without_effect, *exported.without_effect)
    return Configuration(
        replace(request, ignored=ignored),
        ignored,
        _shown(request, given, tables),
        project.files,
        _warnings(chosen, without_effect),
        repeatable,
    )


def _request(source: Path, values: Values, tables: Tables, *, project: FileSettings, chosen: Chosen) -> BuildRequest:
    title = values.text("name", project.project_name)
    name = destinations.normalised(title or source.resolve().name)
    tags = _tags(values, name)
    outputs = destinations.outputs(
        values.list("output"), load=values.text("load"), name=name, tags=tags, push=values.on("push")
    )
    return BuildRequest(
        source=source,
        name=name,
        title=title,
        platform=Platform(*values.text("platform", _DEFAULTS["platform"]).split("/")),
        base=values.text("base", _DEFAULTS["base"]),
        packages=values.list("packages"),
        build_packages=values.list("build-packages"),
        native=values.text("engine") == "native",
        settings={key: Setting(values.text(key), values.given[key].origin) for key in _OF_BUILDPACKS if values.on(key)},
        processes=tables["processes"],
        buildpacks=values.list("buildpacks"),
        own_buildpack=tables["buildpack"].get("file"),
        trust_buildpack=values.on("trust-buildpack"),
        env=_plain(tables["env"]),
        labels=_plain(tables["labels"]),
        created=values.text("created", _DEFAULTS["created"]),
        bytecode=values.text("bytecode") == "unchecked-hash",
        collectstatic=values.text("collectstatic"),
        collectstatic_env=_plain(tables["collectstatic-env"]),
        compression=_compression(values),
        tags=tags,
        push=values.on("push"),
        skip_unchanged=values.on("skip-unchanged"),
        insecure_registries=frozenset(values.list("insecure-registry")),
        token_hosts=frozenset(values.list("token-host")),
        outputs=outputs,
        cache_from=values.list("cache-from"),
        cache_to=values.text("cache-to"),
        locked=values.on("locked"),
        offline=values.on("offline"),
        use_cache=not values.on("no-cache"),
        cache_dir=destinations.cache_dir(values.text("cache-dir"), chosen.environment),
        digest_file=_path(values, "digest-file"),
        metadata_file=_path(values, "metadata-file"),
        workers=_workers(values),
        python_mirror=values.text("python-mirror"),
        conda_channel_alias=values.text("conda-channel-alias"),
        debian_mirror=values.text("debian-mirror"),
        debian_snapshot=values.text("debian-snapshot"),
        debian_keyring=_keyring(values, source, project),
        debian_expired=values.on("debian-expired"),
        environment={**_index_variables(project.build_env), **chosen.environment},
    )


def _from_variable(option: Option, value: str) -> dict[str, Given]:
    """Read a variable; an empty one is not set, a list is separated by spaces, a switch is on or off."""
    if not value:
        return {}
    if option.many or "list" in option.file:
        return {option.key: Given(tuple(value.split()), option.variable)}
    if option.metavar or option.file:
        return {option.key: Given((value,), option.variable)}
    if value.lower() not in (*_ON, *_OFF):
        raise UsageError(f"{option.variable} cannot be `{value}`", hint="set it to 1 or 0", code="IB101")
    return {option.key: Given((), option.variable)} if value.lower() in _ON else {}


def _check_choices(given: Mapping[str, Given]) -> None:
    for key, found in given.items():
        choices = BY_KEY[key].choices if key in BY_KEY else ()
        if choices and found.text not in choices:
            near = text.nearest(found.text, choices)
            raise UsageError(
                f"`{key}` cannot be `{found.text}` ({found.origin})",
                hint=f"did you mean `{near}`?" if near else f"choose one of {', '.join(choices)}",
                code="IB101",
            )


def _check_names(tables: Tables) -> None:
    for table, (pattern, hint) in _NAMES.items():
        for name, setting in tables[table].items():
            if not pattern.fullmatch(name):
                raise UsageError(
                    f"not a name for `{table}`: {name!r} ({setting.origin})",
                    hint=hint,
                    code="IB101",
                )


def _creation_time(given: Mapping[str, Given], source: Path, chosen: Chosen) -> dict[str, Given]:
    """SOURCE_DATE_EPOCH stands between the IMAGEBUILDER_* variables and the files. It is checked in any case."""
    epoch = chosen.environment.get("SOURCE_DATE_EPOCH")
    from_epoch = created.from_epoch(epoch, "SOURCE_DATE_EPOCH") if epoch is not None else ""
    if from_epoch and "created" not in chosen.given:
        return {"created": Given((from_epoch,), "SOURCE_DATE_EPOCH")}
    if found := given.get("created"):
        time = created.of(found.text, found.origin, source=source, environment=chosen.environment)
        return {"created": Given((time,), found.origin)}
    return {}


def _tags(values: Values, name: str) -> tuple[str, ...]:
    """Return the names of the image; they and those of caches are ones that registries can have."""
    tags = tuple(reference.parse(tag).familiar for tag in values.list("tag") or (name,))
    _check_push(values, tags)
    for cache in values.list("cache-from"):
        reference.parse_source(cache)
    if values.on("cache-to"):
        destinations.check_target(reference.parse(values.text("cache-to")))
    return tags


def _check_push(values: Values, tags: tuple[str, ...]) -> None:
    if values.on("push") and not values.on("tag"):
        raise UsageError(
            "`--push` does not say where to",
            hint="give the full name with -t, for example `-t registry.example.com/team/app:1.0`",
            code="IB240",
        )
    if values.on("skip-unchanged") and not values.on("push"):
        raise UsageError("`--skip-unchanged` is about a push", hint="give --push too", code="IB240")
    if values.on("push"):
        for tag in tags:
            destinations.check_target(reference.parse(tag))


def _compression(values: Values) -> Literal["gzip", "zstd", "none"]:
    wanted = values.text("compression")
    return "zstd" if wanted == "zstd" else "none" if wanted == "none" else "gzip"


def _workers(values: Values) -> int:
    wanted = values.text("workers")
    if not wanted:
        return max(2, min(8, len(os.sched_getaffinity(0))))
    if not (wanted.isascii() and wanted.isdigit() and 0 < int(wanted) <= _MOST_WORKERS):
        raise UsageError(f"not a number of workers: {wanted!r}", hint=f"give 1 to {_MOST_WORKERS}", code="IB101")
    return int(wanted)


def _path(values: Values, key: str) -> Path | None:
    return Path(values.text(key)) if values.on(key) else None


def _keyring(values: Values, source: Path, project: FileSettings) -> Path | None:
    """The path in a file of the project is relative to it."""
    path = _path(values, "debian-keyring")
    from_project = values.given.get("debian-keyring") is project.values.get("debian-keyring")
    return source / path if path and from_project else path


def _index_variables(build_env: Mapping[str, str]) -> dict[str, str]:
    """Of the build environment of project.toml only the settings of the package index concern a build of ours."""
    return {name: value for name, value in build_env.items() if name.startswith(("PIP_", "UV_"))}


def _plain(table: Mapping[str, Setting]) -> dict[str, str]:
    return {name: setting.value for name, setting in table.items()}


def _shown(request: BuildRequest, given: Mapping[str, Given], tables: Tables) -> dict[str, Setting]:
    """List what `plan` shows: what can change the image, and where each value comes from."""
    shown = {"name": Setting(request.name, "pyproject.toml [project]" if request.title else "name of the folder")}
    shown |= {key: Setting(value, "default") for key, value in _DEFAULTS.items()}
    for option in OPTIONS:
        if option.file and option.key in given:
            shown[option.key] = Setting(given[option.key].text, given[option.key].origin)
    for table, settings_of in tables.items():
        shown |= {f"{table}.{name}": setting for name, setting in sorted(settings_of.items())}
    return shown


def _warnings(chosen: Chosen, without_effect: tuple[str, ...]) -> tuple[str, ...]:
    known = [option.variable.removeprefix(_PREFIX) for option in OPTIONS if option.variable]
    found = [f"{name} has no effect" for name in without_effect]
    ours = sorted(name.removeprefix(_PREFIX) for name in chosen.environment if name.startswith(_PREFIX))
    for name in ours:
        if name not in known:
            near = text.nearest(name, known)
            found.append(f"{_PREFIX}{name} has no effect" + (f": did you mean {_PREFIX}{near}?" if near else ""))
    return tuple(found)
