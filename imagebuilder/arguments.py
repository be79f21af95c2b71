"""The command line as values: which command, on what, with which flags."""

import sys
from collections.abc import Iterable, Mapping, Sequence
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
_PERHAPS = "upgrade"  # the one flag whose value may be left out
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

    Flags may stand before and after the command, and not after `--`. Raises UsageError IB100 for what is not in the
    table of options, naming what was probably meant.
    """
    words, reader = list(arguments), _Reader()
    while words:
        word = words.pop(0)
        if word == "--":
            reader.take(words)
            break
        if not _is_flag(word):
            reader.take([word])
        elif word in ("-h", "--help"):
            _show(_help_of(reader.command) if reader.command else _help())
        elif word == "--version" and not reader.command:
            _show(f"imagebuilder {version}")
        else:
            reader.flag(word, words)
    return reader.arguments()


def unknown_word(kind: str, word: str, known: Sequence[str], command: str = "") -> UsageError:
    """Make the error for a word that is not known, with the one that was probably meant."""
    word = word.partition("=")[0]
    near = text.nearest(word, known)
    return UsageError(
        f"unknown {kind} `{word}`",
        hint=f"did you mean `{near}`?" if near else f"`imagebuilder{command} --help` lists what there is",
        code="IB100",
    )


class _Reader:
    """What was read of a command line. `command` is empty until it is named."""

    def __init__(self) -> None:
        self.command = ""
        self._words: list[str] = []
        self._flags: dict[str, tuple[str, ...]] = {}

    def take(self, words: Iterable[str]) -> None:
        """Take words that are no flags: the command, then its arguments."""
        for word in words:
            if self.command:
                self._words.append(word)
            elif word in COMMANDS:
                self.command = word
            else:
                raise unknown_word("command", word, tuple(COMMANDS))

    def flag(self, word: str, words: list[str]) -> None:
        """Take a flag; its value stands behind `=`, at once behind a short flag, or first in the words that follow."""
        name, equals, value = word.partition("=")
        if not name.startswith("--") and len(name) > 2:
            name, equals, value = word[:2], "", word[2:]
        option = self._option(name)
        if option.metavar:
            if not equals and not value:
                value = self._value(option, name, words)
            before = self._flags.get(option.key, ()) if option.many or option.key == _PERHAPS else ()
            self._flags[option.key] = (*before, value)
            return
        if equals:
            raise self._refused(f"{name} takes no value")
        self._flags[option.key] = ()
        if value:  # switches written together
            self.flag(f"-{value}", words)

    def arguments(self) -> Arguments:
        """Return what was given. Raises UsageError IB100 if it is too little, or too much."""
        if not self.command:
            raise UsageError("no command given", hint="`imagebuilder --help` lists the commands", code="IB100")
        metavar, count, _ = _POSITIONALS[self.command]
        after, more, _ = _FURTHER.get(self.command, ("", "?", ""))
        needed = [name for name, number in ((metavar, count), (after, more)) if number != "?"]
        if len(self._words) < len(needed):
            raise self._refused(f"{needed[len(self._words)]} is missing")
        most = 2 if after else 1
        if more != "+" and len(self._words) > most:
            raise unknown_word("argument", self._words[most], self._names(), f" {self.command}")
        flags = {option.key: self._flags[option.key] for option in OPTIONS if option.key in self._flags}
        return Arguments(self.command, "".join(self._words[:1]), flags, tuple(self._words[1:]))

    def _option(self, name: str) -> Option:
        for option in options_of(self.command or GLOBAL):
            if name in (option.flag, option.short):
                return option
        raise unknown_word("flag", name, self._names(), f" {self.command}" if self.command else "")

    def _value(self, option: Option, name: str, words: list[str]) -> str:
        if words and not _is_flag(words[0]):
            return words.pop(0)
        if option.key == _PERHAPS:
            return ""
        raise self._refused(f"{name} needs a value: {option.metavar}")

    def _names(self) -> list[str]:
        names = [name for option in options_of(self.command or GLOBAL) for name in (option.flag, option.short) if name]
        return names if self.command else ["--help", "--version", *names]

    def _refused(self, message: str) -> UsageError:
        command = f"{self.command} " if self.command else ""
        return UsageError(message, hint=f"`imagebuilder {command}--help` shows how it is used", code="IB100")


def _is_flag(word: str) -> bool:
    """Say whether a word is a flag: `-` is a name, and what has a space is a value (`--entry "-m shop"`)."""
    return word.startswith("-") and word != "-" and " " not in word.partition("=")[0]


def _show(shown: str) -> NoReturn:
    sys.stdout.write(f"{shown}\n")
    raise SystemExit(0)


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
    value = f"[{option.metavar}]" if option.key == _PERHAPS else option.metavar
    names = f"{option.short + ',' if option.short else '   '} {option.flag} {value}".rstrip()
    return [f"  {names:<24} {option.help}", f"{'':<27}[{option.variable}]"]
