"""Orders: how each package manager is told to install, offline, what an application has locked.

Each reads the lock of the application itself and decides on its own what is wanted; only where files are is changed,
and what is built from source is replaced by the wheel that was built. pip has no lock: it gets the pins, with hashes.
"""

import posixpath
from collections.abc import Callable, Mapping, Sequence

from buildpacks import locks
from buildpacks.api import App, value_at
from layers import canonical
from layers.canonical import Json
from layers.values import dataclass, field

# Places inside the sandbox.
ENVIRONMENT = "/build/site-packages"
FILES = "/build/files"
PROJECT = "/build/project"
TOOLS = "/build/environment"
WORK = "/build/work"
PLUGIN = "/build/plugin"
PYTHON = f"{ENVIRONMENT}/bin/python"


@dataclass(frozen=True, slots=True)
class Offered:
    """A wheel as the tools find it in FILES; `built` from source, so that no lock knows its hash."""

    name: str
    version: str
    file: str
    sha256: str
    built: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A command, its variables and the files of the project that it reads."""

    words: tuple[str, ...]
    files: Mapping[str, str]
    env: Mapping[str, str] = field(default_factory=dict)


def order(tool: str, app: App, offered: Sequence[Offered]) -> Order:
    """Tell a tool what to install. Raises what reading the application's files raises."""
    return _ORDERS[tool](app, offered)


def _pip(_app: App, offered: Sequence[Offered]) -> Order:
    lines = (f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in offered)
    words = (
        f"{TOOLS}/bin/pip", "--python", PYTHON, "install", "--no-index", f"--find-links={FILES}", "--require-hashes",
        "--only-binary=:all:", "--no-compile", "--no-cache-dir", "--no-input", "--disable-pip-version-check",
        "--progress-bar=off", "-r", "requirements.txt",
    )  # fmt: skip
    return Order(words, {"requirements.txt": "".join(lines)})


def _pipenv(app: App, offered: Sequence[Offered]) -> Order:
    """Have the Pipfile and its lock compared (`--deploy`); a lock alone has nothing to be compared with."""
    files = {name: app.text(name) for name in ("Pipfile", "Pipfile.lock") if app.has(name)}
    command = ["install", "--deploy"] if len(files) == 2 else ["sync"] if "Pipfile.lock" in files else ["install"]
    tables: Mapping[str, object] = app.toml("Pipfile") if "Pipfile" in files else {}
    if "Pipfile.lock" in files:
        lock = app.json("Pipfile.lock")
        tables = {**tables, **lock}
        if any(each.built for each in offered):
            files["Pipfile.lock"] = canonical.encode(_pipfile_lock(lock, offered)).decode()
    else:
        command.append("--skip-lock")
    named = {locks.normalised(name): name for name in tables}
    groups = [named.get(locks.normalised(name), name) for name in _asked(app, "groups")]
    categories = " ".join(["packages", *(name for name in groups if name != "packages")])
    words = (
        f"{TOOLS}/bin/pipenv", *command, "--system", f"--python={PYTHON}", f"--categories={categories}",
        f"--extra-pip-args=--no-index --find-links={FILES} --only-binary=:all: --no-compile",
    )  # fmt: skip
    return Order(
        words,
        {"Pipfile": "", **files},
        {"PIPENV_CACHE_DIR": f"{WORK}/pipenv", "PIPENV_NOSPIN": "1", "VIRTUAL_ENV": ENVIRONMENT},
    )


def _poetry(app: App, offered: Sequence[Offered]) -> Order:
    """Poetry knows no folder of wheels: a plugin of ours is its index (imagebuilder/native/poetry_plugin.py)."""
    files = {name: app.text(name) for name in ("pyproject.toml", "poetry.lock")}
    if any(each.built for each in offered):
        files["poetry.lock"] = _toml(_poetry_lock(app.toml("poetry.lock"), offered))
    extras = [f"--extras={name}" for name in _asked(app, "extras")]
    words = (
        f"{TOOLS}/bin/poetry", "install", "--no-root", "--only", ",".join(("main", *_asked(app, "groups"))), *extras,
        "--no-interaction", "--no-ansi",
    )  # fmt: skip
    env = {
        "POETRY_CACHE_DIR": f"{WORK}/poetry",
        "POETRY_CONFIG_DIR": f"{WORK}/poetry-config",
        "POETRY_DATA_DIR": f"{WORK}/poetry-data",
        "POETRY_KEYRING_ENABLED": "false",
        "PYTHONPATH": PLUGIN,
        "VIRTUAL_ENV": ENVIRONMENT,
    }
    return Order(words, files, env)


