"""The command line as values: which command, on what, with which flags."""

import argparse
import re
from collections.abc import Mapping, Sequence, Set
from typing import Literal, NoReturn

from imagebuilder import text
from imagebuilder.options import COMMANDS, GLOBAL, OPTIONS, Option, options_of
from layers.errors import UsageError
from layers.values import dataclass

_FOLDER = ("DIR", "?", "folder of the application (default: the current one)")
_IMAGE = "REGISTRY/NAME[:TAG], oci:DIR[:NAME] or archive:FILE"
_ANY_IMAGE = "REGISTRY/NAME, oci:, archive:, docker: or podman:"
_POSITIONALS: Mapping[str, tuple[str, str | None, str]] = {
    "build": _FOLDER,
    "plan": _FOLDER,
    "lock": _FOLDER,
    "check": _FOLDER,
    "diff": ("A", None, _ANY_IMAGE),
    "audit": ("IMAGE", None, _ANY_IMAGE),
    "inspect": ("IMAGE", None, _IMAGE),
    "push": ("IMAGE", None, _IMAGE),
    "copy": ("IMAGE", None, _IMAGE),
    "cache": ("ACTION", "?", "info (the default), prune or verify"),
    "explain": ("CODE", "?", "code of an error; without it, all codes are listed"),
    "schema": ("NAME", "?", "configuration (the default), plan or report"),
    "completion": ("SHELL", None, "bash, zsh or fish"),
}
# What comes after the first argument: one, several, or perhaps one.
_FURTHER: Mapping[str, tuple[str, Literal["+", "?", 1], str]] = {
    "diff": ("B", 1, "the other one"),
    "audit": ("DIR", "?", _FOLDER[2]),
    "push": ("REF", "+", "REGISTRY/NAME[:TAG]; may be repeated"),
    "copy": ("DEST", 1, "REGISTRY/NAME[:TAG], or DEST as `build` takes it"),
}
_DESCRIPTION = "A Python app in, the same OCI image out: no daemon, no root, no Dockerfile."
_EPILOG = """\
`imagebuilder COMMAND --help` lists the flags of a command. Each flag is also an
environment variable (--cache-dir: IMAGEBUILDER_CACHE_DIR) and, if it is about
the image, a key of [tool.imagebuilder] in pyproject.toml.
"""


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command, its argument (empty: not given) and the values of the flags that were given; switches have none.

    `further` are arguments after the first one.
    """

    command: str
    argument: str
    flags: Mapping[str, tuple[str, ...]]
    further: tuple[str, ...] = ()


def parse(arguments: Sequence[str], version: str) -> Arguments:
    """Read the command line. Prints and raises SystemExit for `--help` and `--version`.

    Raises UsageError IB100 for what is not in the table of options, naming what was probably meant.
    """
    parser = _parser(version, {word for word in arguments if word in COMMANDS})
    namespace, unknown = parser.parse_known_args(list(arguments))
    given: dict[str, object] = vars(namespace)
    command = given.get("command")
    if not isinstance(command, str):
        if unknown:
            flags = ["--help", "--version", *(option.flag for option in options_of(GLOBAL))]
            raise unknown_word("flag", unknown[0], flags)
        raise UsageError("no command given", hint="`imagebuilder --help` lists the commands", code="IB100")
    if unknown:
        flags = [flag for option in options_of(command) for flag in (option.flag, option.short) if flag]
        raise unknown_word("flag" if unknown[0].startswith("-") else "argument", unknown[0], flags, f" {command}")
    flags_given = {option.key: _values(given[option.key]) for option in OPTIONS if option.key in given}
    return Arguments(command, str(given.get("argument") or ""), flags_given, _values(given.get("further") or []))


def unknown_word(kind: str, word: str, known: Sequence[str], command: str = "") -> UsageError:
    """Make the error for a word that is not known, with the one that was probably meant."""
    word = word.partition("=")[0]
    near = text.nearest(word, known)
    return UsageError(
        f"unknown {kind} `{word}`",
        hint=f"did you mean `{near}`?" if near else f"`imagebuilder{command} --help` lists what there is",
        code="IB100",
    )


class _Parser(argparse.ArgumentParser):
    """argparse with our help and our errors; `command` is empty for the program itself."""

    command = ""

    def format_help(self) -> str:
        """Return the help: 80 columns wide, every flag with its variable."""
        return _help_of(self.command) if self.command else _help()

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        if found := re.search(r"invalid choice: '([^']*)'", message):
            raise unknown_word("command", found[1], tuple(COMMANDS))
        raise UsageError(
            message.replace("argument ", "", 1),
            hint=f"`imagebuilder{self.command and ' '}{self.command} --help` shows how it is used",
            code="IB100",
        )


def _parser(version: str, named: Set[str]) -> argparse.ArgumentParser:
    """Make the parser; only the commands that are named get their flags: to add one takes a good while."""
    parser = _Parser(prog="imagebuilder", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"imagebuilder {version}")
    for option in options_of(GLOBAL):
        _add(parser, option)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser, prog=parser.prog)  # else usage is formatted
    for command in COMMANDS:
        sub = commands.add_parser(command, allow_abbrev=False)
        sub.command = command
        if command in _POSITIONALS:
            metavar, count, _ = _POSITIONALS[command]
            sub.add_argument("argument", metavar=metavar, nargs=count)
        if command in _FURTHER:
            metavar, more, _ = _FURTHER[command]
            sub.add_argument("further", metavar=metavar, nargs=more)
        for option in options_of(command) if command in named else ():
            _add(sub, option)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    """Add a flag. What is not given is not in the namespace, so flags may stand before and after the command."""
    names = [name for name in (option.short, option.flag) if name]
    if not option.metavar:
        parser.add_argument(*names, dest=option.key, action="store_true", default=argparse.SUPPRESS)
    elif option.key == "upgrade":  # the one flag whose value may be left out
        parser.add_argument(*names, dest=option.key, action="append", nargs="?", const="", default=argparse.SUPPRESS)
    else:
        action = "append" if option.many else "store"
        parser.add_argument(*names, dest=option.key, action=action, default=argparse.SUPPRESS)


def _values(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return () if value is True else (str(value),)


def _help() -> str:
    commands = [f"  {command:<11} {summary}" for command, summary in COMMANDS.items()]
    usage = "usage: imagebuilder COMMAND [ARGUMENT] [FLAGS]        imagebuilder --version"
    return "\n".join([usage, "", _DESCRIPTION, "", "commands", *commands, "", _EPILOG])


def _help_of(command: str) -> str:
    metavar, count, meaning = _POSITIONALS.get(command, ("", None, ""))
    shown = f" [{metavar}]" if count else f" {metavar}" if metavar else ""
    after, more, after_meaning = _FURTHER.get(command, ("", 1, ""))
    shown += {"+": f" {after}...", "?": f" [{after}]", 1: f" {after}" if after else ""}[more]
    summary = COMMANDS[command]
    lines = [f"usage: imagebuilder {command}{shown} [FLAGS]", "", f"{summary[0].upper()}{summary[1:]}.", ""]
    if metavar:
        lines += [f"  {metavar:<24} {meaning}", *([f"  {after:<24} {after_meaning}"] if after else []), ""]
    options = options_of(command)
    own = [option for option in options if GLOBAL not in option.commands]
    for title, group in (("flags", own), ("flags of every command", options[len(own) :])):
        if group:
            lines += [title, *(line for option in group for line in _lines(option)), ""]
    if command in ("build", "copy"):
        lines += ["DEST is oci:DIR[:NAME], archive:FILE, docker:NAME or podman:NAME.", ""]
    return "\n".join(lines)


def _lines(option: Option) -> list[str]:
    value = f"[{option.metavar}]" if option.key == "upgrade" else option.metavar
    names = f"{option.short + ',' if option.short else '   '} {option.flag} {value}".rstrip()
    return [f"  {names:<24} {option.help}", f"{'':<27}[{option.variable}]"]
