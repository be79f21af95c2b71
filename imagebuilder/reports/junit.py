"""The report as JUnit XML: a test case for every part of the image, every variation of a check, every audited input.

The form is that of Jenkins' junit-10.xsd, which GitLab, GitHub's actions and others read too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as ET

from imagebuilder import text
from imagebuilder.reports import findings
from imagebuilder.reports.findings import Findings
from layers.values import dataclass
from reproducibility.difference import Difference

_MOST = 50  # differences that a failure lists


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case. It has failed if there is a `failure`, and was not run if there is a reason why it was `skipped`."""

    group: str
    name: str
    failure: str = ""
    details: tuple[str, ...] = ()
    skipped: str = ""


def xml(found: Findings) -> bytes:
    """Write the report as a document in UTF-8."""
    cases = [*_parts(found), *_variations(found), *_inputs(found)]
    counts = {
        "name": f"imagebuilder {found.command}",
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "errors": "0",
    }
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {**counts, "skipped": str(sum(bool(case.skipped) for case in cases))})
    for case in cases:
        _write(suite, case, f"imagebuilder.{found.command}.{case.group}")
    ET.indent(suites)
    written: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _write(suite: ET.Element, case: _Case, group: str) -> None:
    written = ET.SubElement(suite, "testcase", {"classname": group, "name": text.printable(case.name)})
    if case.failure:
        failure = ET.SubElement(written, "failure", {"message": text.printable(case.failure), "type": "difference"})
        failure.text = "\n".join(map(text.printable, case.details))
    if case.skipped:
        ET.SubElement(written, "skipped", {"message": text.printable(case.skipped)})


def _parts(found: Findings) -> Iterator[_Case]:
    comparison = found.comparison
    if comparison.left.index or comparison.right.index or comparison.differences:
        yield _part("image", "index", comparison.differences)
    for image in comparison.images:
        platform = f"{image.left.platform} " if len(comparison.images) > 1 else ""
        for part in ("manifest", "config"):
            yield _part("image", f"{platform}{part}", [one for one in image.differences if one.part == part])
        for layer in findings.layers(image):
            label = layer.pair.label
            yield _part("layers", f"{platform}{label}", [one for one in image.differences if one.layer == label])
        loose = [one for one in image.differences if one.part in ("layer", "file") and not one.layer]
        if loose:
            yield _part("image", f"{platform}files", loose)


def _part(group: str, name: str, differences: Iterable[Difference]) -> _Case:
    found = list(differences)
    if not found:
        return _Case(group, name)
    counted = Counter(findings.cause(one).title for one in found).most_common()
    causes = ", ".join(f"{title} ({count})" for title, count in counted)
    lines = [f"{one.cause}: {one.path or one.aspect}: {one.left} -> {one.right} {one.note}" for one in found[:_MOST]]
    if len(found) > _MOST:
        lines.append(f"and {len(found) - _MOST} more")
    return _Case(group, name, causes, tuple(lines))


def _variations(found: Findings) -> Iterator[_Case]:
    if not found.verdict:
        return
    for name in dict.fromkeys([*findings.varied(found.verdict), *found.verdict.blamed]):
        count = found.verdict.blamed.get(name, 0)
        blamed = [one for one in found.comparison.everything if name in one.blamed]
        paths = tuple(one.path or one.layer or one.part for one in blamed[:_MOST])
        yield _Case("variations", name, f"differences because of it: {count}" if count else "", paths)
    for name, reason in found.verdict.not_varied.items():
        yield _Case("variations", name, skipped=reason)


def _inputs(found: Findings) -> Iterator[_Case]:
    for image in found.audit.images if found.audit else ():
        for one in image.inputs:
            failure = "" if one.same else f"{one.expected or '(none)'} -> {one.found or '(none)'}"
            yield _Case("inputs", f"{image.platform} {one.name}", failure, (one.detail,))
    for platform in found.audit.not_audited if found.audit else ():
        yield _Case("inputs", platform, skipped="the lock knows nothing of it")
