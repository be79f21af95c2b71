from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from buildpacks import cpython
from buildpacks.api import Interpreter, Require, Source
from layers.digest import Digest
from layers.errors import BuildError, UsageError
from tests import apps

ALL = ("3.15.0rc1", "3.14.0", "3.13.5", "3.12.9", "3.11.2")


def asked(tmp_path: Path, files: Mapping[str, str], **settings: str) -> list[tuple[str, str]]:
    plan = cpython.detect(apps.make(tmp_path, files, settings=settings))
    assert plan.provides == ("cpython",)
    return [(require.version, require.version_source) for require in plan.requires]


def pinned(tmp_path: Path, *versions: str, offered: tuple[str, ...] = ALL) -> str:
    requires = tuple(Require("cpython", version=version, version_source=f"source {version}") for version in versions)
    context = apps.pin_context(apps.make(tmp_path, {}), requires=requires, interpreters=offered)
    interpreter = cpython.pin(context).interpreter
    assert interpreter
    return interpreter.version


FILES = {
    "Pipfile.lock": '{"_meta": {"requires": {"python_version": "3.11"}}}',
    "Pipfile": '[requires]\npython_version = "3.11"\npython_full_version = "3.11.2"',
    ".python-version": "3.11\n",
    "pyproject.toml": '[project]\nrequires-python = ">=3.11"\n[tool.poetry.dependencies]\npython = "^3.11"',
}


def test_every_file_is_asked_in_order_of_how_specific_it_is(tmp_path: Path) -> None:
    assert asked(tmp_path, FILES) == [
        ("3.11", "Pipfile.lock python_version"),
        ("3.11.2", "Pipfile python_full_version"),
        ("3.11", ".python-version"),
        (">=3.11", "pyproject.toml requires-python"),
        ("^3.11", "pyproject.toml python"),
    ]


def test_what_the_user_says_replaces_pins_but_not_what_the_project_requires(tmp_path: Path) -> None:
    expected = [("pyproject.toml requires-python", ">=3.11"), ("pyproject.toml python", "^3.11")]
    found = asked(tmp_path, FILES, python="3.13", BP_CPYTHON_VERSION="3.12")
    assert found == [("3.13", "--python"), *((version, source) for source, version in expected)]
    assert asked(tmp_path, FILES, BP_CPYTHON_VERSION="3.12.*")[0] == ("3.12.*", "--BP_CPYTHON_VERSION")


def test_nothing_said_asks_for_nothing_and_gives_the_first_that_is_no_pre_release(tmp_path: Path) -> None:
    assert asked(tmp_path, {"main.py": "", "pyproject.toml": "", "Pipfile": ""}) == []
    assert pinned(tmp_path) == "3.14.0"


def test_poetry_may_put_the_version_into_a_table(tmp_path: Path) -> None:
    text = '[tool.poetry.dependencies]\npython = { version = "~3.12", optional = true }'
    assert asked(tmp_path, {"pyproject.toml": text}) == [("~3.12", "pyproject.toml python")]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.13\n", "3.13"),
        ("# ours\n\n  3.12.9  # pinned\n3.11\n", "3.12.9"),
        ("pypy3.10-7.3.17\n3.12\n", "3.12"),
        ("cpython-3.13\n", "3.13"),
        ("python@3.13.5", "3.13.5"),
        (">=3.12,<3.14", ">=3.12,<3.14"),
    ],
)
def test_the_first_cpython_of_a_python_version_file_counts(tmp_path: Path, text: str, version: str) -> None:
    assert asked(tmp_path, {".python-version": text}) == [(version, ".python-version")]


def test_an_empty_python_version_file_says_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, {".python-version": "# later\n\n"}) == []


