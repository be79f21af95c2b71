"""What the command line means, and what is said of what it cannot mean."""

import re

import pytest

from imagebuilder import arguments
from imagebuilder.options import COMMANDS, OPTIONS, options_of
from layers.errors import UsageError


def parse(line: str) -> arguments.Arguments:
    return arguments.parse(line.split(), "1.2.3")


def refused(line: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse(line)
    assert (caught.value.code, caught.value.exit_code) == ("IB100", 2)
    return caught.value


def printed(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(line)
    assert not caught.value.code
    return capsys.readouterr().out


def test_flags_may_stand_before_and_after_the_command() -> None:
    assert parse("-q -C apps build shop --json").flags == {"quiet": (), "directory": ("apps",), "json": ()}
    assert parse("build shop -q --json -C apps") == parse("-q -C apps build shop --json")


def test_what_is_not_given_is_not_there() -> None:
    assert parse("build") == arguments.Arguments("build", "", {})


def test_a_repeated_flag_has_all_its_values_in_order() -> None:
    assert parse("build -t b -t a").flags == {"tag": ("b", "a")}


def test_upgrade_may_name_a_package_or_none() -> None:
    assert parse("lock . --upgrade").flags == {"upgrade": ("",)}
    assert parse("lock . --upgrade flask --upgrade jinja2").flags == {"upgrade": ("flask", "jinja2")}


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("biuld", "build"),
        ("build --pyton 3.13", "--python"),
        ("build --plaform=linux/arm64", "--platform"),
        ("plan --jsn", "--json"),
        ("--quite build", "--quiet"),
        ("--verison", "--version"),
    ],
)
def test_a_typing_error_is_answered_with_what_was_meant(line: str, meant: str) -> None:
    assert refused(line).hint == f"did you mean `{meant}`?"


def test_what_resembles_nothing_is_answered_with_where_to_look() -> None:
    error = refused("plan --xyzzyx")
    assert error.message == "unknown flag `--xyzzyx`"
    assert error.hint == "`imagebuilder plan --help` lists what there is"


def test_flags_are_not_abbreviated() -> None:
    assert refused("build --comp gzip").message == "unknown flag `--comp`"


def test_a_flag_of_another_command_is_refused() -> None:
    assert refused("plan --no-cache").message == "unknown flag `--no-cache`"


@pytest.mark.parametrize("line", ["build --tag", "inspect", "build one two", "build --locked=yes", "", "-q"])
def test_missing_and_surplus_words_are_refused(line: str) -> None:
    assert "--help" in refused(line).hint


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed("--version", capsys) == "imagebuilder 1.2.3\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits_80_columns_and_names_each_variable(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = printed(f"{command} --help", capsys)
    assert max(map(len, shown.splitlines())) <= 80
    flags = set(re.findall(r"--[a-z-]+", shown))
    for option in options_of(command):
        assert option.flag in flags
        assert f"[{option.variable}]" in shown


def test_help_fits_a_terminal_of_80_by_24(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("--help", capsys).splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    for command in COMMANDS:
        assert any(line.split()[:1] == [command] for line in lines)


def test_flags_and_variables_are_unique() -> None:
    for names in ([option.key for option in OPTIONS], [option.variable for option in OPTIONS if option.variable]):
        assert len(set(names)) == len(names)


def test_a_value_stands_behind_the_flag_in_any_of_the_usual_ways() -> None:
    for line in ("build -t a:1", "build -ta:1", "build -t=a:1", "build --tag a:1", "build --tag=a:1"):
        assert parse(line).flags == {"tag": ("a:1",)}
    assert parse("build --name=a=b").flags == {"name": ("a=b",)}
    assert parse("build --name=").flags == {"name": ("",)}
    assert arguments.parse(["build", "--entry", "-m shop"], "1").flags == {"entry": ("-m shop",)}
    assert arguments.parse(["build", "--entry=-m"], "1").flags == {"entry": ("-m",)}


def test_of_a_flag_that_has_one_value_the_last_counts() -> None:
    assert parse("build --name a --name b").flags == {"name": ("b",)}


def test_switches_may_be_written_together() -> None:
    assert parse("build -qv").flags == {"quiet": (), "verbose": ()}
    assert parse("-qC apps build").flags == {"quiet": (), "directory": ("apps",)}


def test_nothing_is_a_flag_after_two_hyphens() -> None:
    assert parse("inspect -- --tag") == arguments.Arguments("inspect", "--tag", {})
    assert parse("inspect -").argument == "-"


def test_a_command_has_as_many_arguments_as_it_takes() -> None:
    assert parse("diff a b").further == ("b",)
    assert parse("audit a").further == ()
    assert parse("push a b c").further == ("b", "c")
    assert refused("diff a").message == "B is missing"
    assert refused("push").message == "IMAGE is missing"
    assert refused("copy a b c").message == "unknown argument `c`"


def test_a_flag_without_its_value_is_refused() -> None:
    assert refused("build --tag --push").message == "--tag needs a value: REF"
    assert refused("build --push=no").message == "--push takes no value"
    assert refused("-X build").message == "unknown flag `-X`"
