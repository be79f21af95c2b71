"""The strip of layers: both images as bars, their layers as wide as they are large, coloured by how far they agree."""

from collections.abc import Iterator, Sequence

from imagebuilder import text
from imagebuilder.reports.findings import FoundLayer, State
from imagebuilder.reports.markup import Html, element

CLASSES: dict[State, str] = {
    "same": "s-same",
    "compression": "s-compression",
    "changed": "s-changed",
    "only left": "s-only",
    "only right": "s-only",
}
_WIDTH, _LEFT = 1200.0, 90.0
_HEIGHT, _GAP = 26.0, 4.0
_NARROWEST = 10.0


def svg(layers: Sequence[FoundLayer], names: tuple[str, str]) -> Html:
    """Draw the strip."""
    label = ", ".join(f"{one.pair.label}: {one.state}" for one in layers[:20])
    drawn = (_row(layers, name, side) for side, name in enumerate(names))
    height = 2 * _HEIGHT + _GAP
    return element(
        "svg", drawn, viewBox=f"0 0 {_WIDTH:g} {height:g}", role="img", aria_label=f"Layers: {label}", class_="strip"
    )


def _row(layers: Sequence[FoundLayer], name: str, side: int) -> Iterator[Html]:
    y = side * (_HEIGHT + _GAP)
    yield element("text", name, x=0, y=y + 17)
    x = _LEFT
    for one, width in zip(layers, _widths(layers), strict=True):
        size = one.right_size if side else one.left_size
        shown = "s-none" if size is None else CLASSES[one.state]
        described = f"{one.pair.label}: {one.state}" + ("" if size is None else f", {text.size(size)}")
        yield element(
            "g",
            element("title", described),
            element("rect", x=round(x, 1), y=y, width=round(max(width - 2, 1.0), 1), height=_HEIGHT, rx=3),
            class_=shown,
            data_filter="layer",
            data_value=one.pair.label,
        )
        x += width


def _widths(layers: Sequence[FoundLayer]) -> list[float]:
    """Share the width out by size, so that the smallest can still be seen."""
    sizes = [max(one.left_size or 0, one.right_size or 0, 1) for one in layers]
    narrowest = min(_NARROWEST, (_WIDTH - _LEFT) / len(layers) / 2)
    rest = _WIDTH - _LEFT - narrowest * len(layers)
    return [narrowest + rest * size / sum(sizes) for size in sizes]
