"""Strips: the layers of images as bars, as wide as they are large, coloured by a class of the style sheet."""

from collections.abc import Iterator, Sequence

from imagebuilder import text
from imagebuilder.reports.markup import Html, element
from layers.values import dataclass

_WIDTH, _HEIGHT = 1000.0, 10.0  # stretched to what there is
_NARROWEST = 9.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A layer, by its label: what is said of it, its size in each row (None: it is not there), and its class."""

    label: str
    said: str
    sizes: tuple[int | None, ...]
    class_: str


def html(segments: Sequence[Segment], names: Sequence[str]) -> Html:
    """Draw a strip; its rows have these names."""
    rows = ((element("span", name, aria_hidden="true"), _row(segments, row, name)) for row, name in enumerate(names))
    return element("div", rows, class_="strips")


def _row(segments: Sequence[Segment], row: int, name: str) -> Html:
    said = ", ".join(f"{one.label}: {one.said}" for one in segments[:20])
    return element(
        "svg",
        _drawn(segments, row),
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"Layers, {name}: {said}",
    )


def _drawn(segments: Sequence[Segment], row: int) -> Iterator[Html]:
    x = 0.0
    for one, width in zip(segments, _widths(segments), strict=True):
        size = one.sizes[row]
        described = f"{one.label}: {one.said}" + ("" if size is None else f", {text.size(size)}")
        yield element(
            "g",
            element("title", described),
            element("rect", x=round(x, 1), y=0, width=round(max(width - 2, 0.5), 1), height=_HEIGHT),
            class_="s-none" if size is None else one.class_,
            data_filter="layer",
            data_value=one.label,
        )
        x += width


def _widths(segments: Sequence[Segment]) -> list[float]:
    """Share the width out by size, so that the smallest can still be seen."""
    sizes = [max(size or 1 for size in one.sizes) for one in segments]
    narrowest = min(_NARROWEST, _WIDTH / len(segments) / 2)
    rest = _WIDTH - narrowest * len(segments)
    return [narrowest + rest * size / sum(sizes) for size in sizes]
