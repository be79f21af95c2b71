"""poetry_graph: what the groups of an older poetry.lock want. Locks and hashes are those of Poetry 1.8 and 1.1."""

from dataclasses import replace
from pathlib import Path

import pytest
import tomli

from buildpacks import poetry_graph, poetry_install
from buildpacks.api import App, Setting
from layers.errors import BuildError
from tests import apps, locking

HASH = "0" * 64
PROJECT = """
[tool.poetry]
name = "shop"
version = "1.0"
[tool.poetry.dependencies]
python = "^3.9"
flask = {version = "^3.0", extras = ["Async"]}
humanize = [{version = "4.9.0", python = "<3.10"}, {version = "^4.10", python = ">=3.10"}]
colorama = {version = "*", platform = "win32"}
unixy = {version = "*", platform = "linux || darwin"}
tabulate = {version = "*", optional = true}
rich = {version = ">=13", markers = "extra == 'nice' or python_version < '3.10'", optional = true}
[tool.poetry.extras]
table = ["tabulate"]
nice = ["rich"]
[tool.poetry.group.Web.dependencies]
uvicorn = {version = "*", extras = ["all"]}
[tool.poetry.dev-dependencies]
pytest = "^8"
"""
PACKAGES = {
    "flask 3.1.0": """
[package.dependencies]
asgiref = {version = ">=3.2", optional = true, markers = "extra == \\"async\\""}
click = ">=8"
importlib-metadata = {version = ">=3.6", markers = "python_version < \\"3.10\\""}
[package.extras]
async = ["asgiref (>=3.2)"]
""",
    "humanize 4.9.0": "",
    "humanize 4.16.0": 'python-versions = ">=3.10"',
    "click 8.1": '[package.dependencies]\ncolorama = {version = "*", markers = "platform_system == \\"Windows\\""}',
    "uvicorn 1.0": """
[package.dependencies]
uvicorn = {version = "*", extras = ["fast"], optional = true, markers = "extra == \\"all\\""}
uvloop = {version = ">=1", optional = true, markers = "extra == \\"fast\\" and sys_platform != \\"win32\\""}
click = ">=7,<9 || >9"
[package.extras]
all = ["uvicorn[fast]"]
fast = ["uvloop (>=1)"]
""",
    **{f"{name} 8.0": "" for name in ("asgiref", "colorama", "importlib-metadata", "tabulate", "uvloop", "unixy")},
    **{f"{name} 13.0": "" for name in ("rich", "pytest")},
}


def lock(version: str, packages: dict[str, str] = PACKAGES) -> str:
    """Write a lock: since version 2 each package has its files, before all were in one table."""
    content = poetry_install._content_hashes(tomli.loads(PROJECT), "")[0]
    text, files = "", {}
    for key, more in packages.items():
        name, number = key.split()
        listed = f'{{file = "{name.replace("-", "_")}-{number}-py3-none-any.whl", hash = "sha256:{HASH}"}}'
        files.setdefault(name, []).append(listed)
        own = f"files = [{listed}]\n" if version == "2.0" else ""
        text += f'[[package]]\nname = "{name}"\nversion = "{number}"\noptional = false\n{own}{more}\n'
    text += '[extras]\ntable = ["tabulate"]\nnice = ["rich"]\n'
    text += f'[metadata]\nlock-version = "{version}"\ncontent-hash = "{content}"\n'
    if version != "2.0":
        text += "[metadata.files]\n" + "".join(f"{name} = [{', '.join(each)}]\n" for name, each in files.items())
    return text


def pinned(folder: Path, text: str, *, python: str = "3.13.5", **settings: str) -> str:
    apps.make(folder, {"pyproject.toml": PROJECT, "poetry.lock": text})
    app = App(folder, {name: Setting(value, f"--{name}") for name, value in settings.items()})
    context = replace(locking.context(app, locking.resolver(folder)), interpreter=apps.interpreter(python))
    return " ".join(wheel.source.name.rpartition("-py3")[0] for wheel in poetry_install.pin(context).wheels)


