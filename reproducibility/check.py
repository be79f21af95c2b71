"""The check: one application built again and again under other conditions, and what is to blame where it differs."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from reproducibility.difference import Comparison, Known
from reproducibility.images import Subject


@dataclass(frozen=True, slots=True)
class Built:
    """What came of one build. `varied`: variation to what it was in this build, for people (`umask` to `077`)."""

    subject: Subject
    varied: Mapping[str, str]
    known: Mapping[str, tuple[str, ...]]
    times: tuple[int, int]
    seconds: float


# Makes the image with these variations applied; the number says with which of their values.
Build = Callable[[Collection[str], int], Built]
Compare = Callable[[Subject, Subject, Known], Comparison]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to. `builds` begins with the plain one; `comparison` is that of the first that differs from
    it, its differences with what is to blame for each, or that of the last if none differs.

    `blamed` counts differences by variation; a name of several, joined by ` + `, stands for those that only together
    make it, `chance` for what differs without any. `not_varied` names what could not be varied here, and why.
    """

    builds: tuple[Built, ...]
    comparison: Comparison
    blamed: Mapping[str, int]
    not_varied: Mapping[str, str]

    @property
    def same(self) -> bool:
        """Whether all builds gave the same image."""
        return self.comparison.same


def check(
    build: Build, compare: Compare, *, variations: Collection[str], builds: int, not_varied: Mapping[str, str]
) -> Verdict:
    """Build once as it is and then with everything varied at once; where that differs, bisect over the variations."""
    raise NotImplementedError