@pytest.mark.parametrize(
    ("wish", "version"),
    [
        ("3.13", "3.13.5"), ("3.13.5", "3.13.5"), ("3.13.*", "3.13.5"), ("3.11.x", "3.11.2"), ("v3.12", "3.12.9"),
        ("3", "3.14.0"), ("=3.12", "3.12.9"), ("*", "3.14.0"), ("3.*", "3.14.0"),
        (">=3.11,<3.14", "3.13.5"), (">= 3.11, < 3.13", "3.12.9"), (">=3.11 <3.13", "3.12.9"), ("==3.12.*", "3.12.9"),
        ("!=3.14.*", "3.13.5"), ("~=3.12", "3.14.0"), ("~=3.12.1", "3.12.9"), ("<3.12", "3.11.2"),
        ("^3.11", "3.14.0"), ("~3.11", "3.11.2"), ("~3.12.1", "3.12.9"), ("~3", "3.14.0"),
        ("3.15rc1", "3.15.0rc1"), ("3.11 || 3.12", "3.12.9"), ("^3.11,!=3.14.0", "3.13.5"), ("3.15.0rc1", "3.15.0rc1"),
    ],
)  # fmt: skip
def test_the_first_version_that_a_wish_allows_is_chosen(tmp_path: Path, wish: str, version: str) -> None:
    assert pinned(tmp_path, wish) == version


def test_all_wishes_hold_together(tmp_path: Path) -> None:
    assert pinned(tmp_path, "", ">=3.11", "<3.14", "3.12") == "3.12.9"


@pytest.mark.parametrize(
    "text",
    ["latest", "3.13t", "three", "3.13-dev", ">=", "3..1", "~=3", ">=3.11.*", "3.13;", "../x", "3.12 || nonsense"],
)
def test_a_version_that_cannot_be_understood_is_an_error_that_names_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(tmp_path, {".python-version": text})
    assert (caught.value.code, caught.value.exit_code) == ("IB303", 2)
    assert "(.python-version)" in caught.value.message
    assert text in caught.value.message


def test_a_number_where_a_text_belongs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a Python version: '3.11' \(pyproject.toml requires-python\)"):
        asked(tmp_path, {"pyproject.toml": "[project]\nrequires-python = 3.11"})


def test_a_malformed_file_is_an_error_and_not_a_missing_wish(tmp_path: Path) -> None:
    for path in ("Pipfile", "Pipfile.lock", "pyproject.toml"):
        with pytest.raises(UsageError, match=f"cannot read {path}"):
            asked(tmp_path, {path: "= ["})
        (tmp_path / path).unlink()


def test_wishes_that_nothing_can_fulfil_together_are_named_with_their_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        pinned(tmp_path, ">=3.10", "3.12", ">=3.13")
    assert (caught.value.code, caught.value.exit_code) == ("IB302", 2)
    assert caught.value.message == "no Python is both 3.12 (source 3.12) and >=3.13 (source >=3.13)"


def test_a_version_the_base_does_not_have_is_an_error_that_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        pinned(tmp_path, "3.14", offered=("3.13.5",))
    assert (caught.value.code, caught.value.exit_code) == ("IB301", 4)
    assert caught.value.message == "the base has no Python 3.14 (source 3.14)"
    assert caught.value.details == (
        "there is: 3.13.5 (debian:trixie)",
        "Debian has: 3.11 in bookworm, 3.13 in trixie, 3.14 in forky",
    )
    assert caught.value.hint == 'set base = "debian:forky"'
    with pytest.raises(BuildError, match=r"no Python 3\.99") as caught:
        pinned(tmp_path, "3.99", offered=("3.13.5",))
    assert caught.value.hint == "ask for one of these versions"
    with pytest.raises(BuildError, match=r"the base has no Python$"):
        pinned(tmp_path, offered=())


