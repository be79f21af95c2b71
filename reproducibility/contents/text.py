"""Text: why two texts differ, line by line, and their unified diff."""

import itertools
from collections.abc import Iterator

from layers.values import dataclass
from reproducibility.contents import alignment, hexdump, traces
from reproducibility.contents.alignment import Region
from reproducibility.contents.traces import Finding, Trace
from reproducibility.difference import Known, View

# What is looked at of a text, and shown of it.
_MIDDLE_MAX = 1 << 20
_PLACES_MAX = 50
_CONTEXT = 3
_LINES_MAX = 200
_LINE_MAX = 300

# Terminals know the other control characters; binary files have these.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\b"))


@dataclass(frozen=True, slots=True)
class _Middle:
    """The lines from the first to the last that differ, the regions in which they do, and lines around that do not."""

    before: list[bytes]
    left: list[bytes]
    right: list[bytes]
    after: list[bytes]
    regions: list[Region]
    first_line: int


def is_text(content: bytes) -> bool:
    """Whether bytes are text in some superset of ASCII."""
    start = content[:8192]
    return len(start.translate(None, _CONTROLS)) == len(start)


def finding(left: bytes, right: bytes, *, known: Known) -> Finding:
    """Tell why two texts differ."""
    middle = _middle(left, right)
    here, there = b"".join(middle.left), b"".join(middle.right)
    first = f"line {middle.first_line}"
    if here.replace(b"\r\n", b"\n") == there.replace(b"\r\n", b"\n"):
        ends = ("CRLF", "LF") if len(here) > len(there) else ("LF", "CRLF")
        return traces.weigh([(first, Trace("line-endings", *ends))])
    if traces.is_reordered(here, there):
        note = f"from {first} on the same parts in another order"
        return Finding("set-order", traces.shown(here.strip()), traces.shown(there.strip()), note)
    return traces.weigh(list(itertools.islice(_places(middle, known), _PLACES_MAX)))


def view(left: bytes, right: bytes) -> View:
    """Show a unified diff, cut to what people read."""
    lines = itertools.islice(_diff(_middle(left, right)), _LINES_MAX)
    return View("text", tuple(lines))


def _middle(left: bytes, right: bytes) -> _Middle:
    start = hexdump.first_difference(left, right)
    same = alignment.common_end(left, right, start=start)
    # A line may be longer than all that is looked at.
    start = max(left.rfind(b"\n", 0, start) + 1, start - 4 * _LINE_MAX)
    if not all(_ends_a_line(content, len(content) - same) for content in (left, right)):
        end = left.find(b"\n", len(left) - same) + 1
        same = len(left) - end if end else 0
    here, there = left[start : len(left) - same], right[start : len(right) - same]
    after = left[len(left) - same :] if max(len(here), len(there)) <= _MIDDLE_MAX else b""
    here_lines, there_lines = (piece[:_MIDDLE_MAX].splitlines(keepends=True) for piece in (here, there))
    return _Middle(
        before=left[max(start - _CONTEXT * _LINE_MAX, 0) : start].splitlines()[-_CONTEXT:],
        left=here_lines,
        right=there_lines,
        after=after[: _CONTEXT * _LINE_MAX].splitlines()[:_CONTEXT],
        regions=alignment.align(here_lines, there_lines),
        first_line=left.count(b"\n", 0, start) + 1,
    )


def _ends_a_line(content: bytes, place: int) -> bool:
    return place in (0, len(content)) or content[place - 1 : place] == b"\n"


def _places(middle: _Middle, known: Known) -> Iterator[tuple[str, Trace]]:
    for region in middle.regions:
        here = middle.left[region.left : region.left_end]
        there = middle.right[region.right : region.right_end]
        if len(here) != len(there):
            here, there = [b"".join(here)], [b"".join(there)]
        for number, (line, other) in enumerate(zip(here, there, strict=True), middle.first_line + region.left):
            yield f"line {number}", traces.trace(line, other, known=known) or traces.nothing(line, other)


def _diff(middle: _Middle) -> Iterator[str]:
    lines = [*middle.before, *middle.left, *middle.after]
    shift = len(middle.before)
    for regions in _close(middle.regions):
        start = max(regions[0].left - _CONTEXT, -shift)
        end = min(regions[-1].left_end + _CONTEXT, len(lines) - shift)
        here = middle.first_line + start
        there = here + regions[0].right - regions[0].left
        more = sum(one.right_end - one.right - one.left_end + one.left for one in regions)
        yield f"@@ -{here},{end - start} +{there},{end - start + more} @@"
        for region in regions:
            yield from (_line(" ", line) for line in lines[start + shift : region.left + shift])
            yield from (_line("-", line) for line in middle.left[region.left : region.left_end])
            yield from (_line("+", line) for line in middle.right[region.right : region.right_end])
            start = region.left_end
        yield from (_line(" ", line) for line in lines[start + shift : end + shift])


def _close(regions: list[Region]) -> Iterator[list[Region]]:
    """Yield the regions in groups whose contexts touch."""
    group: list[Region] = []
    for region in regions:
        if group and region.left - group[-1].left_end > 2 * _CONTEXT:
            yield group
            group = []
        group.append(region)
    if group:
        yield group


def _line(mark: str, line: bytes) -> str:
    text = line[: 4 * _LINE_MAX].decode("utf-8", "surrogateescape").removesuffix("\n")
    return mark + (text if len(text) <= _LINE_MAX else f"{text[: _LINE_MAX - 1]}…")
