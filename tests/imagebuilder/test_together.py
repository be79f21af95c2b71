"""Work done together: begun when all that it needs is there, ended by the first error of a stable order."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError

import pytest

from imagebuilder import together
from imagebuilder.together import GivenUp, Queue

PATIENCE_S = 10.0


def queue(work: Callable[[str, GivenUp], str], pieces: list[str], workers: int = 2) -> Queue[str, str, str]:
    """A queue of pieces that each need what their letters say."""
    return Queue(work, pieces, workers=workers, weight=len, needs=lambda piece: piece)


def wait_until(given_up: GivenUp) -> None:
    for _ in range(int(PATIENCE_S * 100)):
        if given_up():
            raise CancelledError
        threading.Event().wait(0.01)
    raise AssertionError("nobody gave it up")


def test_a_piece_begins_as_soon_as_all_is_there_that_it_needs() -> None:
    begun = {piece: threading.Event() for piece in ("ab", "b", "abc")}

    def work(piece: str, _given_up: GivenUp) -> str:
        begun[piece].set()
        return piece.upper()

    def supply(arrived: Callable[[Iterable[str]], None]) -> None:
        arrived("b")
        assert begun["b"].wait(PATIENCE_S)
        arrived(iter("a"))
        assert begun["ab"].wait(PATIENCE_S)
        assert not begun["abc"].is_set()
        arrived("c")

    assert queue(work, list(begun)).run(supply) == ["AB", "B", "ABC"]


def test_of_those_that_can_begin_the_heaviest_does() -> None:
    order: list[str] = []

    def work(piece: str, _given_up: GivenUp) -> str:
        order.append(piece)
        return piece

    queue(work, ["a", "abc", "ab"], workers=1).run(lambda arrived: arrived("abc"))
    assert order == ["abc", "ab", "a"]


def test_of_several_errors_that_of_the_first_piece_is_raised() -> None:
    later_failed = threading.Event()

    def work(piece: str, _given_up: GivenUp) -> str:
        if piece == "b":
            later_failed.set()
        else:
            assert later_failed.wait(PATIENCE_S)
        raise ValueError(piece)

    with pytest.raises(ValueError, match="a"):
        together.run(work, ["a", "b"], workers=2)


def test_an_error_of_the_supply_comes_first_and_ends_what_is_under_way() -> None:
    begun = threading.Event()
    ended: list[str] = []

    def work(piece: str, given_up: GivenUp) -> str:
        begun.set()
        try:
            wait_until(given_up)
        finally:
            ended.append(piece)
        return piece

    def supply(arrived: Callable[[Iterable[str]], None]) -> None:
        arrived("a")
        assert begun.wait(PATIENCE_S)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        queue(work, ["a", "b"]).run(supply)
    assert ended == ["a"]


def test_an_error_ends_pieces_before_it() -> None:
    def work(piece: str, given_up: GivenUp) -> None:
        if piece == "b":
            raise ValueError(piece)
        wait_until(given_up)

    with pytest.raises(ValueError, match="b"):
        together.run(work, ["a", "b"], workers=2)