def test_the_interpreter_writes_at_once_and_no_bytecode(tmp_path: Path) -> None:
    result = cpython.build(apps.build_context(apps.make(tmp_path, {})))
    assert result.env == {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    assert (result.layers, result.processes) == ((), ())


wishes = st.from_regex(r"(~=|==|!=|<=|>=|<|>|=|\^|~|)v?[0-9]{1,2}(\.[0-9]{1,2}){0,3}(\.[*xX]|rc1|)", fullmatch=True)


@given(st.lists(wishes, min_size=1, max_size=3).map(",".join))
def test_whatever_is_accepted_is_pep_440(text: str) -> None:
    try:
        wish = cpython._Wish.of(Require("cpython", version=text))
    except UsageError:
        return
    for condition in wish.conditions:
        SpecifierSet(condition)


def separate(version: str) -> Interpreter:
    """Return a standalone build."""
    archive = Source("python", f"{version}.tar.gz", Digest.of(version.encode()), None, version)
    path = f"/layers/cpython/bin/python{version.rpartition('.')[0]}"
    return Interpreter(version, path, "python-build-standalone 1", archive=archive)


BUILDS = ("3.15.1", "3.14.4", "3.13.9", "3.13.5", "3.12.12", "3.12.11", "3.9.25")


def chosen(tmp_path: Path, *versions: str, build: str = "", offered: tuple[str, ...] = ("3.13.5", "3.14.0")) -> str:
    """Return the version and the kind of what is chosen where there are standalone builds too."""
    app = apps.make(tmp_path, {}, settings={"python-build": build} if build else {})
    plan = cpython.detect(app)
    wishes = (Require("cpython", version=version, version_source=version) for version in versions)
    context = apps.pin_context(app, requires=(*plan.requires, *wishes), interpreters=offered)
    both = (*context.interpreters(), *map(separate, BUILDS))
    found = cpython.pin(replace(context, interpreters=lambda: both)).interpreter
    assert found
    return found.version + (" standalone" if found.archive else "")


@pytest.mark.parametrize(
    ("build", "wishes", "expected"),
    [
        ("", (), "3.13.5"),
        ("", (">=3.9",), "3.13.5"),
        ("", ("3.14",), "3.14.0"),
        ("", ("3.12",), "3.12.12 standalone"),
        ("", ("3.13.9",), "3.13.9 standalone"),
        ("", ("<3.12",), "3.9.25 standalone"),
        ("", (">=3.14.1",), "3.15.1 standalone"),
        ("auto", (), "3.13.5"),
        ("base", ("3.14",), "3.14.0"),
        ("standalone", (), "3.13.9 standalone"),
        ("standalone", (">=3.14",), "3.15.1 standalone"),
        ("standalone", ("3.13.5",), "3.13.5 standalone"),
    ],
)
def test_the_base_comes_first_unless_a_standalone_build_is_asked_for(
    tmp_path: Path, build: str, wishes: tuple[str, ...], expected: str
) -> None:
    assert chosen(tmp_path, *wishes, build=build) == expected


def test_a_base_without_python_gets_the_newest_standalone_one(tmp_path: Path) -> None:
    assert chosen(tmp_path, offered=()) == "3.15.1 standalone"


@pytest.mark.parametrize(
    ("wish", "near"),
    [
        ("3.12.99", "3.12.12, 3.12.11, 3.13.9, 3.13.5"),
        ("3.8", "3.9.25, 3.12.12, 3.12.11, 3.13.9"),
        ("3.99", "3.15.1, 3.14.4"),
    ],
)
def test_a_version_that_is_nowhere_names_those_near_it(tmp_path: Path, wish: str, near: str) -> None:
    with pytest.raises(BuildError, match=rf"there is no Python {wish}") as caught:
        chosen(tmp_path, wish)
    assert caught.value.code == "IB301"
    own, others = caught.value.details
    assert own == "the base has: 3.13.5 (debian:trixie), 3.14.0 (debian:trixie)"
    assert others.startswith(f"standalone builds near it: {near}")


def test_only_the_base_is_asked_if_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"the base has no Python 3\.12"):
        chosen(tmp_path, "3.12", build="base")


def test_a_standalone_interpreter_is_put_on_the_path(tmp_path: Path) -> None:
    context = apps.build_context(apps.make(tmp_path, {}))
    result = cpython.build(replace(context, interpreter=separate("3.12.9")))
    assert result.env["PATH"] == "/layers/cpython/bin"
