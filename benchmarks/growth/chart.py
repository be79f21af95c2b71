"""The chart of growth: seconds of the processor and memory, by files, packages and bytes."""

import math
from collections.abc import Iterator, Sequence

from benchmarks.growth.growths import SCENARIOS, Growth, Growths
from benchmarks.growth.subjects import UNITS
from benchmarks.peers.chart import line, svg, text

PANEL, LEFT, RIGHT, TOP, HIGH, BELOW = 280, 52, 266, 94, 160, 50
# Seconds of the processor, on a logarithmic scale; MB of memory, on a linear one with its goal.
LEAST_S, MOST_S = 0.03, 100.0
MOST_MB, GOAL_MB = 170, 150


def lines(growths: Growths) -> str:
    """Return a column for each subject: seconds of the processor above, memory below."""
    parts = [text(10, 16, "What builds cost as they grow", "title"), *_legend()]
    for number, growth in enumerate(growths.values()):
        parts.append(f'<g transform="translate({number * PANEL} 0)">')
        parts += [*_seconds(growth), *_memory(growth), "</g>"]
    return svg(len(growths) * PANEL, TOP + 2 * HIGH + BELOW, "What builds cost as they grow", parts)


def _legend() -> Iterator[str]:
    x = 10.0
    for number, scenario in enumerate(SCENARIOS):
        yield line(x, 34, x + 18, 34, f"l{number}")
        yield f'<circle class="c{number}" cx="{x + 9}" cy="34" r="3.5"/>'
        yield text(x + 24, 38, scenario)
        x += 44 + 7.0 * len(scenario)


def _seconds(growth: Growth) -> Iterator[str]:
    yield text(LEFT - 42, TOP - 26, f"seconds of the processor by {growth.subject}", "strong")
    for seconds in (0.1, 1.0, 10.0, 100.0):
        yield from _level(_log_y(seconds), f"{seconds:g} s")
    for number, scenario in enumerate(SCENARIOS):
        exponent = growth.fit(scenario, "cpu_s").exponent
        points = growth.points(scenario, "cpu_s")
        yield from _line(number, [(_x(growth, x), _log_y(y)) for x, y in points])
        if exponent is not None:
            yield text(LEFT + 2 + number * 48, TOP - 6, f"x{_raised(exponent)}", f"c{number}")


def _memory(growth: Growth) -> Iterator[str]:
    bottom = TOP + 2 * HIGH
    yield text(LEFT - 42, TOP + HIGH + 22, "MB of memory", "strong")
    for size in (0, 50, 100, GOAL_MB):
        yield from _level(_linear_y(size), f"{size}")
    yield text(RIGHT, _linear_y(GOAL_MB) + 14, "goal: below", "quiet", "end")
    for number, scenario in enumerate(SCENARIOS):
        points = growth.points(scenario, "memory")
        yield from _line(number, [(_x(growth, x), _linear_y(y / 1e6)) for x, y in points])
    sizes = list(growth.costs["cold"])
    for power in range(math.ceil(math.log10(sizes[0])), math.floor(math.log10(sizes[-1])) + 1):
        yield text(_x(growth, 10**power), bottom + 16, _short(10**power), "quiet", "middle")
    yield text((LEFT + RIGHT) / 2, bottom + 36, UNITS[growth.subject], "quiet", "middle")


def _level(y: float, words: str) -> Iterator[str]:
    yield line(LEFT, y, RIGHT, y, "grid")
    yield text(LEFT - 6, y + 4, words, "quiet", "end")


def _line(number: int, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline class="l{number}" points="{corners}"/>'
    for x, y in points:
        yield f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'


def _x(growth: Growth, size: float) -> float:
    sizes = list(growth.costs["cold"])
    return LEFT + 8 + math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0]) * (RIGHT - LEFT - 16)


def _log_y(seconds: float) -> float:
    share = math.log(min(max(seconds, LEAST_S), MOST_S) / LEAST_S) / math.log(MOST_S / LEAST_S)
    return TOP + (1 - share) * (HIGH - 22)


def _linear_y(size: float) -> float:
    return TOP + HIGH + 30 + (1 - min(size, MOST_MB) / MOST_MB) * (HIGH - 30)


def _short(size: int) -> str:
    for factor, unit in ((10**9, " GB"), (10**6, " MB")):
        if size >= factor:
            return f"{size // factor}{unit}"
    return f"{size:,}"


def _raised(exponent: float) -> str:
    digits = str.maketrans("0123456789.", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u00b7")
    return f"{exponent:.2f}".translate(digits)
