"""The report for a step of GitHub Actions: its summary in Markdown and its outputs."""

from collections.abc import Iterator, Sequence

from imagebuilder.github import cell
from imagebuilder.reports import findings
from imagebuilder.reports.findings import Findings

_MOST = 20  # rows of a table


def outputs(found: Findings) -> dict[str, str]:
    """Return the outputs of the step."""
    return {
        "verdict": "same" if found.same else "differs",
        "differences": str(found.count),
        "digest": found.comparison.left.digest,
    }


def markdown(found: Findings) -> Iterator[str]:
    """Yield the lines of the summary."""
    left, right = found.comparison.left, found.comparison.right
    yield f"### imagebuilder {found.command}: {'same' if found.same else 'differs'}"
    yield ""
    yield f"{found.names[0]}: {cell(left.reference)} {cell(left.digest)}  "
    yield f"{found.names[1]}: {cell(right.reference)} {cell(right.digest)}"
    yield from _causes(found)
    yield from _differences(found)
    yield from _variations(found)
    yield from _inputs(found)


def _causes(found: Findings) -> Iterator[str]:
    rows = [
        (str(one.count), one.cause.title, cell(one.example), cell(", ".join(one.blamed)), cell(one.cause.remedy))
        for one in findings.causes(found)
        if one.count
    ]
    yield from _table(("differences", "cause", "for example", "because of", "what helps"), rows)


def _differences(found: Findings) -> Iterator[str]:
    rows = [
        (cell(one.path or one.layer or one.part), one.cause, cell(one.left[:40]), cell(one.right[:40]))
        for one in found.comparison.everything
        if not one.follows
    ]
    yield from _table(("where", "cause", *found.names), rows)


def _variations(found: Findings) -> Iterator[str]:
    if found.verdict:
        varied = findings.varied(found.verdict)
        blamed = found.verdict.blamed
        rows = [(cell(name), cell(value), str(blamed.get(name, ""))) for name, value in varied.items()]
        rows += [(cell(name), "", str(count)) for name, count in blamed.items() if name not in varied]
        rows += [(cell(name), f"not varied: {cell(reason)}", "") for name, reason in found.verdict.not_varied.items()]
        yield from _table(("variation", "value", "differences"), rows)


def _inputs(found: Findings) -> Iterator[str]:
    rows = [
        (image.platform, one.name, "same" if one.same else "differs", cell(one.expected), cell(one.found))
        for image in (found.audit.images if found.audit else ())
        for one in image.inputs
    ]
    yield from _table(("platform", "input", "", "in the image", "here"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield from ("", _row(head), _row(("---",) * len(head)))
        yield from map(_row, rows[:_MOST])
    if len(rows) > _MOST:
        yield from ("", f"and {len(rows) - _MOST} more")


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
