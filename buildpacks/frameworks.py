"""How an application starts: what its files and packages say, as a command and the reason for it.

Sources are searched, not parsed: what Python's own parser accepts depends on the version this program runs on, and the
image must not (docs/decisions/0030-start-commands-from-text.md).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from buildpacks import local
from buildpacks.api import App
from layers.errors import UsageError
from layers.expression import expression
from layers.values import dataclass

_INTERFACES = {"Flask": "wsgi", "FastAPI": "asgi", "Litestar": "asgi", "Quart": "asgi", "Starlette": "asgi"}

# Servers by interface and distribution, the best first (docs/decisions/0031-processes-ports-and-signals.md).
_SERVERS: dict[str, dict[str, tuple[str, ...]]] = {
    "wsgi": {
        "gunicorn": ("gunicorn",),
        "waitress": ("waitress-serve", "--listen=0.0.0.0:8000"),
        "pyuwsgi": ("uwsgi", "--http=0.0.0.0:8000", "--master", "--module"),
        "uwsgi": ("uwsgi", "--http=0.0.0.0:8000", "--master", "--module"),
    },
    "asgi": {
        "uvicorn": ("uvicorn", "--host=0.0.0.0"),
        "hypercorn": ("hypercorn", "--bind=0.0.0.0:8000"),
        "daphne": ("daphne", "--bind=0.0.0.0"),
    },
}
# gunicorn's workers show that they live through a file; /dev/shm is writable in a container whose root is not. Said in
# the environment it holds for the command of a Procfile too, and an option there still has the last word. Gradio's
# server is started by the application itself.
_ENVIRONMENT = {
    "gunicorn": {"GUNICORN_CMD_ARGS": "--worker-tmp-dir=/dev/shm"},
    "gradio": {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "8000"},  # noqa: S104 a container's own address
}
_FACTORY_FLAGS = {"waitress": "--call", "uvicorn": "--factory"}

# What extras bring that decides how something starts; the lock says it of all packages, once there is one.
_BROUGHT = {
    "fastapi": dict.fromkeys(("all", "standard", "standard-no-fastapi-cloud-cli"), ("fastapi-cli", "uvicorn")),
}

_NAMES = "|".join(_INTERFACES)
_OBJECT = expression(rf"^(\w+)[ \t]*(?::[^=\n]+)?=[ \t]*(?:\w+\.)*({_NAMES})\(", re.MULTILINE)
_MADE = expression(rf"\b({_NAMES})\(")
_FACTORY = expression(r"^def (create_app|make_app)\(", re.MULTILINE)
_ASSIGNED = expression(r"^(app|application)[ \t]*(?::[^=\n]+)?=(?!=)", re.MULTILINE)
_IMPORTED = expression(r"^from[ \t]+\S+[ \t]+import[ \t](?:.*\b)?(app|application)[ \t]*(?:,|#|$)", re.MULTILINE)
_SETTINGS = expression(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
_STREAMLIT = expression(r"^(?:import|from)[ \t]+streamlit\b", re.MULTILINE)
_GRADIO = expression(r"^(?:import|from)[ \t]+gradio\b(?s:.*)\.launch\(", re.MULTILINE)

_MODULES = ("wsgi", "asgi", "app", "main", "application", "server", "api")
_SCRIPTS = ("main.py", "app.py", "__main__.py", "run.py", "server.py", "start.py", "bot.py")
_TOOLS = expression(r"(?:setup|conftest|noxfile|fabfile|tasks|test_.*|.*_test)\.py")
_NOT_PACKAGES = frozenset({"doc", "docs", "examples", "scripts", "test", "tests"})


@dataclass(frozen=True, slots=True)
class Start:
    """A command in exec form, and why it is this one."""

    words: tuple[str, ...]
    origin: str


def find(app: App, distributions: frozenset[str]) -> Start:
    """Return how to start an application: its own command, else a server for its framework, its script, `python`."""
    return (
        _command(app, distributions)
        or _django(app, distributions)
        or _streamlit(app, distributions)
        or _gradio(app, distributions)
        or _web_object(app, distributions)
        or _script(app)
        or Start(("python",), "nothing to start was found: name it with --entry or in a Procfile")
    )


def _command(app: App, distributions: frozenset[str]) -> Start | None:
    names = tuple(local.commands(app)) if local.is_among(app, distributions) else ()
    return Start(names, "the only command of the project in pyproject.toml") if len(names) == 1 else None


def named(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return the normalised names of what requirements (PEP 508) ask for, with what their extras are known to bring."""
    from packaging.requirements import Requirement  # only what is not pinned is parsed
    from packaging.utils import canonicalize_name

    found: dict[str, None] = {}
    for text in requirements:
        one = Requirement(text)
        name = canonicalize_name(one.name)
        brought = _BROUGHT.get(name, {})
        found |= dict.fromkeys((name, *(each for extra in sorted(one.extras) for each in brought.get(extra, ()))))
    return tuple(found)


def environment(distributions: frozenset[str]) -> Mapping[str, str]:
    """Return the variables by which servers are told what no command of ours tells them."""
    told = (variables for name, variables in _ENVIRONMENT.items() if name in distributions)
    return {name: value for variables in told for name, value in variables.items()}


