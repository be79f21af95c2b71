"""What each buildpack is given wrongly: a clear error with its exit code, and the application stays as it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import world
from tests.test_bad_input import said
from tests.world import World

FLASK = {"requirements.txt": "flask\n", "main.py": "import flask\n"}
HALF = f"flask --hash=sha256:{world.SHELF[0].sha256}\n"
PROJECT = '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.11"\ndependencies = ["flask"]\n'
BACKEND = '[build-system]\nrequires = ["absent-backend"]\nbuild-backend = "absent"\n'
POETRY = '[tool.poetry.dependencies]\npython = "^3.11"\nflask = "*"\n'
UV_LOCK = """
version = {version}
requires-python = ">=3.11"
[[package]]
name = "shop"
version = "1.0"
source = {{ virtual = "." }}
[package.metadata]
requires-dist = [{requires}]
"""
POETRY_LOCK = '[metadata]\nlock-version = "{version}"\ncontent-hash = "of others"\n'
PDM_LOCK = '[metadata]\nlock_version = "{version}"\nstrategy = {strategy}\ncontent_hash = "sha256:of others"\n'
INHERITS = '["inherit_metadata"]'
PIPFILE = '[packages]\nflask = "*"\n'
PIPFILE_LOCK = '{"_meta": {"hash": {"sha256": "of others"}}, "default": {}, "develop": {}}'
PYLOCK = 'lock-version = "{version}"\ncreated-by = "a test"\nrequires-python = "{python}"\npackages = []\n'
PACK = """
from buildpacks.api import Buildpack, BuildPlan, Require
BUILDPACK = Buildpack("test/pack", lambda app: BuildPlan(({provides}), ({requires})), place="{place}")
"""


def own(provides: str, requires: str, place: str) -> dict[str, str]:
    """An application with a buildpack of its own."""
    pack = PACK.format(provides=provides, requires=f"Require({requires!r})," if requires else "", place=place)
    return {"pyproject.toml": '[tool.imagebuilder]\nbuildpack = {file = "pack.py"}\n', "pack.py": pack}


def named(manager: str) -> dict[str, str]:
    """An application that names its package manager and has nothing of it."""
    return {"pyproject.toml": f'[tool.imagebuilder]\nmanager = "{manager}"\n', "main.py": ""}


def project(lock: str, text: str, settings: str = "") -> dict[str, str]:
    """A project with the lock of a package manager."""
    return {"pyproject.toml": f"{PROJECT}[tool.imagebuilder]\n{settings}", lock: text}


@dataclass(frozen=True)
class Mistake:
    """Files of an application and how it is built; the exit code, the error code and words that must be told."""

    exit_code: int
    code: str
    tells: tuple[str, ...]
    files: Mapping[str, str]
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


TRUST = ("--trust-buildpack",)
MALFORMED = (2, "IB103")
TWO = (2, "IB310")
MISSING = (2, "IB311")
OTHER_FORMAT = (2, "IB312")
STALE = (4, "IB313")
UNKNOWN = (2, "IB314")
FORBIDDEN = (2, "IB317")
UNMET = (2, "IB940")
ADDITION = own("", "", "addition")
# The lock of the application is not its: versions have to be chosen.
MORE = {"requirements.txt": "flask\nclick\n"}
GROUP = 'groups = ["web"]\n'

MISTAKES = {
    "pip: not text": Mistake(*MALFORMED, ("requirements.txt", "UTF-8"), {"requirements.txt": "\udcff"}),
    "pip: an unknown option": Mistake(4, "IB402", ("requirements.txt:1", "--frob"), {"requirements.txt": "--frob x\n"}),
    "pip: outside the application": Mistake(4, "IB404", ("../x.txt",), {"requirements.txt": "-r ../x.txt\n"}),
    "pip: half of the hashes": Mistake(6, "IB412", ("click",), {"requirements.txt": HALF}),
    "pip: groups that it has not": Mistake(*UNKNOWN, ("web",), {**FLASK, "imagebuilder.toml": GROUP}),
    "pip: versions by a variable": Mistake(*FORBIDDEN, ("-c FILE",), MORE, environment={"PIP_CONSTRAINT": "/x"}),
    "pip: versions by a variable of uv": Mistake(
        *FORBIDDEN, ("UV_EXCLUDE_NEWER",), MORE, environment={"UV_EXCLUDE_NEWER": "2020-01-01"}
    ),
    "pip: named and not there": Mistake(*MISSING, ("requirements.txt",), named("pip")),
    "uv: no lock": Mistake(*MISSING, ("uv.lock", "`uv lock`"), named("uv")),
    "uv: sources without a lock": Mistake(
        *MISSING, ("uv.lock",), {"pyproject.toml": PROJECT + "[tool.uv.sources]\nflask = {workspace = true}\n"}
    ),
    "uv: no project": Mistake(
        *MISSING, ("pyproject.toml", "pylock.toml"), {"uv.lock": UV_LOCK.format(version=1, requires="")}
    ),
    "uv: malformed": Mistake(*MALFORMED, ("uv.lock", "TOML"), project("uv.lock", "version = \n")),
    "uv: another format": Mistake(
        *OTHER_FORMAT, ("uv.lock", "9"), project("uv.lock", UV_LOCK.format(version=9, requires=""))
    ),
    "uv: stale": Mistake(*STALE, ("`uv lock`",), project("uv.lock", UV_LOCK.format(version=1, requires=""))),
    "uv: an unknown group": Mistake(
        *UNKNOWN, ("web",), project("uv.lock", UV_LOCK.format(version=1, requires='{name = "flask"}'), GROUP)
    ),
    "poetry: no lock": Mistake(*MISSING, ("poetry.lock", "`poetry lock`"), {"pyproject.toml": POETRY}),
    "poetry: malformed": Mistake(*MALFORMED, ("poetry.lock", "TOML"), project("poetry.lock", "[[")),
    "poetry: another format": Mistake(
        *OTHER_FORMAT, ("poetry.lock", "3.0"), project("poetry.lock", POETRY_LOCK.format(version="3.0"))
    ),
    "poetry: stale": Mistake(*STALE, ("`poetry lock`",), project("poetry.lock", POETRY_LOCK.format(version="2.1"))),
    "pdm: no lock": Mistake(*MISSING, ("pdm.lock", "`pdm lock`"), named("pdm")),
    "pdm: malformed": Mistake(*MALFORMED, ("pdm.lock", "TOML"), project("pdm.lock", "= 1")),
    "pdm: another format": Mistake(
        *OTHER_FORMAT, ("pdm.lock", "5.0"), project("pdm.lock", PDM_LOCK.format(version="5.0", strategy=INHERITS))
    ),
    "pdm: another strategy": Mistake(
        *OTHER_FORMAT, ("inherit_metadata",), project("pdm.lock", PDM_LOCK.format(version="4.5.0", strategy="[]"))
    ),
    "pdm: stale": Mistake(
        *STALE, ("`pdm lock`",), project("pdm.lock", PDM_LOCK.format(version="4.5.0", strategy=INHERITS))
    ),
    "pipenv: a malformed Pipfile": Mistake(*MALFORMED, ("Pipfile", "TOML"), {"Pipfile": "[packages\n"}),
    "pipenv: malformed": Mistake(*MALFORMED, ("Pipfile.lock", "JSON"), {"Pipfile": PIPFILE, "Pipfile.lock": "{"}),
    "pipenv: stale": Mistake(*STALE, ("`pipenv lock`",), {"Pipfile": PIPFILE, "Pipfile.lock": PIPFILE_LOCK}),
    "pipenv: an unknown category": Mistake(*UNKNOWN, ("web",), {"Pipfile": PIPFILE, "imagebuilder.toml": GROUP}),
    "pylock: malformed": Mistake(*MALFORMED, ("pylock.toml", "TOML"), {"pylock.toml": "{}"}),
    "pylock: another format": Mistake(
        *OTHER_FORMAT, ("pylock.toml", "2.0"), {"pylock.toml": PYLOCK.format(version="2.0", python=">=3.11")}
    ),
    "pylock: for another Python": Mistake(
        4, "IB408", (">=3.14", "3.13"), {"pylock.toml": PYLOCK.format(version="1.0", python=">=3.14")}
    ),
    "pylock: a package without files": Mistake(
        *OTHER_FORMAT,
        ("pylock.toml",),
        {
            "pylock.toml": PYLOCK.format(version="1.0", python=">=3.11").replace(
                "packages = []", '[[packages]]\nname = "a"'
            )
        },
    ),
    "pyproject: malformed": Mistake(2, "IB105", ("pyproject.toml", "line 1"), {"pyproject.toml": "[project\n"}),
    "pyproject: no requirement": Mistake(
        2, "IB318", ("flask==",), {"pyproject.toml": PROJECT.replace('"flask"', '"flask=="')}
    ),
    "pyproject: dependencies of its backend": Mistake(
        2, "IB316", ("dynamic",), {"pyproject.toml": PROJECT.replace("dependencies = ", 'dynamic = ["dependencies"] #')}
    ),
    "pyproject: an unknown backend": Mistake(
        4, "IB405", ("absent-backend", "built with"), {"pyproject.toml": PROJECT + BACKEND, "shop.py": ""}
    ),
    "two managers at once": Mistake(
        *TWO, ("uv.lock", "poetry.lock", "manager ="), {**project("uv.lock", ""), "poetry.lock": ""}
    ),
    "packages where nothing looks": Mistake(3, "IB305", ("requirements =",), {"prod-requirements.txt": "flask\n"}),
    "two Pythons": Mistake(2, "IB302", ("3.10", ">=3.11"), {"pyproject.toml": PROJECT, ".python-version": "3.10\n"}),
    "a Procfile without a type": Mistake(2, "IB304", ("line 2",), {"main.py": "", "Procfile": "web: x\ngunicorn\n"}),
    "a Procfile with an open quote": Mistake(2, "IB307", ("quote",), {"main.py": "", "Procfile": "web: python 'x\n"}),
    "an ignore pattern": Mistake(2, "IB306", ("[z-a",), {"main.py": "", ".imagebuilderignore": "[z-a]\n"}),
    "a buildpack that is not installed": Mistake(
        2, "IB330", ("acme",), {"main.py": "", "imagebuilder.toml": 'buildpacks = ["acme"]\n'}
    ),
    "a buildpack that nobody trusts": Mistake(2, "IB331", ("pack.py", "--trust-buildpack"), ADDITION),
    "a buildpack that cannot be imported": Mistake(
        4, "IB332", ("pack.py", "NameError"), {**ADDITION, "pack.py": "BUILDPACK = Bildpack()\n"}, TRUST
    ),
    "a buildpack that is none": Mistake(2, "IB333", ("pack.py",), {**ADDITION, "pack.py": "BUILDPACK = 1\n"}, TRUST),
    "a buildpack that fails": Mistake(4, "IB334", ("detect", "ZeroDivisionError"), own("1 / 0", "", "addition"), TRUST),
    "a buildpack that needs what nobody has": Mistake(*UNMET, ("oil",), own("", "oil", "addition"), TRUST),
    "a buildpack that nobody needs": Mistake(*UNMET, ("wood",), own("'wood',", "", "addition"), TRUST),
    "an installer that needs what nobody has": Mistake(
        *UNMET, ("oil",), own("'site-packages',", "oil", "installer"), TRUST
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world.running(tmp_path_factory.mktemp("world")) as found:
        yield found


@pytest.fixture(scope="module")
def lock(place: World) -> bytes:
    """The lock of an application that was in order."""
    app = place.app(FLASK, "in-order")
    ran = place.run("lock", str(app))
    assert ran.returncode == 0, ran.stderr
    return (app / "imagebuilder.lock").read_bytes()


def content(app: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(app.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_and_the_application_stays_as_it_is(
    place: World, lock: bytes, tmp_path: Path, name: str
) -> None:
    mistake = MISTAKES[name]
    app = place.app({}, tmp_path.name)
    for path, text in mistake.files.items():
        (app / path).parent.mkdir(parents=True, exist_ok=True)
        (app / path).write_bytes(text.encode(errors="surrogateescape"))
    (app / "imagebuilder.lock").write_bytes(lock)
    before = content(app)
    ran = place.run("build", str(app), *mistake.flags, **mistake.environment)
    said(ran, mistake.exit_code, mistake.code, *mistake.tells)
    assert content(app) == before
    assert not (place.folder / "dist").exists()
