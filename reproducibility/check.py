"""The check: one application built again and again under other conditions, and what is to blame where it differs."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from layers.values import dataclass, field, replace
from reproducibility import blame
from reproducibility.blame import Loci
from reproducibility.difference import Comparison, Difference, Known
from reproducibility.explain import refine
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

# What stands for a variation where things differ without any.
CHANCE = "chance"
# Causes of which the content itself says that they are about time.
_TIMES = frozenset({"created", "gzip-header", "mtime", "pyc-time", "timestamp", "zip-time"})
# Whatever the causes, somebody waits for the end of it.
MOST_BUILDS = 40


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
    made = [build((), 0)]
    number = 0
    while True:
        number += 1
        made.append(build(variations, number))
        comparison = _compared(compare, made)
        if not comparison.same:
            trials = _Trials(build, compare, made, number, {frozenset(variations): _loci(comparison)})
            causes = trials.causes(tuple(variations))
            return _blamed(trials.told_by_chance(comparison), causes, tuple(made), not_varied)
        if number >= builds - 1:
            return Verdict(tuple(made), comparison, {}, not_varied)


@dataclass(frozen=True, slots=True)
class _Trials:
    """Further builds with fewer variations. `made` grows by each; `differing` remembers what differed in it, `control`
    the files that differed with none.
    """

    build: Build
    compare: Compare
    made: list[Built]
    number: int
    differing: dict[frozenset[str], Loci]
    control: dict[str, Difference] = field(default_factory=dict)

    def causes(self, variations: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Return for each locus what makes it differ: the control build first, for what differs without any."""
        loci = self.differing[frozenset(variations)]
        by_chance = loci & (self.try_with(()) or frozenset())
        found = blame.find(loci - by_chance, variations, self.try_with)
        causes = {locus: tuple(" + ".join(together) for together in sets) for locus, sets in found.items()}
        return causes | dict.fromkeys(by_chance, (CHANCE,))

    def try_with(self, varied: tuple[str, ...]) -> Loci | None:
        """Build with these variations, unless that was done, and return what differs from the plain build."""
        key = frozenset(varied)
        if key not in self.differing:
            if len(self.made) >= MOST_BUILDS:
                return None
            self.made.append(self.build(varied, self.number))
            comparison = _compared(self.compare, self.made)
            self.differing[key] = _loci(comparison)
            if not key:
                self.control.update((each.locus, each) for each in comparison.everything if each.part == "file")
        return self.differing[key]

    def told_by_chance(self, comparison: Comparison) -> Comparison:
        """Explain files that differ without any variation as they differ then: what is varied would only cover it."""
        images = (
            replace(image, differences=tuple(self.control.get(each.locus, each) for each in image.differences))
            for image in comparison.images
        )
        return replace(comparison, images=tuple(images))


def _of_time(difference: Difference, blamed: tuple[str, ...]) -> tuple[str, ...]:
    """Blame the clock for times that differ without any variation: it went on between the builds."""
    return ("clock",) if blamed == (CHANCE,) and difference.cause in _TIMES else blamed


def _loci(comparison: Comparison) -> Loci:
    return frozenset(each.locus for each in comparison.everything)


def _compared(compare: Compare, made: Sequence[Built]) -> Comparison:
    """Compare the last build with the plain one."""
    plain, last = made[0], made[-1]
    known = Known(plain.known, last.known, plain.times, last.times)
    return compare(plain.subject, last.subject, known)


def _blamed(
    comparison: Comparison,
    causes: Mapping[str, tuple[str, ...]],
    made: tuple[Built, ...],
    not_varied: Mapping[str, str],
) -> Verdict:
    """Write into each difference what is to blame for it, and count what is not the consequence of others."""

    def refined(differences: tuple[Difference, ...]) -> tuple[Difference, ...]:
        return tuple(refine(each, _of_time(each, causes[each.locus])) for each in differences)

    images = tuple(replace(image, differences=refined(image.differences)) for image in comparison.images)
    blamed = replace(comparison, images=images, differences=refined(comparison.differences))
    counted = Counter(name for each in blamed.everything if not each.follows for name in each.blamed)
    return Verdict(made, blamed, dict(sorted(counted.items())), not_varied)
