"""Progress: what a build is doing, told as it happens.

`Progress` keeps the books: which steps run, how far they are, how long they took. A `Display` shows them (display.py:
live rows on a terminal, a line for each finished step elsewhere, JSON lines for programs). Safe to use from threads.
"""

import threading
import time  # noqa: TID251 elapsed time is shown to people and never reaches an image
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Step:
    """A piece of work: its name, how many bytes of how many are done (`total` 0: unknown), and what came of it.

    One that is `passing` is a part of another step, worth a row while it runs and no line when it has ended.
    """

    def __init__(self, name: str, total: int = 0, *, passing: bool = False) -> None:
        self.name = name
        self.total = total
        self.passing = passing
        self.done = 0
        self.result = ""
        self.failed = False
        self._started = time.monotonic()
        self._ended: float | None = None
        self._lock = threading.Lock()

    def expect(self, size: int) -> None:
        """Add `size` bytes to what there is to do."""
        with self._lock:
            self.total += size

    def advance(self, size: int) -> None:
        """Count `size` bytes as done."""
        with self._lock:
            self.done += size

    def finish(self, result: str) -> None:
        """Say what came of it, for the line that is shown when the step has ended."""
        self.result = result

    def end(self, *, failed: bool) -> None:
        """Stop the watch. Called by Progress."""
        self.failed = failed
        self._ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the step has run, or ran."""
        return (self._ended or time.monotonic()) - self._started


class Display(Protocol):
    """Where progress is shown. Calls come one at a time, from any thread."""

    def started(self, step: Step) -> None:
        """Show that a step has begun."""

    def ended(self, step: Step) -> None:
        """Show that a step is over: finished, or failed (the error itself is printed by cli.py)."""

    def warned(self, text: str) -> None:
        """Show a warning."""

    def noted(self, text: str) -> None:
        """Show a detail that only `--verbose` asks for."""

    def close(self) -> None:
        """Leave the terminal or the log as it was found."""


class Progress:
    """The steps of one run. Without a display it only keeps the books."""

    def __init__(self, display: Display | None = None) -> None:
        self._display = display
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self.timings: dict[str, float] = {}
        self.warnings: list[str] = []

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self._started

    @contextmanager
    def step(self, name: str, *, total: int = 0, passing: bool = False) -> Iterator[Step]:
        """Run a step. Steps may overlap; those of one name are added up in `timings`, which know no passing ones."""
        step = Step(name, total, passing=passing)
        if self._display:
            with self._lock:
                self._display.started(step)
        failed = True
        try:
            yield step
            failed = False
        finally:
            step.end(failed=failed)
            with self._lock:
                if not passing:
                    self.timings[name] = self.timings.get(name, 0.0) + step.seconds
                if self._display:
                    self._display.ended(step)

    def warn(self, text: str) -> None:
        """Tell the user of something that is not an error; each text once."""
        with self._lock:
            if text in self.warnings:
                return
            self.warnings.append(text)
            if self._display:
                self._display.warned(text)

    def note(self, text: str) -> None:
        """Tell a detail to those who asked for `--verbose`."""
        if self._display:
            with self._lock:
                self._display.noted(text)

    def close(self) -> None:
        """End the display."""
        if self._display:
            with self._lock:
                self._display.close()
