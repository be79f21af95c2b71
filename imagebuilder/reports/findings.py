"""Findings: what came of a check, a diff or an audit, in the one form that every report is made from."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

from imagebuilder.audit import Audit
from layers.values import dataclass
from reproducibility.causes import CAUSES, Cause
from reproducibility.difference import Comparison, Difference, ImageComparison, LayerPair
from reproducibility.images import StoredImage, Subject

if TYPE_CHECKING:  # a diff does not pay for the check
    from reproducibility.check import Verdict

Result: TypeAlias = "Comparison | Verdict | Audit"
State = Literal["same", "compression", "changed", "only left", "only right"]


@dataclass(frozen=True, slots=True)
class FoundCause:
    """A cause that was found `count` times, and `follows` times more as the mere consequence of others."""

    cause: Cause
    count: int
    follows: int
    example: str
    blamed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundLayer:
    """A pair of layers: how far it agrees, stored sizes in bytes (None: that side has none), and its differences."""

    pair: LayerPair
    state: State
    left_size: int | None
    right_size: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What a command found. `verdict` is that of a check, `audit` that of an audit."""

    command: Literal["check", "diff", "audit"]
    same: bool
    comparison: Comparison
    verdict: "Verdict | None" = None
    audit: Audit | None = None

    @property
    def names(self) -> tuple[str, str]:
        """How people call the two sides."""
        return {
            "check": ("plain build", "other build"),
            "diff": ("A", "B"),
            "audit": ("published", "rebuilt"),
        }[self.command]

    @property
    def only_files(self) -> bool:
        """Whether only the final file systems are the same, which is all that was asked for."""
        return self.command == "diff" and self.same and self.comparison.left.digest != self.comparison.right.digest

    @property
    def differences(self) -> Iterator[tuple[str, Difference]]:
        """Every difference with the platform of its image, empty for those of an index."""
        for one in self.comparison.differences:
            yield "", one
        for image in self.comparison.images:
            for one in image.differences:
                yield image.left.platform, one

    @property
    def count(self) -> int:
        """How many differences stand for themselves."""
        return sum(not one.follows for one in self.comparison.everything)

    @property
    def follows(self) -> int:
        """How many differences are only the consequence of others."""
        return sum(one.follows for one in self.comparison.everything)


def of(result: Result) -> Findings:
    """Take the result of any of the three commands."""
    if isinstance(result, Comparison):
        return Findings("diff", result.same, result)
    if isinstance(result, Audit):
        return Findings("audit", result.same, result.comparison or _not_compared(result), audit=result)
    return Findings("check", result.same, result.comparison, verdict=result)


def _not_compared(audit: Audit) -> Comparison:
    published = Subject(audit.reference, audit.digest, "", {}, ())
    return Comparison(published, Subject(audit.folder, "", "", {}, ()), ())


def cause(difference: Difference) -> Cause:
    """Return the cause of a difference."""
    return CAUSES.get(difference.cause, CAUSES["unknown"])


def causes(found: Findings) -> tuple[FoundCause, ...]:
    """Count the causes: first those that stand for themselves, the most frequent ones before the others."""
    by_cause: dict[str, list[Difference]] = {}
    for one in found.comparison.everything:
        by_cause.setdefault(one.cause, []).append(one)
    counted = [_cause(of_cause) for of_cause in by_cause.values()]
    return tuple(sorted(counted, key=lambda one: (not one.count, -one.count, -one.follows, one.cause.key)))


def _cause(differences: list[Difference]) -> FoundCause:
    own = [one for one in differences if not one.follows]
    example = (own or differences)[0]
    blamed = Counter(name for one in differences for name in one.blamed)
    return FoundCause(
        cause(example),
        len(own),
        len(differences) - len(own),
        example.path or example.layer or example.part,
        tuple(sorted(blamed, key=lambda name: (-blamed[name], name))),
    )


def varied(verdict: "Verdict") -> dict[str, str]:
    """Return the variations of a check with what they were: several values if there were several."""
    values: dict[str, dict[str, None]] = {}
    for built in verdict.builds:
        for name, value in built.varied.items():
            values.setdefault(name, {})[value] = None
    return {name: ", ".join(each) for name, each in values.items()}


def layers(image: ImageComparison) -> tuple[FoundLayer, ...]:
    """Say of each pair of layers how far it agrees."""
    counts = Counter(one.layer for one in image.differences)
    return tuple(
        FoundLayer(
            pair,
            _state(pair),
            _size(image.left, pair.left),
            _size(image.right, pair.right),
            counts[pair.label],
        )
        for pair in image.layers
    )


def _state(pair: LayerPair) -> State:
    if not pair.left:
        return "only right"
    if not pair.right:
        return "only left"
    states: dict[str, State] = {"stored": "same", "tar": "compression", "no": "changed"}
    return states[pair.same]


def _size(image: StoredImage, places: Iterable[int]) -> int | None:
    sizes = [image.layers[place].size for place in places]
    return sum(sizes) if sizes else None
