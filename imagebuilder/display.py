"""Displays of progress: live rows on a terminal, a line for each finished step, JSON lines."""

import os
import threading
from contextlib import suppress
from typing import TextIO

from imagebuilder import text
from imagebuilder.progress import Step
from layers import canonical
from layers.canonical import Json
from layers.expression import expression

_NAME = 10  # columns of a step's name
_REFRESH_S = 0.1
# What JSON leaves as it is: DEL and C1 controls, bidirectional and zero-width characters, bytes that are no UTF-8.
_UNSEEN = expression(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


class PlainDisplay:
    """One line for each finished step. With `commands` also those of GitHub Actions: groups and annotations."""

    def __init__(self, stream: TextIO, *, colour: bool = False, verbose: bool = False, commands: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._verbose = verbose
        self._commands = commands
        self._open = False

    def started(self, step: Step) -> None:
        """Show nothing: without a terminal only what is finished is worth a line."""
        del step
        if self._commands and not self._open:
            self._open = True
            self._write("::group::imagebuilder")

    def ended(self, step: Step) -> None:
        """Write the line of a finished step."""
        if not (step.failed or step.passing):
            self._write(_finished(step, colour=self._colour))

    def warned(self, message: str) -> None:
        """Write a warning."""
        shown = text.printable(message)
        if self._commands:
            self._write(f"::warning title=imagebuilder::{escape_command(shown)}")
        else:
            self._write(f"{text.paint('warning:', 'yellow', colour=self._colour)} {shown}")

    def noted(self, message: str) -> None:
        """Write a detail, if details were asked for."""
        if self._verbose:
            self._write(text.paint(f"  {text.printable(message)}", "dim", colour=self._colour))

    def close(self) -> None:
        """Close the group."""
        if self._open:
            self._open = False
            self._write("::endgroup::")

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


class TerminalDisplay:
    """Rows of the steps that run, redrawn in place below the lines of those that have finished.

    A thread redraws them, so that a silent step is seen to run; it lives only while there is a step that runs.
    """

    def __init__(self, stream: TextIO, *, colour: bool = True, verbose: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._verbose = verbose
        self._running: list[Step] = []
        self._drawn = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def started(self, step: Step) -> None:
        """Begin a row."""
        with self._lock:
            self._running.append(step)
            if self._thread is None:
                self._thread = threading.Thread(target=self._refresh, name="progress", daemon=True)
                self._thread.start()

    def ended(self, step: Step) -> None:
        """Turn a row into a line that stays."""
        with self._lock:
            if self._closed:  # the run was given up, a thread of it was not done
                return
            self._running.remove(step)
            stays = not (step.failed or step.passing)
            self._draw([_finished(step, colour=self._colour, width=self._width())] if stays else [])

    def warned(self, message: str) -> None:
        """Write a warning above the rows."""
        with self._lock:
            self._draw([f"{text.paint('warning:', 'yellow', colour=self._colour)} {text.printable(message)}"])

    def noted(self, message: str) -> None:
        """Write a detail above the rows, if details were asked for."""
        if self._verbose:
            with self._lock:
                self._draw([text.paint(f"  {text.printable(message)}", "dim", colour=self._colour)])

    def close(self) -> None:
        """Take the rows away and stop redrawing."""
        with self._lock:
            self._closed = True
            self._running.clear()
            self._draw([])
        self._wake.set()

    def _refresh(self) -> None:
        with suppress(OSError, ValueError):  # the terminal has gone; whoever writes next is told
            while not self._wake.wait(_REFRESH_S):
                with self._lock:
                    if self._running:
                        self._draw([])

    def _draw(self, lines: list[str]) -> None:
        """Replace the rows by `lines` and the rows of now, in one write so that nothing flickers."""
        width = self._width()
        rows = [_row(step, width) for step in self._running[: self._height()]]
        erase = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        if erase or lines or rows:
            self._stream.write(erase + "".join(f"{line}\n" for line in [*lines, *rows]))
            self._stream.flush()
        self._drawn = len(rows)

    def _width(self) -> int:
        return max(40, _terminal(self._stream)[0])

    def _height(self) -> int:
        return max(1, _terminal(self._stream)[1] - 2)


class JsonLinesDisplay:
    """One JSON document a line: `started`, `finished`, `failed`, `warning` and `note` events."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def started(self, step: Step) -> None:
        """Write that a step has begun."""
        self.write({"event": "started", "step": step.name, "total": step.total})

    def ended(self, step: Step) -> None:
        """Write that a step is over."""
        self.write(
            {
                "event": "failed" if step.failed else "finished",
                "step": step.name,
                "result": step.result,
                "bytes": step.done,
                "seconds": round(step.seconds, 3),
            }
        )

    def warned(self, message: str) -> None:
        """Write a warning."""
        self.write({"event": "warning", "message": text.printable(message)})

    def noted(self, message: str) -> None:
        """Write a detail."""
        self.write({"event": "note", "message": text.printable(message)})

    def close(self) -> None:
        """Leave nothing to do: each line was complete."""

    def write(self, event: dict[str, Json]) -> None:
        """Write one event."""
        self._stream.write(json_line(event) + "\n")
        self._stream.flush()


def json_line(document: Json) -> str:
    """Write a document for programs, in one line.

    Surrogates (bytes of a path that are no UTF-8, or what a hostile document holds), and whatever a terminal would
    obey or not show, become `\\u` escapes.
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", canonical.text(document))


def escape_command(message: str) -> str:
    """Escape the message of a workflow command (GitHub Actions, workflow commands)."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _finished(step: Step, *, colour: bool, width: int = 0) -> str:
    name = text.printable(step.name).ljust(_NAME)
    result = text.printable(step.result)
    seconds = text.duration(step.seconds)
    if width:
        result = text.clip(result, width - len(name) - len(seconds) - 6)
    return f"  {text.paint(name, 'cyan', colour=colour)}  {result}  {text.paint(seconds, 'dim', colour=colour)}"


def _row(step: Step, width: int) -> str:
    """The row of a step that runs, without colour so that it can be cut anywhere."""
    facts = []
    if step.total > 0:
        share = min(1.0, step.done / step.total)
        facts.append("█" * round(share * 20) + "░" * (20 - round(share * 20)))
        facts.append(f"{text.size(step.done)} of {text.size(step.total)}")
    elif step.done:
        facts.append(text.size(step.done))
    if step.done and step.seconds > 1:
        facts.append(f"{text.size(round(step.done / step.seconds))}/s")
    facts.append(text.duration(step.seconds))
    return text.clip(f"  {text.printable(step.name).ljust(_NAME)}  {'  '.join(facts)}", width - 1)


def _terminal(stream: TextIO) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24
