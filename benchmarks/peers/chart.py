"""Charts as SVG, without anything else; they take the colours of the reader's theme.

Seconds lie on a logarithmic scale, on which the length of a bar would say nothing: each builder is a mark on a line.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape

from benchmarks.peers.results import FLOOR, OURS, SCENARIOS, Run, Runs

STYLE = """<style>
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px } .strong { font-weight: 600 } .quiet { fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 } .row { stroke: #d1d9e0; stroke-width: 3; stroke-linecap: round }
.c0 { fill: #0969da } .c1 { fill: #bc4c00 } .c2 { fill: #8250df } .c3 { fill: #57606a }
.l0, .l1, .l2 { fill: none; stroke-width: 2; stroke-linejoin: round }
.l0 { stroke: #0969da } .l1 { stroke: #bc4c00 } .l2 { stroke: #8250df } .floor { stroke: #1f2328; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .grid, .row { stroke: #3d444d } .floor { stroke: #f0f6fc }
.c0 { fill: #4493f8 } .c1 { fill: #f0883e } .c2 { fill: #ab7df8 } .c3 { fill: #9198a1 }
.l0 { stroke: #4493f8 } .l1 { stroke: #f0883e } .l2 { stroke: #ab7df8 }
}
</style>"""
# The plot of a workload, within its panel.
PANEL, LEFT, RIGHT, OURS_AT, LEAD_AT, ROW, HEAD, FOOT = 420, 104, 310, 360, 406, 22, 40, 30
LEAST, MOST = 0.02, 300.0
TICKS = (0.1, 1.0, 10.0, 100.0)
LEGEND_ROW = 20


def svg(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """Return a document; text is as large as it says where the chart is shown as wide as it is."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", STYLE, *parts, "</svg>\n"])


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def mark(number: int, x: float, y: float) -> str:
    """Return the mark of a builder, which differs from the others in shape as well as in colour; ours is the first."""
    shapes = (
        f'<circle class="c0" cx="{x:.1f}" cy="{y:.1f}" r="6"/>',
        f'<rect class="c1" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/>',
        f'<path class="c2" d="M{x:.1f} {y - 5.5:.1f}l5.5 10h-11z"/>',
        f'<path class="c3" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>',
    )
    return shapes[number % 4]


def dots(runs: Runs, columns: int) -> str:
    """Return the seconds of every build: a panel for each workload, so many in a row."""
    peers = dict.fromkeys(peer for run in runs.values() for peer in run.peers)
    marks = {builder: number for number, builder in enumerate((OURS, *peers))}
    width, high = columns * PANEL, HEAD + len(SCENARIOS) * ROW + FOOT
    floor = any(FLOOR in run.builders for run in runs.values())
    legend, top = _legend(marks, width, floor=floor)
    parts = list(legend)
    for number, run in enumerate(runs.values()):
        parts.append(f'<g transform="translate({number % columns * PANEL} {top + number // columns * high})">')
        parts += [*_panel(run, marks), "</g>"]
    height = top + math.ceil(len(runs) / columns) * high
    return svg(width, height, "Seconds of build and push, by workload, scenario and builder", parts)


def _legend(marks: dict[str, int], width: int, *, floor: bool) -> tuple[Sequence[str], int]:
    """Return the names of the marks, in as many rows as they need, and where these end."""
    parts = [
        text(10, 16, "Seconds of build and push", "title"),
        text(10, 34, "lead: how many times as long the fastest of the others takes", "quiet"),
    ]
    x, y = 10.0, 58.0
    names = [*marks, *([FLOOR] if floor else [])]
    for name in names:
        words = "floor: the same bytes, nothing checked" if name == FLOOR else name
        needed = 34 + 6.5 * len(words)
        if x + needed > width:
            x, y = 10.0, y + LEGEND_ROW
        parts.append(line(x + 6, y - 11, x + 6, y + 2, "floor") if name == FLOOR else mark(marks[name], x + 6, y - 4))
        parts.append(text(x + 17, y, words))
        x += needed
    return parts, int(y) + 14


def _panel(run: Run, marks: dict[str, int]) -> list[str]:
    bottom = HEAD + len(SCENARIOS) * ROW
    parts = [text(10, 18, run.workload, "title")]
    parts += [text(OURS_AT, 30, "ours", "quiet", "end"), text(LEAD_AT, 30, "lead", "quiet", "end")] if run.peers else []
    for seconds in TICKS:
        parts.append(line(_x(seconds), HEAD - 4, _x(seconds), bottom, "grid"))
        parts.append(text(_x(seconds), bottom + 14, f"{seconds:g} s", "quiet", "middle"))
    for number, scenario in enumerate(SCENARIOS):
        parts += _row(run, scenario, marks, HEAD + (number + 0.5) * ROW)
    return parts


def _row(run: Run, scenario: str, marks: dict[str, int], y: float) -> list[str]:
    """Return the marks of a scenario; at its end our seconds and our lead."""
    seconds = {builder: run.median(scenario, builder).seconds for name, builder in run.costs if name == scenario}
    parts = [text(LEFT - 12, y + 4, scenario, anchor="end")]
    if not seconds:
        return parts
    ends = [_x(each) for each in seconds.values()]
    parts.append(line(min(ends), y, max(ends), y, "row"))
    if FLOOR in seconds:
        parts.append(line(_x(seconds[FLOOR]), y - 8, _x(seconds[FLOOR]), y + 8, "floor"))
    drawn = sorted((builder for builder in seconds if builder in marks), key=lambda builder: -marks[builder])
    parts += [mark(marks[builder], _x(seconds[builder]), y) for builder in drawn]
    if OURS in seconds:
        parts.append(text(OURS_AT, y + 4, f"{seconds[OURS]:.{2 if seconds[OURS] < 1 else 1}f} s", "strong", "end"))
        if run.peers:
            lead = run.lead(scenario)
            parts.append(text(LEAD_AT, y + 4, _times(lead), "strong" if lead >= 1 else "quiet", "end"))
    return parts


def _x(seconds: float) -> float:
    share = math.log(min(max(seconds, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (RIGHT - LEFT)


def _times(ratio: float) -> str:
    return f"{ratio:.{0 if ratio >= 10 else 1}f}\N{MULTIPLICATION SIGN}"