def _django(app: App, distributions: frozenset[str]) -> Start | None:
    there = frozenset(app.files) if "django" in distributions else frozenset()
    if "manage.py" not in there:
        return None
    named = _SETTINGS.search(_text(app, "manage.py"))
    parts = named[1].split(".")[:-1] if named else []
    folders = ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
    folders += [path.removesuffix("/wsgi.py") for path in app.glob("*/wsgi.py")]
    for interface in ("wsgi", "asgi"):
        folder = next((folder for folder in folders if f"{folder}/{interface}.py" in there), None)
        if folder:
            target = f"{folder.replace('/', '.')}.{interface}:application"
            if start := _serve(target, interface, distributions, f"Django project with {folder}/{interface}.py"):
                return start
    words = ("python", "manage.py", "runserver", "--noreload", "0.0.0.0:8000")
    return Start(words, "Django's development server; add gunicorn to the requirements")


def _streamlit(app: App, distributions: frozenset[str]) -> Start | None:
    script = _script_with(app, _STREAMLIT) if "streamlit" in distributions else None
    if script is None:
        return None
    flags = ("--server.address=0.0.0.0", "--server.port=8000", "--server.headless=true")
    return Start(("streamlit", "run", script, *flags), f"{script} uses Streamlit")


def _gradio(app: App, distributions: frozenset[str]) -> Start | None:
    """Find the script that launches Gradio's own server; where it listens is said by `environment`."""
    script = _script_with(app, _GRADIO) if "gradio" in distributions else None
    return Start(("python", script), f"{script} launches Gradio") if script else None


def _script_with(app: App, pattern: re.Pattern[str]) -> str | None:
    usual = ("streamlit_app.py", "app.py", "main.py")
    scripts = sorted(app.glob("*.py"), key=lambda path: (path not in usual, path))
    return next((path for path in scripts if pattern.search(_text(app, path))), None)


@dataclass(frozen=True, slots=True)
class _WebObject:
    """Something a server can serve: a name in a module, or a function that makes it."""

    path: str
    name: str
    interface: str
    framework: str = ""
    factory: bool = False

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _web_object(app: App, distributions: frozenset[str]) -> Start | None:
    starts = (_start_object(found, distributions) for found in _web_objects(app))
    return next((start for start in starts if start), None)


def _start_object(found: _WebObject, distributions: frozenset[str]) -> Start | None:
    reason = f"{found.framework or found.interface.upper()} application in {found.path}"
    if found.framework == "FastAPI" and "fastapi-cli" in distributions and not found.factory:
        return Start(("fastapi", "run", found.path, f"--app={found.name}"), reason)
    target = f"{found.module}:{found.name}"
    if start := _serve(target, found.interface, distributions, reason, factory=found.factory):
        return start
    if found.framework == "Flask" and "flask" in distributions:
        words = ("flask", f"--app={target}", "run", "--host=0.0.0.0", "--port=8000")
        return Start(words, "Flask's development server; add gunicorn to the requirements")
    return None


def _web_objects(app: App) -> Iterator[_WebObject]:
    """Look into the modules whose names are customary, at the top and in packages, and yield what they hold."""
    for path in _modules(app):
        text = _text(app, path)
        stem = PurePosixPath(path).stem
        made = _MADE.search(text)
        framework = made[1] if made else ""
        interface = _INTERFACES.get(framework, stem if stem in _SERVERS else "")
        if instance := _OBJECT.search(text):
            yield _WebObject(path, instance[1], _INTERFACES[instance[2]], instance[2])
        elif interface and (bound := _ASSIGNED.search(text) or _IMPORTED.search(text)):
            yield _WebObject(path, bound[1], interface, framework)
        elif framework and (factory := _FACTORY.search(text)):
            yield _WebObject(path, factory[1], interface, framework, factory=True)


def _modules(app: App) -> Iterator[str]:
    folders = sorted({path.split("/")[0] for path in app.glob("*/*.py")} - _NOT_PACKAGES)
    packages = [folder for folder in folders if folder.isidentifier()]
    names = [f"{name}.py" for name in _MODULES]
    names += [f"{package}/{name}.py" for name in (*_MODULES, "__init__") for package in packages]
    there = frozenset(app.files)
    return (name for name in names if name in there)


def _serve(
    target: str, interface: str, distributions: frozenset[str], reason: str, *, factory: bool = False
) -> Start | None:
    server = next((server for server in _SERVERS[interface] if server in distributions), None)
    if server is None:
        return None
    words = _SERVERS[interface][server]
    if factory and server in _FACTORY_FLAGS:
        words += (_FACTORY_FLAGS[server],)
    elif factory:
        target += "()"
    return Start((*words, target), f"{reason}, served by {server}")


def _script(app: App) -> Start | None:
    scripts = [path for path in app.glob("*.py") if not _TOOLS.fullmatch(path)]
    named = next((path for path in _SCRIPTS if path in scripts), scripts[0] if len(scripts) == 1 else None)
    if named:
        return Start(("python", named), f"the script {named}")
    packages = app.glob("*/__main__.py")
    if len(packages) == 1:
        package = packages[0].removesuffix("/__main__.py")
        return Start(("python", "-m", package), f"the package {package} has a __main__.py")
    return None


def _text(app: App, path: str) -> str:
    """Return a source's text, or nothing if it has another encoding: a guess at it is no reason to stop."""
    try:
        return app.text(path)
    except UsageError:
        return ""
