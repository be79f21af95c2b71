"""Work done together: many pieces at a time, in threads; an error ends all others, and is the same one every time."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")
_Need = TypeVar("_Need")
GivenUp = Callable[[], bool]


def run(
    work: Callable[[_Piece, GivenUp], _Result],
    pieces: Sequence[_Piece],
    *,
    workers: int,
    weight: Callable[[_Piece], int] = lambda _piece: 0,
) -> list[_Result]:
    """Return what comes of each piece, in their order, whichever is done first; the heaviest are begun first.

    What is under way is told by its second argument when nobody waits for it any more: after an error or a signal. Of
    several errors the one of the first piece is raised.
    """
    return Queue(work, pieces, workers=workers, weight=weight).run(lambda _arrived: None)


class Queue(Generic[_Piece, _Result, _Need]):
    """Pieces of work that `run` does, each as soon as all has arrived that it `needs`."""

    def __init__(
        self,
        work: Callable[[_Piece, GivenUp], _Result],
        pieces: Sequence[_Piece],
        *,
        workers: int,
        weight: Callable[[_Piece], int],
        needs: Callable[[_Piece], Iterable[_Need]] = lambda _piece: (),
    ) -> None:
        self._work = work
        self._pieces = pieces
        self._pool = ThreadPoolExecutor(workers)
        heaviest_first = sorted(range(len(pieces)), key=lambda place: -weight(pieces[place]))
        self._missing = {place: set(needs(pieces[place])) for place in heaviest_first}
        self._running: dict[int, Future[_Result]] = {}
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def run(self, supply: Callable[[Callable[[Iterable[_Need]], None]], object]) -> list[_Result]:
        """Return what comes of each piece; `supply` brings what they need and tells, from any thread, what has come.

        Its error comes before those of the pieces, whose order is theirs.
        """
        with self._pool:
            try:
                self._arrived(())
                supply(self._arrived)
                wait(self._running.values(), return_when=FIRST_EXCEPTION)
            except BaseException:
                self._give_up()
                raise
            return self._results()

    def _results(self) -> list[_Result]:
        """Wait no longer if one has failed, but for the others to end: one before it may have failed as well."""
        running = [self._running[place] for place in range(len(self._pieces))]
        if any(one.done() and one.exception() for one in running):
            self._give_up()
            errors = [error for one in running if not one.cancelled() and (error := one.exception())]
            raise min(errors, key=lambda error: isinstance(error, CancelledError))
        return [one.result() for one in running]

    def _give_up(self) -> None:
        self._given_up.set()
        self._pool.shutdown(cancel_futures=True)

    def _arrived(self, needs: Iterable[_Need]) -> None:
        """Begin the pieces that need nothing else, the heaviest first."""
        came = frozenset(needs)
        with self._lock:
            for missing in self._missing.values():
                missing -= came
            for place in [place for place, missing in self._missing.items() if not missing]:
                del self._missing[place]
                self._running[place] = self._pool.submit(self._work, self._pieces[place], self._given_up.is_set)
