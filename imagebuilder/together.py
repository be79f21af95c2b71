"""Work done together: many pieces at a time, in threads, of which the first error ends all others."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")
GivenUp = Callable[[], bool]


def run(
    work: Callable[[_Piece, GivenUp], _Result],
    pieces: Sequence[_Piece],
    *,
    workers: int,
    weight: Callable[[_Piece], int] = lambda _piece: 0,
) -> list[_Result]:
    """Return what comes of each piece, in their order, whichever is done first; the heaviest are begun first.

    What is under way is told by its second argument when nobody waits for it any more: after an error or a signal.
    """
    given_up = threading.Event()
    heaviest_first = sorted(range(len(pieces)), key=lambda place: -weight(pieces[place]))
    with ThreadPoolExecutor(workers) as pool:
        try:
            running = {place: pool.submit(work, pieces[place], given_up.is_set) for place in heaviest_first}
            for one in as_completed(running.values()):
                one.result()
        except BaseException:
            given_up.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [running[place].result() for place in range(len(pieces))]
