"""Treemaps: what takes how much, as rectangles in rectangles (Bruls, Huizing, van Wijk: "Squarified treemaps").

The map is bounded whatever it shows: what would be too small to see is drawn as one with its neighbours.
"""

from collections.abc import Iterable, Iterator

from imagebuilder import text
from imagebuilder.reports.markup import Html, element
from layers.values import dataclass

_WIDTH, _HEIGHT = 1200.0, 480.0
_SMALLEST = 384.0  # area of a rectangle; there can be 1,500 of them
_HEADER = 18.0
_GROUP = (54.0, 44.0)  # a rectangle that is smaller does not show what is in it
_GAP = 2.0
_LETTER = 6.3  # width of a letter
_DEEPEST = 40  # folders in folders; what is below is named as if it were in one


@dataclass(frozen=True, slots=True)
class Leaf:
    """Something with a size, under a path whose parts are its places. `kind` is a class of the style sheet."""

    path: tuple[str, ...]
    size: int
    kind: str


def leaf(layer: str, path: str, *, size: int, kind: str) -> Leaf:
    """Make a leaf for a file of a layer."""
    return Leaf((layer or "files", *path.split("/", _DEEPEST)), size, kind)


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    path: tuple[str, ...]
    size: int
    kind: str
    children: tuple["_Node", ...] = ()


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


def svg(leaves: Iterable[Leaf], label: str) -> Html:
    """Draw a map; `label` says what it is to those who cannot see it."""
    root = _node("", (), [each for each in leaves if each.size > 0])
    whole = _Box(0, 0, _WIDTH, _HEIGHT)
    drawn = () if not root.size else _inside(root, whole) if root.children else _drawn(root, whole)
    return element("svg", drawn, viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}", role="img", aria_label=label, class_="map")


def _node(name: str, path: tuple[str, ...], leaves: list[Leaf]) -> _Node:
    """Make the tree below a path; folders with one child are one with it."""
    depth = len(path)
    if len(leaves) == 1:
        (only,) = leaves
        return _Node("/".join((name, *only.path[depth:])).strip("/"), only.path, only.size, only.kind)
    below: dict[str, list[Leaf]] = {}
    for each in leaves:
        below.setdefault(each.path[depth] if len(each.path) > depth else "", []).append(each)
    if len(below) == 1 and path and "" not in below:
        ((part, inner),) = below.items()
        return _node(f"{name}/{part}".strip("/"), (*path, part), inner)
    children = [_node(part, (*path, part), inner) if part else _own(path, inner) for part, inner in below.items()]
    children.sort(key=lambda child: (-child.size, child.name))
    return _Node(name, path, sum(child.size for child in children), _heaviest(children), tuple(children))


def _heaviest(nodes: Iterable[_Node]) -> str:
    """Return the kind that has most of the bytes."""
    sizes: dict[str, int] = {}
    for node in nodes:
        sizes[node.kind] = sizes.get(node.kind, 0) + node.size
    return max(sorted(sizes), key=lambda kind: sizes[kind], default="")


def _own(path: tuple[str, ...], leaves: list[Leaf]) -> _Node:
    """Make one node of leaves with the same path: several differences of one file."""
    return _Node(path[-1] if path else "", path, sum(each.size for each in leaves), leaves[0].kind)


def _inside(node: _Node, box: _Box) -> Iterator[Html]:
    """Draw what is in a node."""
    shown = _shown(node, box)
    hidden = node.children[len(shown) :]
    if hidden:
        name = hidden[0].name if len(hidden) == 1 else f"{len(hidden):,} smaller"
        size = sum(child.size for child in hidden)
        shown.append(_Node(name, node.path, size, f"{_heaviest(hidden)} rest"))
    for child, place in _squarify(shown, box):
        yield _drawn(child, place)


def _shown(node: _Node, box: _Box) -> list[_Node]:
    """Return the children that are large enough to be seen; they are sorted by size."""
    return [child for child in node.children if child.size * box.area >= _SMALLEST * node.size]


def _drawn(node: _Node, box: _Box) -> Html:
    """Draw a node: with what is in it if there is room for that."""
    inner = _Box(box.x + _GAP, box.y + _HEADER, box.width - 2 * _GAP, box.height - _HEADER - _GAP)
    # What would be half a heap of small things is one thing.
    nested = (
        box.width >= _GROUP[0]
        and box.height >= _GROUP[1]
        and 2 * sum(child.size for child in _shown(node, inner)) > node.size
    )
    where = "/".join(node.path)
    if node.kind.endswith(" rest"):
        where = f"{node.name} in {where}"
    return element(
        "g",
        element("title", f"{where}: {text.size(node.size)}"),
        element("rect", x=_round(box.x), y=_round(box.y), width=_round(box.width - 1), height=_round(box.height - 1)),
        _label(node, box),
        _inside(node, inner) if nested else None,
        class_="group" if nested else f"leaf k-{node.kind}",
        data_path="/".join(node.path[1:]),
        data_layer=node.path[0] if node.path else None,
    )


def _label(node: _Node, box: _Box) -> Html | None:
    letters = int((box.width - 10) / _LETTER)
    if letters < 4 or box.height < 14:
        return None
    name = text.clip(text.printable(node.name), letters)
    size = text.size(node.size)
    room = letters - text.columns(name) - len(size) - 1
    shown = (name, element("tspan", size, class_="size", dx="6")) if room > 0 else name
    return element("text", shown, x=_round(box.x + 5), y=_round(box.y + 13))


def _squarify(nodes: list[_Node], box: _Box) -> Iterator[tuple[_Node, _Box]]:
    """Give every node a part of the box by its size, in rows along the shorter side, as square as can be."""
    total = sum(node.size for node in nodes)
    scale = box.area / total if total else 0.0
    place = 0
    while place < len(nodes):
        side = min(box.width, box.height)
        end = place + 1
        while end < len(nodes) and _worst(nodes[place : end + 1], side, scale) <= _worst(nodes[place:end], side, scale):
            end += 1
        row = nodes[place:end]
        thickness = sum(node.size for node in row) * scale / side
        yield from _row(row, box, thickness, scale)
        if box.width >= box.height:
            box = _Box(box.x + thickness, box.y, max(box.width - thickness, 0), box.height)
        else:
            box = _Box(box.x, box.y + thickness, box.width, max(box.height - thickness, 0))
        place = end


def _worst(row: list[_Node], side: float, scale: float) -> float:
    """Return the worst ratio of a row's rectangles; they are sorted, so the first or the last one has it."""
    total = sum(node.size for node in row) * scale
    largest, smallest = row[0].size * scale, row[-1].size * scale
    return max(side * side * largest / (total * total), total * total / (side * side * smallest))


def _row(row: list[_Node], box: _Box, thickness: float, scale: float) -> Iterator[tuple[_Node, _Box]]:
    along = 0.0
    for node in row:
        length = node.size * scale / thickness
        if box.width >= box.height:
            yield node, _Box(box.x, box.y + along, thickness, length)
        else:
            yield node, _Box(box.x + along, box.y, length, thickness)
        along += length


def _round(number: float) -> float:
    return round(max(number, 0.0), 1)
