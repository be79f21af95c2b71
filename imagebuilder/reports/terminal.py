"""The report on a terminal: the verdict first, then where, why and what to do, no wider than the terminal is."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imagebuilder import text
from imagebuilder.audit import Audit
from imagebuilder.reports import findings
from imagebuilder.reports.findings import Findings, FoundCause, FoundLayer
from layers.values import dataclass
from reproducibility.difference import Difference, ImageComparison

if TYPE_CHECKING:  # a diff does not pay for the check
    from reproducibility.check import Verdict

_MOST = 40  # rows of a table
_MANY = 20  # layers, from which on those that are equal are left out
_VALUE = 20  # columns that a value in the table of differences has at least; paths need room, too
_BEFORE = 8  # characters that are shown before the first one that differs
_PATH = 20  # columns that a path has at least
_MARKS = {"same": "=", "compression": "~", "changed": "≠", "only left": "-", "only right": "+"}
_STYLES = {"=": "green", "~": "yellow", "≠": "red", "-": "red", "+": "red"}


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the lines are for: so many columns, with or without colour."""

    width: int
    colour: bool = False

    def paint(self, line: str, style: str) -> str:
        """Colour printable text; without a style it stays as it is."""
        return text.paint(line, style, colour=self.colour and bool(style))

    def fit(self, line: str, indent: int = 0) -> str:
        """Escape text and cut it to what is left of a line."""
        return text.clip(text.printable(line), max(self.width - indent, _PATH))

    def table(self, title: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
        """Set rows under a title; a mark in the first column gives its row a colour."""
        rows = list(rows)
        if not rows:
            return []
        body = [text.clip(f"  {line}", self.width) for line in text.table(rows)]
        painted = [self.paint(line, _STYLES.get(row[0], "")) for row, line in zip(rows, body, strict=True)]
        return ["", self.paint(title, "bold"), *painted]


def lines(found: Findings, terminal: Terminal) -> list[str]:
    """Write everything that people want to know at once; `--html` and `--json` have the rest."""
    causes = tuple(one for one in findings.causes(found) if one.count)
    return [
        _verdict(found, len(causes), terminal),
        *([] if found.same and not found.only_files else _sides(found, terminal)),
        *(_audit(found.audit, terminal) if found.audit else []),
        *(_scenarios(found.verdict, terminal) if found.verdict else []),
        *(line for image in found.comparison.images if not image.same for line in _layers(found, image, terminal)),
        *(_causes(causes, terminal) if causes else []),
        *(_differences(found, terminal) if causes else []),
    ]


def _verdict(found: Findings, causes: int, terminal: Terminal) -> str:
    if found.same:
        what = "the file systems" if found.only_files else text.printable(found.comparison.left.digest)
        return f"{terminal.paint('same:', 'green')} {what}"
    if found.audit and not found.audit.comparison:
        return f"{terminal.paint('differs:', 'red')} it could not be built again"
    what = f"{text.counted(found.count, 'difference')} of {text.counted(causes, 'cause')}"
    return f"{terminal.paint('differs:', 'red')} {what}"


def _sides(found: Findings, terminal: Terminal) -> Iterator[str]:
    width = max(map(len, found.names))
    for name, side in zip(found.names, (found.comparison.left, found.comparison.right), strict=True):
        platforms = ", ".join(image.platform for image in side.images)
        yield f"  {name:<{width}}  {terminal.fit(f'{side.reference}  {platforms}'.rstrip(), width + 4)}"
        if side.digest:
            yield f"    {terminal.paint(terminal.fit(side.digest, 4), 'dim')}"


def _audit(audit: Audit, terminal: Terminal) -> list[str]:
    rows = [
        ("=" if each.same else "≠", each.name, _change(each.expected, each.found, 30), each.detail)
        for image in audit.images
        for each in image.inputs
    ]
    return [*terminal.table("inputs", rows), *(f"  not audited: {terminal.fit(one, 15)}" for one in audit.not_audited)]


def _scenarios(verdict: "Verdict", terminal: Terminal) -> list[str]:
    blamed = {name for names in verdict.blamed for name in names.split(" + ")}
    rows = [("≠" if name in blamed else "=", name, value) for name, value in findings.varied(verdict).items()]
    counted = [("≠", name, text.counted(count, "difference")) for name, count in verdict.blamed.items()]
    return [
        *terminal.table("varied", rows),
        *terminal.table("not varied", [(" ", name, reason) for name, reason in verdict.not_varied.items()]),
        *terminal.table("responsible", counted),
    ]


def _layers(found: Findings, image: ImageComparison, terminal: Terminal) -> list[str]:
    title = f"layers of {text.printable(image.left.platform)}" if len(found.comparison.images) > 1 else "layers"
    layers = findings.layers(image)
    if len(layers) > _MANY:
        layers = tuple(one for one in layers if one.state != "same")
        title += f", without {text.counted(len(image.layers) - len(layers), 'equal one')}"
    rows = [_layer_row(layer) for layer in layers]
    return terminal.table(title, [(" ", *found.names, "differences", "layer"), *rows] if rows else [])


def _layer_row(layer: FoundLayer) -> tuple[str, ...]:
    sizes = ("" if size is None else text.size(size) for size in (layer.left_size, layer.right_size))
    return (_MARKS[layer.state], *sizes, f"{layer.count:,}" if layer.count else "", layer.pair.label)


def _causes(causes: tuple[FoundCause, ...], terminal: Terminal) -> Iterator[str]:
    width = len(f"{max(one.count for one in causes):,}") + 4
    yield from ("", terminal.paint("causes", "bold"))
    for one in causes:
        others = f"  and {text.counted(one.count - 1, 'other')}" if one.count > 1 else ""
        yield f"{one.count:>{width - 2},}  {terminal.paint(f'{one.cause.title} ({one.cause.key})', 'bold')}"
        yield " " * width + _end(one.example, terminal.width - width - len(others)) + others
        if one.blamed:
            yield " " * width + terminal.paint(terminal.fit(f"because of {', '.join(one.blamed)}", width), "red")
        for line in textwrap.wrap(one.cause.remedy, terminal.width - width, break_on_hyphens=False):
            yield " " * width + terminal.paint(line, "cyan")


def _differences(found: Findings, terminal: Terminal) -> Iterator[str]:
    own = [one for one in found.comparison.everything if not one.follows]
    shown = own[:_MOST]
    width = max(terminal.width // 4, _VALUE)
    changes = [_change(one.left, one.right, width) or text.clip(text.printable(one.note), width) for one in shown]
    room = terminal.width - 6 - max(len(one.cause) for one in shown) - max(map(text.columns, changes))
    paths = [_end(_place(one), max(room, _PATH)) for one in shown]
    rows = [(one.cause, path, change) for one, path, change in zip(shown, paths, changes, strict=True)]
    yield from terminal.table("differences", rows)
    if len(own) > len(shown):
        yield f"  … and {len(own) - len(shown):,} more; `--html FILE` and `--json` show all"
    if found.follows:
        yield f"  and {found.follows:,} that only follow from these"


def _place(one: Difference) -> str:
    if one.part in ("index", "manifest", "config") and not one.path.startswith(f"{one.part}."):
        return f"{one.part}: {one.path}"
    return one.path or one.layer


def _end(path: str, width: int) -> str:
    """Keep the end of a path, which says more than its beginning."""
    return text.clip(text.printable(path)[::-1], width)[::-1]


def _change(left: str, right: str, width: int) -> str:
    """Show two values side by side, from where they differ if that would be cut off."""
    left, right = text.printable(left), text.printable(right)  # before a cut could hide what has to be escaped
    if left == right:
        return _value(left, width)
    pairs = enumerate(zip(left, right, strict=False))
    same = next((place for place, (here, there) in pairs if here != there), min(len(left), len(right)))
    if same > width - _BEFORE and max(len(left), len(right)) > width:
        left, right = (f"…{value[same - _BEFORE :]}" for value in (left, right))
    return f"{_value(left, width) or '(none)'} → {_value(right, width) or '(none)'}"


def _value(value: str, width: int) -> str:
    if value.startswith("sha256:"):
        return value[:19]
    return text.clip(value, width)
