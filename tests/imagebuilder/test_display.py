"""What progress looks like: on a terminal, in a log, to a program."""

import fcntl
import io
import json
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from imagebuilder.display import JsonLinesDisplay, PlainDisplay, TerminalDisplay, json_line
from imagebuilder.progress import Progress


def run(progress: Progress) -> None:
    with progress.step("detect") as step:
        step.finish("python, pip")
    progress.warn("file\x1b[2J is large")
    progress.note("tried twice")
    with pytest.raises(ValueError, match="no"), progress.step("fetch", total=100) as step:
        step.advance(50)
        raise ValueError("no")
    progress.close()


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d s", "T s", text)


def test_a_log_has_a_line_for_each_finished_step_and_no_escapes() -> None:
    stream = io.StringIO()
    run(Progress(PlainDisplay(stream)))
    assert without_times(stream.getvalue()) == ("  detect      python, pip  T s\nwarning: file\\x1b[2J is large\n")


def test_details_are_shown_when_asked_for() -> None:
    stream = io.StringIO()
    run(Progress(PlainDisplay(stream, verbose=True)))
    assert "  tried twice\n" in stream.getvalue()


def test_a_log_in_colour_says_the_same() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    run(Progress(PlainDisplay(plain)))
    run(Progress(PlainDisplay(coloured, colour=True)))
    assert "\x1b[33mwarning:\x1b[0m" in coloured.getvalue()
    assert without_times(re.sub(r"\x1b\[\d+m", "", coloured.getvalue())) == without_times(plain.getvalue())


def test_github_actions_gets_a_group_and_annotations() -> None:
    stream = io.StringIO()
    run(Progress(PlainDisplay(stream, commands=True)))
    assert without_times(stream.getvalue()).splitlines() == [
        "::group::imagebuilder",
        "  detect      python, pip  T s",
        "::warning title=imagebuilder::file\\x1b[2J is large",
        "::endgroup::",
    ]


def test_json_lines_can_be_read_by_programs() -> None:
    stream = io.StringIO()
    run(Progress(JsonLinesDisplay(stream)))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["started", "finished", "warning", "note", "started", "failed"]
    assert events[1]["result"] == "python, pip"
    assert events[1]["seconds"] >= 0
    assert events[4] == {"event": "started", "step": "fetch", "total": 100}
    assert events[5]["bytes"] == 50


def test_a_line_of_json_is_printable_and_means_what_it_did() -> None:
    said = {"name": "bytes \udc80, half a pair \ud800, turned \u202e, smiling \U0001f600, \x1b[2J"}
    line = json_line(said)
    assert line.isprintable()
    assert json.loads(line) == said


class Terminal:
    """A pseudo-terminal: a stream to write to, and the screen that a terminal would show of it."""

    def __init__(self, columns: int, rows: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.raw = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._master, 65536):
                self.raw += chunk
        except OSError:  # the other end is closed
            pass

    def screen(self) -> list[str]:
        """Close the terminal and return its lines, after carrying out cursor movements and erasures."""
        self.stream.close()
        self._reader.join()
        os.close(self._master)
        lines, row = [""], 0
        for up, erase, colour, line in re.findall(r"\x1b\[(\d+)F|(\x1b\[J)|(\x1b\[\d+m)|([^\x1b]+)", self.raw.decode()):
            if up:
                row -= int(up)
                assert row >= 0, "the cursor leaves what we have drawn"
            elif erase:
                del lines[row + 1 :]
                lines[row] = ""
            elif not colour:
                first, *others = line.split("\r\n")
                lines[row] += first
                for other in others:
                    row += 1
                    lines[row:] = [other]
        return lines


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(60, 10)
    yield made
    if not made.stream.closed:
        made.screen()


def wait_for(terminal: Terminal, text: str) -> None:
    waited = threading.Event()
    for _ in range(100):
        if text.encode() in terminal.raw:
            return
        waited.wait(0.05)
    raise AssertionError(f"{text!r} was not shown in {terminal.raw!r}")


def test_a_terminal_shows_rows_that_give_way_to_lines(terminal: Terminal) -> None:
    progress = Progress(TerminalDisplay(terminal.stream))
    with progress.step("fetch", total=2_000_000) as fetch, progress.step("layers") as layers:
        fetch.advance(1_000_000)
        layers.advance(5000)
        wait_for(terminal, "██████████░░░░░░░░░░  1.0 MB of 2.0 MB")
        wait_for(terminal, "layers      5 kB")
        progress.warn("careful")
        layers.finish("one made")
        fetch.finish("3 files")
    progress.close()
    assert [without_times(line) for line in terminal.screen()] == [
        "warning: careful",
        "  layers      one made  T s",
        "  fetch       3 files  T s",
        "",
    ]


def test_a_row_is_never_wider_than_the_terminal_nor_the_rows_higher(terminal: Terminal) -> None:
    progress = Progress(TerminalDisplay(terminal.stream, colour=False))
    with ExitStack() as steps:
        for number in range(30):
            steps.enter_context(progress.step(f"日本{number}" * 20, total=10))
        wait_for(terminal, "…\r\n")
        progress.close()
    for frame in terminal.raw.decode().split("\x1b[J"):
        rows = frame.split("\r\n")
        assert len(rows) <= 10
    assert terminal.screen() == [""]


def test_a_step_that_fails_leaves_no_line_and_a_closed_display_draws_no_more(terminal: Terminal) -> None:
    run(Progress(TerminalDisplay(terminal.stream, colour=False, verbose=True)))
    lines = [without_times(line) for line in terminal.screen()]
    assert lines == ["  detect      python, pip  T s", "warning: file\\x1b[2J is large", "  tried twice", ""]


def test_a_terminal_that_goes_away_ends_the_redrawing_and_is_reported_once(terminal: Terminal) -> None:
    progress = Progress(TerminalDisplay(terminal.stream))
    with pytest.raises(ValueError, match="closed"), progress.step("fetch"):
        terminal.screen()
        threading.Event().wait(0.25)  # an exception in the thread would be a warning, and so an error


def test_a_thread_that_ends_after_the_run_was_given_up_draws_nothing(terminal: Terminal) -> None:
    progress = Progress(TerminalDisplay(terminal.stream))
    with progress.step("fetch"):
        progress.close()
    assert terminal.screen() == [""]
