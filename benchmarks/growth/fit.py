"""Lines through what was measured, and the power with which it grows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
# What has not become more than so many times the first point says nothing of the growth: it is noise.
GROWN, FEWEST = 1.5, 2
# An exponent above it is a warning: work that grows faster than what there is to do.
MOST = 1.15


@dataclass(frozen=True)
class Fit:
    """y = base + each * x, and the exponent of the growth: about 1 if that is so; None if it hardly grows."""

    base: float
    each: float
    exponent: float | None

    @property
    def superlinear(self) -> bool:
        return self.exponent is not None and self.exponent > MOST


def fit(points: Sequence[Point]) -> Fit:
    """Fit points with at least two different x, in their order; each point counts by how far off it is in percent."""
    weights = [1 / y**2 for _, y in points]
    base, each = _line(points, weights)
    return Fit(base, each, _exponent(points))


def _exponent(points: Sequence[Point]) -> float | None:
    """Return the slope of the growth on logarithmic scales. What the first point costs is there without any growth."""
    (first_x, first_y), *rest = points
    grown = [(math.log(x - first_x), math.log(y - first_y)) for x, y in rest if y > GROWN * first_y]
    if len(grown) < FEWEST or points[-1][1] <= GROWN * first_y:
        return None
    return _line(grown, [1.0] * len(grown))[1]


def _line(points: Sequence[Point], weights: Sequence[float]) -> tuple[float, float]:
    """Return where the line of least squares begins, and its slope."""
    total = sum(weights)
    mean_x = sum(weight * x for weight, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(weight * y for weight, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(weight * (x - mean_x) ** 2 for weight, (x, _) in zip(weights, points, strict=True))
    common = sum(weight * (x - mean_x) * (y - mean_y) for weight, (x, y) in zip(weights, points, strict=True))
    return mean_y - common / spread * mean_x, common / spread