def _uv(app: App, offered: Sequence[Offered]) -> Order:
    lock = app.toml("uv.lock")
    packages = locks.tables(lock.get("package", []), "uv.lock")
    files = {"pyproject.toml": app.text("pyproject.toml")}
    for package in packages:
        for kind in ("editable", "virtual", "directory"):
            path = posixpath.normpath(posixpath.join(str(value_at(package, "source", kind)), "pyproject.toml"))
            if value_at(package, "source", kind) is not None and app.has(path):
                files[path] = app.text(path)
    files["uv.lock"] = _toml({**lock, "package": [_uv_package(package, offered) for package in packages]})
    extras = [f"--extra={name}" for name in _asked(app, "extras")]
    groups = [f"--group={name}" for name in _asked(app, "groups")]
    words = (
        f"{TOOLS}/bin/uv", "sync", "--frozen", "--no-default-groups", *extras, *groups, "--no-install-workspace",
        "--no-install-local", "--offline", "--no-build", "--no-python-downloads", "--no-progress", "--color=never",
        f"--python={PYTHON}",
    )  # fmt: skip
    env = {"UV_CACHE_DIR": f"{WORK}/uv", "UV_LINK_MODE": "copy", "UV_PROJECT_ENVIRONMENT": ENVIRONMENT}
    return Order(words, files, env)


_ORDERS: Mapping[str, Callable[[App, Sequence[Offered]], Order]] = {
    "pip": _pip,
    "pipenv": _pipenv,
    "poetry": _poetry,
    "uv": _uv,
}


def _asked(app: App, key: str) -> list[str]:
    setting = app.setting(key)
    return setting.value.split() if setting else []


def _pipfile_lock(lock: Mapping[str, object], offered: Sequence[Offered]) -> Json:
    hashes = {each.name: [f"sha256:{each.sha256}"] for each in offered if each.built}

    def entry(name: str, value: object) -> Json:
        found = locks.plain(value)
        known = hashes.get(locks.normalised(name))
        return {**found, "hashes": known} if known and isinstance(found, Mapping) else found

    return {
        table: {name: entry(name, value) for name, value in entries.items()}
        if table != "_meta" and isinstance(entries, dict)
        else locks.plain(entries)
        for table, entries in lock.items()
    }


def _poetry_lock(lock: Mapping[str, object], offered: Sequence[Offered]) -> dict[str, object]:
    built = {each.name: each for each in offered if each.built}

    def package(locked: Mapping[str, object]) -> Mapping[str, object]:
        each = built.get(locks.normalised(locked.get("name")))
        return {**locked, "files": [{"file": each.file, "hash": f"sha256:{each.sha256}"}]} if each else locked

    return {**lock, "package": [package(each) for each in locks.tables(lock.get("package", []), "poetry.lock")]}


def _uv_package(package: Mapping[str, object], offered: Sequence[Offered]) -> Mapping[str, object]:
    """Say of the wheels that were fetched where they are; uv may well want others, and does not get them."""
    name = locks.normalised(package.get("name"))
    here = {f"sha256:{each.sha256}": each for each in offered if each.name == name}
    built = [{"url": _address(each), "hash": hash_} for hash_, each in here.items() if each.built]
    if built:
        return {**{key: value for key, value in package.items() if key != "sdist"}, "wheels": built}
    listed = package.get("wheels")
    if not isinstance(listed, list):
        return package
    wheels = [{**each, "url": _address(here[each["hash"]])} if each.get("hash") in here else each for each in listed]
    return {**package, "wheels": wheels}


def _address(offered: Offered) -> str:
    return f"file://{FILES}/{offered.file}"


def _toml(document: Mapping[str, object]) -> str:
    import tomli_w  # only who installs natively writes locks of others

    return tomli_w.dumps(document)
