"""The page of `inspect --html`: what takes the room in one image, what of it is wasted, and what is in it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from imagebuilder import text
from imagebuilder.inspection import Copies, File, Inspection
from imagebuilder.packages import Package
from imagebuilder.reports import rows, strip, treemap
from imagebuilder.reports.markup import Html, element, join
from imagebuilder.reports.page import Panel, contents, heads, page
from imagebuilder.reports.strip import Segment
from layers.canonical import Json

_STATIC = 200  # files that are in the page without the script
_MOST = 100  # rows of the other tables
_PACKAGES = 2000
_OPEN = 12  # rows of a table that is not folded
_DEEPEST = 20  # documents in documents
_KINDS = ("python", "bytecode", "library", "program", "data")


def html(found: Inspection) -> bytes:
    """Write the page of an image."""
    panels = list(_panels(found))
    body = join(
        _head(found, panels),
        element("main", (panel.html() for panel in panels)),
        element("footer", element("p", "imagebuilder inspect --html · everything is in this file")),
    )
    return page(f"{found.image.reference} · imagebuilder inspect", body, _rows(found))


def _panels(found: Inspection) -> Iterator[Panel]:
    labels = _labels(found)
    if labels:
        yield _layers(found, labels)
    if found.files:
        yield _map(found, labels)
        yield _files(found, labels)
    if found.hidden or found.copies:
        yield _waste(found, labels)
    if found.packages:
        yield Panel("packages", "Packages", join(*(_packages(found, kind) for kind in ("python", "debian"))))
    if found.processes:
        commands = ((one.type, shlex.join(one.command)) for one in found.processes)
        yield Panel("processes", "Processes", _facts(commands))
    yield Panel("config", "Configuration", _facts(islice(_flat(found.image.config, ""), 500)))


def _labels(found: Inspection) -> tuple[str, ...]:
    """Name the layers: by their place, which makes them different, and by what their maker says."""
    return tuple(f"{place} {text.clip(layer.name, 60)}".rstrip() for place, layer in enumerate(found.image.layers))


def _head(found: Inspection, panels: Sequence[Panel]) -> Html:
    wasted = found.hidden + found.doubled
    share = f"; {text.size(wasted)} of that is there twice or cannot be seen" if wasted else ""
    return element(
        "header",
        element("p", "imagebuilder inspect", class_="brand"),
        element("h1", found.image.reference, class_="path"),
        element(
            "p", f"{text.size(found.size)} stored, {text.size(sum(found.unpacked))} unpacked{share}.", class_="lede"
        ),
        element(
            "dl",
            (
                element("div", element("dt", name), element("dd", element("code", value)))
                for name, value in (
                    ("platform", found.image.platform),
                    ("manifest digest", found.image.manifest_digest),
                    ("config digest", found.image.config_digest),
                )
                if value
            ),
            class_="sides",
        ),
        contents(panels),
    )


def _layers(found: Inspection, labels: Sequence[str]) -> Panel:
    segments = [
        Segment(label, text.size(size), (layer.size,), "s-same")
        for label, layer, size in zip(labels, found.image.layers, found.unpacked, strict=True)
    ]
    lines = (
        element(
            "tr",
            element("td", label, class_="path"),
            element("td", element("code", layer.digest[:19])),
            element("td", text.size(layer.size), class_="number"),
            element("td", text.size(size), class_="number"),
        )
        for label, layer, size in zip(labels, found.image.layers, found.unpacked, strict=True)
    )
    head = heads(("layer", "digest", "stored", "unpacked"), numbers=2)
    table = element("table", head, element("tbody", lines), class_="layers")
    return Panel("layers", "Layers", join(strip.html(segments, ("stored",)), element("div", table, class_="wide")))


def _map(found: Inspection, labels: Sequence[str]) -> Panel:
    leaves = (
        treemap.leaf(labels[one.layer], one.path, size=one.size, kind=_class(one)) for one in found.files if one.size
    )
    legend = [element("li", kind, class_=f"k-{kind}") for kind in _KINDS]
    return Panel(
        "sizes",
        "Sizes",
        join(
            element("div", treemap.svg(leaves, "Sizes of files, by layer and folder"), class_="wide"),
            element("ul", legend, element("li", "overwritten or deleted", class_="k-wasted"), class_="legend"),
        ),
        note="Files by layer and folder; the area is the unpacked size.",
    )


def _what(file: File) -> str:
    return file.kind if file.fate == "kept" else file.fate


def _class(file: File) -> str:
    return file.kind if file.fate == "kept" else "wasted"


def _files(found: Inspection, labels: Sequence[str]) -> Panel:
    lines = (
        element(
            "tr",
            element("td", one.path, class_="path"),
            element("td", text.size(one.size)),
            element("td", labels[one.layer]),
            element("td", _what(one)),
            class_=f"k-{_class(one)}",
        )
        for one in found.files[:_STATIC]
    )
    left_out = f"The largest {_STATIC} of {len(found.files):,}; the others need JavaScript."
    return Panel(
        "files",
        "Files",
        join(
            element(
                "div",
                element(
                    "table", heads(("where", "size", "layer", "what")), element("tbody", lines), class_="differences"
                ),
                element("p", left_out, class_="note") if len(found.files) > _STATIC else None,
                class_="static wide",
            ),
            element("div", class_="interactive", id="browser"),
        ),
    )


def _waste(found: Inspection, labels: Sequence[str]) -> Panel:
    hidden = [one for one in found.files if one.fate != "kept" and one.size]
    hidden_lines = ((one.path, f"{one.fate} in {labels[one.layer]}", text.size(one.size)) for one in hidden[:_MOST])
    copies_lines = ((_paths(one), f"{len(one.paths)} times", text.size(one.wasted)) for one in found.copies[:_MOST])
    return Panel(
        "waste",
        "Waste",
        join(
            _table(f"Overwritten or deleted: {text.size(found.hidden)}", hidden_lines, len(hidden)),
            _table(f"Equal contents: {text.size(found.doubled)}", copies_lines, len(found.copies)),
        ),
    )


def _paths(copies: Copies) -> str:
    others = len(copies.paths) - 3
    return ", ".join(copies.paths[:3]) + (f" and {others:,} others" if others > 0 else "")


def _packages(found: Inspection, kind: str) -> Html | None:
    listed: list[Package] = [one for one in found.packages if one.kind == kind]
    lines = ((one.name, one.version, text.size(one.size) if one.size else "") for one in listed[:_PACKAGES])
    return _table(f"{kind.title()}: {len(listed):,}", lines, len(listed))


def _table(title: str, lines: Iterator[tuple[str, str, str]], total: int) -> Html | None:
    """Make a table under a title: where, what, and how much."""
    body = [
        element(
            "tr",
            element("td", where, class_="path"),
            element("td", what),
            element("td", size, class_="number"),
        )
        for where, what, size in lines
    ]
    if not body:
        return None
    left_out = f"and {total - len(body):,} more" if total > len(body) else ""
    return element(
        "details",
        element("summary", element("h3", title)),
        element("div", element("table", element("tbody", body)), class_="wide"),
        element("p", left_out, class_="note") if left_out else None,
        open="" if len(body) <= _OPEN else None,
    )


def _facts(facts: Iterator[tuple[str, str]]) -> Html:
    lines = (element("div", element("dt", name), element("dd", value, class_="value")) for name, value in facts)
    return element("dl", lines, class_="facts")


def _flat(value: Json, name: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the fields of a document by their dotted names; layers and their history are told elsewhere."""
    if depth > _DEEPEST:
        yield name, "…"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if depth or key not in ("rootfs", "history"):
                yield from _flat(item, f"{name}.{key}" if name else key, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _flat(item, name, depth + 1)
    else:
        yield name, "" if value is None else str(value)


def _rows(found: Inspection) -> dict[str, Json]:
    listed = found.files[: rows.MOST]
    labels = _labels(found)
    return {
        "count": len(listed),
        "noun": "files",
        "section": "files",
        "names": ("", ""),
        "columns": (
            rows.column("path", "where", (one.path for one in listed), listed=True),
            rows.sizes("size", "size", (one.size for one in listed)),
            rows.column("layer", "layer", (labels[one.layer] for one in listed), listed=True, choice=True),
            rows.column("what", "what", map(_what, listed), listed=True, choice=True),
            rows.column("mode", "mode", (f"{one.mode:04o}" for one in listed), choice=True),
            rows.column("owner", "owner", (one.owner for one in listed), choice=True),
        ),
        "coloured": "what",
        "colours": {**{kind: kind for kind in _KINDS}, "overwritten": "wasted", "deleted": "wasted"},
        "explanations": {},
        "views": {},
    }
