"""The console: the result goes to stdout, everything else to stderr, in the form that is wanted there."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from imagebuilder import text
from imagebuilder.display import JsonLinesDisplay, PlainDisplay, TerminalDisplay, escape_command, json_line
from imagebuilder.progress import Display, Progress
from imagebuilder.settings import Values
from layers.blobs import storage_error
from layers.canonical import Json
from layers.errors import BuildError


class Console:
    """The streams of this run and what may be written to them, decided once.

    Colour: `--color`, else NO_COLOR, else FORCE_COLOR, else whether stderr is a terminal. Progress: `--progress`, else
    live rows on a terminal outside CI, else lines. `--quiet` leaves the result and errors.
    """

    def __init__(self, values: Values, environment: Mapping[str, str]) -> None:
        terminal = sys.stderr.isatty() and environment.get("TERM") != "dumb"
        self.json = values.on("json")
        self.verbose = values.on("verbose")
        self.traceback = values.on("traceback")
        self.colour = _colour(values.text("color"), environment, terminal=terminal)
        on_terminal = sys.stdout.isatty() and environment.get("TERM") != "dumb"
        self.colour_result = _colour(values.text("color"), environment, terminal=on_terminal)
        self.github = environment.get("GITHUB_ACTIONS") == "true"
        mode = values.text("progress", "auto")
        if mode == "auto":
            mode = "tty" if terminal and not environment.get("CI") and not self.github else "plain"
        self.mode = "none" if values.on("quiet") and mode != "jsonl" else mode

    def progress(self) -> Progress:
        """Start showing progress."""
        return Progress(self._display())

    def result(self, line: str) -> None:
        """Write the result, and be sure that it is written; StorageError IB601 if it cannot be."""
        try:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        except BrokenPipeError:  # not an error of ours: who read it has gone
            raise
        except OSError as error:
            raise storage_error(error, Path("stdout")) from error

    def width(self, default: int) -> int:
        """Return how many columns stdout has; the default where it is no terminal."""
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or default
        except (OSError, ValueError):
            return default

    def result_json(self, document: Json) -> None:
        """Write the result as one document."""
        self.result(json_line(document))

    def say(self, lines: Iterable[str]) -> None:
        """Write lines for people, unless they are not wanted."""
        if self.mode in ("tty", "plain"):
            sys.stderr.writelines(f"{line}\n" for line in lines)
            sys.stderr.flush()

    def error(self, error: BuildError) -> None:
        """Write an error: what could not be done, details, what to do, and where more is said."""
        if self.mode == "jsonl":
            JsonLinesDisplay(sys.stderr).write(
                {
                    "event": "error",
                    "code": error.code,
                    "message": text.printable(error.message),
                    "details": [text.printable(line) for line in error.details],
                    "hint": text.printable(error.hint),
                }
            )
            return
        if self.github:
            message = escape_command(text.printable(error.message))
            sys.stderr.write(f"::error title=imagebuilder {error.code}::{message}\n")
        sys.stderr.write("".join(f"{line}\n" for line in error_lines(error, colour=self.colour)))
        sys.stderr.flush()

    def _display(self) -> Display | None:
        match self.mode:
            case "tty":
                return TerminalDisplay(sys.stderr, colour=self.colour, verbose=self.verbose)
            case "plain":
                return PlainDisplay(sys.stderr, colour=self.colour, verbose=self.verbose, commands=self.github)
            case "jsonl":
                return JsonLinesDisplay(sys.stderr)
            case _:
                return None


def error_lines(error: BuildError, *, colour: bool) -> list[str]:
    """Set an error as lines; what is in it from outside is escaped, secrets in URLs are redacted."""
    head = text.paint(f"error[{error.code}]:", "red", colour=colour)
    details = [line for detail in error.details for line in detail.splitlines()]
    return [
        f"{head} {text.printable(error.message)}",
        *(f"  {text.printable(line)}" for line in details),
        f"  {text.paint('hint:', 'cyan', colour=colour)}  {text.printable(error.hint)}",
        f"  more:  imagebuilder explain {error.code}",
    ]


def _colour(wanted: str, environment: Mapping[str, str], *, terminal: bool) -> bool:
    if wanted in ("always", "never"):
        return wanted == "always"
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or terminal
