"""Charts as SVG, without anything else; they take the colours of the reader's theme."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.peers.results import OURS, SCENARIOS, Results

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .quiet { fill: #59636e } .grid { stroke: #d1d9e0 }
.c0 { fill: #0969da } .c1 { fill: #bf8700 } .c2 { fill: #8250df } .c3 { fill: #57606a }
.l0 { stroke: #0969da; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .grid { stroke: #3d444d }
.c0 { fill: #4493f8 } .c1 { fill: #d29922 } .c2 { fill: #ab7df8 } .c3 { fill: #9198a1 } .l0 { stroke: #4493f8 }
}
</style>"""
BAR, GAP, LEFT, SCALE_WIDTH, COLUMN = 11, 12, 100, 230, 390
LEAST, MOST = 0.01, 100.0


def svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", STYLE, *parts, "</svg>\n"])


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


def bars(results: Results) -> str:
    """Return seconds of every build on a logarithmic scale: workloads side by side, two in a row."""
    builders = [OURS, *(builder for builder in results.builders if builder != OURS)]
    parts, x = [], 10.0
    for number, builder in enumerate(builders):
        parts += [
            f'<rect class="c{number % 4}" x="{x:.1f}" y="8" width="11" height="11" rx="2"/>',
            text(x + 16, 18, builder),
        ]
        x += 28 + 7.0 * len(builder)
    parts.append(text(x, 18, "seconds of build and push, logarithmic", "quiet"))
    group = len(builders) * BAR + GAP
    high = len(SCENARIOS) * group + 62
    for number, workload in enumerate(results.workloads):
        left, top = (number % 2) * COLUMN, 34 + number // 2 * high
        parts.append(f'<g transform="translate({left} {top})">')
        parts += [text(10, 14, workload, "title"), *_grid(high - 40)]
        for row, scenario in enumerate(SCENARIOS):
            parts += _group(results, workload, scenario, builders, 24 + row * group)
        parts.append("</g>")
    height = 34 + math.ceil(len(results.workloads) / 2) * high
    return svg(2 * COLUMN, height, "Seconds of build and push, by workload, scenario and builder", parts)


def _x(seconds: float) -> float:
    share = math.log(min(max(seconds, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * SCALE_WIDTH


def _grid(bottom: float) -> list[str]:
    parts = []
    for seconds in (0.01, 0.1, 1.0, 10.0, 100.0):
        x = _x(seconds)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{bottom}"/>')
        parts.append(text(x, bottom + 14, f"{seconds:g}", "quiet", "middle"))
    return parts


def _group(results: Results, workload: str, scenario: str, builders: Sequence[str], top: float) -> list[str]:
    parts = [text(LEFT - 8, top + len(builders) * BAR / 2 + 4, scenario, anchor="end")]
    for number, builder in enumerate(builders):
        if not results.costs.get((workload, scenario, builder)):
            continue
        seconds = results.median(workload, scenario, builder).seconds
        y, end = top + number * BAR, _x(seconds)
        parts.append(
            f'<rect class="c{number % 4}" x="{LEFT}" y="{y:.1f}" width="{end - LEFT:.1f}" height="{BAR - 2}"/>'
        )
        parts.append(
            f'<text x="{end + 4:.1f}" y="{y + 9:.1f}" style="font-size:9px" class="quiet">{seconds:.2g}</text>'
        )
    return parts