MAIN = "asgiref-8.0 click-8.1 flask-3.1.0 humanize-4.16.0"


@pytest.mark.parametrize("version", poetry_graph.VERSIONS)
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, f"{MAIN} unixy-8.0"),
        ({"python": "3.9.1"}, "asgiref-8.0 click-8.1 flask-3.1.0 humanize-4.9.0 importlib_metadata-8.0 unixy-8.0"),
        ({"groups": "web"}, f"{MAIN} unixy-8.0 uvicorn-1.0 uvloop-8.0"),
        ({"groups": "dev"}, f"{MAIN} pytest-13.0 unixy-8.0"),
        ({"extras": "table"}, f"{MAIN} tabulate-8.0 unixy-8.0"),
        ({"extras": "nice table"}, f"{MAIN} rich-13.0 tabulate-8.0 unixy-8.0"),
    ],
)
def test_what_groups_and_extras_lead_to_is_pinned(
    tmp_path: Path, version: str, settings: dict[str, str], expected: str
) -> None:
    assert pinned(tmp_path, lock(version), **settings) == expected


def test_of_several_versions_the_one_that_all_accept_is_taken_whoever_asks_first(tmp_path: Path) -> None:
    wants = "[package.dependencies]\nhumanize = "
    for order in (("click 8.1", "flask 3.1.0"), ("flask 3.1.0", "click 8.1")):
        packages = {**PACKAGES, "humanize 4.20.0": "", order[0]: f'{wants}"*"', order[1]: f'{wants}"<4.20"'}
        packages["flask 3.1.0"] += '\nclick = "*"'
        assert "humanize-4.16.0" in pinned(tmp_path, lock("2.0", packages))


@pytest.mark.parametrize(
    ("condition", "inside", "outside"),
    [
        ("*", "0.1 99", ""),
        ("^1.2.3", "1.2.3 1.9", "1.2.2 2.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0.0", "0.0.5", "0.1"),
        ("^0", "0.9", "1.0"),
        ("~1.2.3", "1.2.9", "1.3"),
        ("~1.2", "1.2.9", "1.3"),
        ("~1", "1.9", "2.0"),
        ("~=1.2", "1.9", "2.0"),
        ("1.2.*", "1.2.7", "1.3"),
        ("==1.*", "1.7", "2.0"),
        ("1.2", "1.2 1.2.0", "1.2.1"),
        (">= 1.2, < 2", "1.2 1.5", "2.0 1.1"),
        (">=1,<1.5 || >=2 !=2.1", "1.4 2.2", "1.5 2.1"),
    ],
)
def test_conditions_are_read_as_poetry_reads_them(condition: str, inside: str, outside: str) -> None:
    assert [version for version in inside.split() if not poetry_graph._accepts(condition, version)] == []
    assert [version for version in outside.split() if poetry_graph._accepts(condition, version)] == []


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        ({key: more for key, more in PACKAGES.items() if "click" not in key}, "no click that all accept"),
        ({**PACKAGES, "click 8.1": '[package.dependencies]\nhumanize = "<4"'}, "no humanize that all accept"),
        ({**PACKAGES, "click 8.1": '[package.dependencies]\nhumanize = "^next"'}, "'^next' is no condition"),
    ],
)
def test_a_lock_that_lacks_what_it_names_is_ib312(tmp_path: Path, packages: dict[str, str], words: str) -> None:
    with pytest.raises(BuildError) as caught:
        pinned(tmp_path, lock("2.0", packages))
    assert caught.value.code == "IB312"
    assert words in caught.value.message


def test_the_names_of_the_main_group_are_known_before(tmp_path: Path) -> None:
    apps.make(tmp_path, {"pyproject.toml": PROJECT, "poetry.lock": lock("1.1")})
    names = ("asgiref", "click", "colorama", "flask", "humanize", "importlib-metadata", "unixy")
    assert poetry_install.names(App(tmp_path)) == names
