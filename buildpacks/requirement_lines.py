"""Lines of requirement files (pip's format): how they are joined and cut, and the errors that name them."""

import shlex
from collections.abc import Iterator, Mapping

from layers.errors import BuildError
from layers.expression import expression
from layers.values import dataclass

# Options of a whole file, and whether a value follows (pip: "Requirements File Format", Supported options).
OPTIONS = {
    "--index-url": True,
    "--extra-index-url": True,
    "--find-links": True,
    "--no-index": False,
    "--trusted-host": True,
    "--requirement": True,
    "--constraint": True,
    "--no-binary": True,
    "--only-binary": True,
    "--prefer-binary": False,
    "--require-hashes": False,
    "--pre": False,
    "--use-feature": True,
}
OF_ONE_REQUIREMENT = {"--hash": True, "--config-settings": True, "--global-option": True}
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-i": "--index-url", "-f": "--find-links"}
_COMMENT = expression(r"(^|\s)#.*$")
EDITABLE = expression(r"^(?:-e|--editable)[ =]?\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: continued lines joined, comments gone. `number` is where it starts."""

    path: str
    number: int
    text: str
    constraint: bool

    @property
    def place(self) -> str:
        """File and number, as messages have it."""
        return f"{self.path}:{self.number}"

    @property
    def is_option(self) -> bool:
        """Whether it holds options of the whole file."""
        return self.text.startswith("-") and not EDITABLE.match(self.text)


def logical(text: str) -> Iterator[tuple[int, str]]:
    """Join lines that end in a backslash, then drop comments and empty lines: pip's order (req_file.py)."""
    start, joined = 0, ""
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        comment = raw.lstrip().startswith("#")
        if raw.endswith("\\") and not comment:
            start, joined = (start or number), joined + raw[:-1]
            continue
        # A comment line ends a continued requirement.
        whole = joined + (" " if comment else "") + raw
        if stripped := _COMMENT.sub("", whole).strip():
            yield start or number, stripped
        start, joined = 0, ""


def split_options(line: Line, text: str, known: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    """Yield the options in a text, with their values; BuildError IB402 for one that is not known or lacks its value."""
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise malformed(line, str(error)) from error
    for word in words:
        if word[:2] in _SHORT:
            name, value = _SHORT[word[:2]], word[2:].lstrip("=")
        else:
            name, _, value = word.partition("=")
        if name not in known:
            raise malformed(line, f"unknown option {name}")
        if known[name] and not value:
            value = next(words, "")
            if not value:
                raise malformed(line, f"{name} needs a value")
        yield name, value


def malformed(line: Line, reason: str) -> BuildError:
    """Return the error for a line that cannot be understood."""
    return BuildError(
        f"cannot read {line.place}: {reason}",
        hint="write one requirement on each line, as in `flask>=3.1`",
        code="IB402",
    )


def unsupported(line: Line, what: str, hint: str) -> BuildError:
    """Return the error for a line that asks for what cannot be installed."""
    return BuildError(f"{line.place} asks for {what}, which is not supported yet", hint=hint, code="IB403")
