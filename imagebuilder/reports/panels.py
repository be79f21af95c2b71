"""Panels: the parts of the page of a check, a diff or an audit."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from imagebuilder import text
from imagebuilder.audit import Audit, AuditedInput
from imagebuilder.reports import findings, rows, strip, treemap
from imagebuilder.reports.findings import Findings, FoundCause, FoundLayer, State
from imagebuilder.reports.markup import Html, element, join
from imagebuilder.reports.page import Panel, contents, heads, page
from imagebuilder.reports.strip import Segment
from imagebuilder.reports.treemap import Leaf
from reproducibility.check import Verdict
from reproducibility.difference import Difference
from reproducibility.images import Subject

_STATIC = 500  # differences that are in the page without the script
_HEADER = 512  # bytes of a file's header in a tar, where nothing else differs
_VERDICTS = {
    ("diff", True): "The images are the same",
    ("diff", False): "The images differ",
    ("check", True): "Every build gave the same image",
    ("check", False): "The builds differ",
    ("audit", True): "The published image is what its source gives",
    ("audit", False): "The published image is not what its source gives",
}
_CLASSES: dict[State, str] = {
    "same": "s-same",
    "compression": "s-compression",
    "changed": "s-changed",
    "only left": "s-only",
    "only right": "s-only",
}


def html(found: Findings) -> bytes:
    """Write the page of a result."""
    ordered = sorted(found.differences, key=lambda one: one[1].follows)
    listed = ordered[: rows.MOST]
    panels = list(_panels(found, listed, len(ordered)))
    body = join(_head(found, panels), element("main", (panel.html() for panel in panels)), _foot(found))
    title = f"{'Same' if found.same else 'Differs'}: {found.comparison.left.reference}"
    return page(f"{title} · imagebuilder {found.command}", body, rows.rows(found, listed))


def _panels(found: Findings, listed: list[tuple[str, Difference]], total: int) -> Iterator[Panel]:
    if found.audit:
        yield _inputs(found.audit)
    if total:
        yield _causes(findings.causes(found))
    if found.verdict:
        yield _scenarios(found.verdict)
    yield from _layers(found)
    leaves = [_leaf(one) for _, one in found.differences if one.part == "file" and one.path]
    if len(leaves) > 1:
        yield _map(leaves)
    if total:
        yield _differences(found, listed, total)


def _head(found: Findings, panels: Sequence[Panel]) -> Html:
    sides = zip(found.names, (found.comparison.left, found.comparison.right), strict=True)
    return element(
        "header",
        element("p", f"imagebuilder {found.command}", class_="brand"),
        element(
            "h1",
            element("span", "=" if found.same else "≠", class_="mark", aria_hidden="true"),
            f" {_VERDICTS[found.command, found.same]}",
            class_="same" if found.same else "differs",
        ),
        element("p", _lede(found), class_="lede"),
        element("dl", (_side(name, side) for name, side in sides), class_="sides"),
        contents(panels),
    )


def _lede(found: Findings) -> str:
    if found.audit and not found.audit.comparison:
        return "It could not be built again from what is here; the inputs below say why."
    if found.only_files:
        return "That is, their final file systems: only these were compared."
    if found.same:
        builds = f" {len(found.verdict.builds)} builds, under different conditions." if found.verdict else ""
        return f"Manifest, configuration and every layer, byte for byte.{builds}"
    causes = sum(one.count > 0 for one in findings.causes(found))
    follows = f"; {found.follows:,} more only follow from them" if found.follows else ""
    return f"{text.counted(found.count, 'difference')} of {text.counted(causes, 'cause')}{follows}."


def _side(name: str, side: Subject) -> Html:
    facts = [
        " · ".join(
            (image.platform, text.counted(len(image.layers), "layer"), text.size(sum(one.size for one in image.layers)))
        )
        for image in side.images
    ]
    return element(
        "div",
        element("dt", name),
        element("dd", element("b", side.reference), *(element("span", fact) for fact in facts)),
        element("dd", element("code", side.digest)) if side.digest else None,
    )


def _causes(causes: Iterable[FoundCause]) -> Panel:
    return Panel("causes", "Causes", element("ol", map(_cause, causes), class_="causes"))


def _cause(one: FoundCause) -> Html:
    count = one.count or one.follows
    others = f" and {text.counted(count - 1, 'other')}" if count > 1 else ""
    return element(
        "li",
        element("a", f"{count:,}", class_="count", href="#differences", data_filter="cause", data_value=one.cause.key),
        element(
            "div",
            element("h3", one.cause.title, " ", element("code", one.cause.key)),
            element("p", element("span", one.example, class_="path"), others),
            element("p", "because of ", element("b", ", ".join(one.blamed)), class_="blamed") if one.blamed else None,
            element("p", one.cause.remedy, class_="remedy"),
        ),
        class_=f"k-{one.cause.group}" + ("" if one.count else " follows"),
    )


def _layers(found: Findings) -> Iterator[Panel]:
    for number, image in enumerate(found.comparison.images):
        layers = findings.layers(image)
        if not layers:
            continue
        title = f"Layers of {image.left.platform}" if len(found.comparison.images) > 1 else "Layers"
        body = element("tbody", (_layer(layer) for layer in layers))
        names = ("layer", "state", *found.names, "differences")
        table = element("table", heads(names, numbers=3), body, class_="layers")
        segments = [
            Segment(one.pair.label, one.state, (one.left_size, one.right_size), _CLASSES[one.state]) for one in layers
        ]
        drawn = join(strip.html(segments, found.names), element("div", table, class_="wide"))
        yield Panel(f"layers-{number}" if number else "layers", title, drawn)


def _layer(one: FoundLayer) -> Html:
    link = element("a", f"{one.count:,}", href="#differences", data_filter="layer", data_value=one.pair.label)
    sizes = ("" if size is None else text.size(size) for size in (one.left_size, one.right_size))
    return element(
        "tr",
        element("td", one.pair.label, class_="path"),
        element("td", element("span", one.state, class_=f"state {_CLASSES[one.state]}")),
        (element("td", size, class_="number") for size in sizes),
        element("td", link if one.count else None, class_="number"),
    )


def _map(leaves: list[Leaf]) -> Panel:
    legend = (element("li", group, class_=f"k-{group}") for group in dict.fromkeys(leaf.kind for leaf in leaves))
    return Panel(
        "sizes",
        "Sizes",
        join(
            element("div", treemap.svg(leaves, "Sizes of the files that differ, by layer and folder"), class_="wide"),
            element("ul", legend, class_="legend"),
        ),
        note="Files that differ, by layer and folder; the area is the size of what differs, the colour its cause.",
    )


def _leaf(one: Difference) -> Leaf:
    return treemap.leaf(one.layer, one.path, size=one.size or _HEADER, kind=findings.cause(one).group)


def _differences(found: Findings, listed: list[tuple[str, Difference]], total: int) -> Panel:
    check = found.command == "check"
    names = ("where", "what", *found.names, "cause", *(("because of",) if check else ()))
    body = element("tbody", (_difference(one, blamed=check) for _, one in islice(listed, _STATIC)))
    left_out = f"The first {_STATIC} of {total:,}; the others need JavaScript." if total > _STATIC else None
    cut = f"{total - len(listed):,} more are in the document of --json only." if total > len(listed) else None
    return Panel(
        "differences",
        "Differences",
        join(
            element(
                "div",
                element("table", heads(names), body, class_="differences"),
                element("p", left_out, class_="note") if left_out else None,
                class_="static wide",
            ),
            element("div", class_="interactive", id="browser"),
            element("p", cut, class_="note") if cut else None,
        ),
    )


def _difference(one: Difference, *, blamed: bool) -> Html:
    return element(
        "tr",
        element("td", one.path or one.layer or one.part, class_="path"),
        element("td", one.aspect),
        element("td", one.left, class_="value"),
        element("td", one.right, class_="value"),
        element("td", one.cause),
        element("td", ", ".join(one.blamed)) if blamed else None,
        class_=f"k-{findings.cause(one).group}" + (" follows" if one.follows else ""),
    )


def _scenarios(verdict: Verdict) -> Panel:
    varied = findings.varied(verdict)
    lines = (
        element(
            "tr",
            element("td", name),
            element("td", varied.get(name, ""), class_="value"),
            element("td", _blamed(verdict, name), class_="number"),
        )
        for name in dict.fromkeys([*varied, *verdict.blamed])
    )
    head = heads(("varied", "to", "differences"), numbers=1)
    reasons = [element("div", element("dt", name), element("dd", why)) for name, why in verdict.not_varied.items()]
    not_varied = (element("h3", "Not varied", class_="apart"), element("dl", reasons, class_="facts"))
    table = element("table", head, element("tbody", lines), class_="scenarios")
    return Panel(
        "scenarios",
        "Variations",
        join(element("div", table, class_="wide"), not_varied if reasons else None, _builds(verdict)),
    )


def _builds(verdict: Verdict) -> Html:
    plain = verdict.builds[0].subject.digest
    lines = (
        element(
            "tr",
            _mark(same=built.subject.digest == plain),
            element("td", ", ".join(built.varied) or "nothing"),
            element("td", element("code", built.subject.digest[:19])),
        )
        for built in verdict.builds
    )
    return element(
        "details",
        element("summary", element("h3", text.counted(len(verdict.builds), "build"))),
        element("table", heads(("", "varied", "digest")), element("tbody", lines), class_="scenarios"),
    )


def _mark(*, same: bool) -> Html:
    return element("td", "=" if same else "≠", class_="same" if same else "differs")


def _blamed(verdict: Verdict, name: str) -> Html | None:
    count = verdict.blamed.get(name, 0)
    link = element("a", f"{count:,}", href="#differences", data_filter="blamed", data_value=name)
    return link if count else None


def _inputs(audit: Audit) -> Panel:
    head = heads(("input", "", "in the image", "here", ""))
    tables = [
        join(
            element("h3", image.platform, class_="apart") if len(audit.images) > 1 else None,
            element("table", head, element("tbody", map(_input, image.inputs)), class_="inputs"),
        )
        for image in audit.images
    ]
    note = f"Not audited, because the lock knows nothing of it: {', '.join(audit.not_audited)}"
    left_out = element("p", note, class_="note") if audit.not_audited else None
    return Panel("inputs", "Inputs", join(element("div", tables, class_="wide"), left_out))


def _input(one: AuditedInput) -> Html:
    return element(
        "tr",
        element("td", one.name),
        _mark(same=one.same),
        element("td", one.expected, class_="value"),
        element("td", one.found, class_="value"),
        element("td", one.detail),
    )


def _foot(found: Findings) -> Html:
    return element("footer", element("p", f"imagebuilder {found.command} --html · everything is in this file"))
