"""The books that progress keeps."""

import threading

import pytest

from imagebuilder.progress import Progress, Step


class Recorder:
    """A display that remembers what it was told, and finds out if it is told two things at once."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._busy = threading.Lock()

    def _record(self, event: str) -> None:
        assert self._busy.acquire(blocking=False)
        self.events.append(event)
        self._busy.release()

    def started(self, step: Step) -> None:
        self._record(f"started {step.name}")

    def ended(self, step: Step) -> None:
        self._record(f"{'failed' if step.failed else 'finished'} {step.name} {step.result}".strip())

    def warned(self, text: str) -> None:
        self._record(f"warned {text}")

    def noted(self, text: str) -> None:
        self._record(f"noted {text}")

    def close(self) -> None:
        self._record("closed")


def test_a_step_is_shown_when_it_starts_and_when_it_ends() -> None:
    display = Recorder()
    progress = Progress(display)
    with progress.step("fetch", total=10) as step:
        step.expect(5)
        step.advance(12)
        step.finish("3 files")
    assert (step.total, step.done, step.failed) == (15, 12, False)
    assert display.events == ["started fetch", "finished fetch 3 files"]
    assert progress.timings["fetch"] == step.seconds >= 0


def test_a_step_that_raises_has_failed_and_the_error_goes_on() -> None:
    display = Recorder()
    with pytest.raises(ValueError, match="no"), Progress(display).step("fetch"):
        raise ValueError("no")
    assert display.events == ["started fetch", "failed fetch"]


def test_the_watch_of_a_step_stops_when_it_ends() -> None:
    progress = Progress()
    with progress.step("a") as step:
        pass
    assert step.seconds == step.seconds


def test_steps_of_one_name_are_added_up() -> None:
    progress = Progress()
    with progress.step("layers") as first, progress.step("layers") as second:
        pass
    assert progress.timings == {"layers": pytest.approx(first.seconds + second.seconds)}


def test_a_warning_is_shown_once_and_kept() -> None:
    display = Recorder()
    progress = Progress(display)
    progress.warn("old")
    progress.warn("old")
    progress.note("detail")
    progress.close()
    assert display.events == ["warned old", "noted detail", "closed"]
    assert progress.warnings == ["old"]


def test_without_a_display_the_books_are_kept_all_the_same() -> None:
    progress = Progress()
    with progress.step("a"):
        progress.warn("w")
        progress.note("n")
    progress.close()
    assert (list(progress.timings), progress.warnings) == (["a"], ["w"])
    assert progress.seconds > 0


def test_threads_lose_no_byte_and_never_meet_in_the_display() -> None:
    progress = Progress(Recorder())

    def work() -> None:
        for _ in range(200):
            with progress.step("part"):
                total.advance(1)

    with progress.step("total") as total:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert total.done == 800
