"""Reports in every form but the page: what they say, that they are well formed, and that names in them are inert."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from imagebuilder import cli, display, reports, text
from imagebuilder.reports import document, findings, junit, schema, summary, terminal
from imagebuilder.reports.findings import Result
from imagebuilder.reports.terminal import Terminal
from layers.canonical import encode
from reproducibility.causes import CAUSES
from reproducibility.difference import Difference, LayerPair
from tests import comparisons

RESULTS = {
    "diff": comparisons.differing(),
    "same": comparisons.same(),
    "hostile": comparisons.hostile(),
    "check": comparisons.verdict(comparisons.differing()),
    "check, hostile": comparisons.verdict(comparisons.hostile()),
    "check, same": comparisons.verdict(comparisons.same()),
    "audit": comparisons.audit(comparisons.differing()),
    "audit, same": comparisons.audit(comparisons.same()),
    "audit, not built": comparisons.audit(None),
}
every_result = pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)


def publish(result: Result, *flags: str) -> int:
    commands = {"diff": lambda chosen, console: reports.publish(result, chosen, console)}
    return cli.run(["diff", "a", "b", *flags], commands=commands)


def shown(result: Result, width: int = 80, *, colour: bool = False) -> list[str]:
    return terminal.lines(findings.of(result), Terminal(width, colour))


# --- publishing ---


def test_the_exit_code_is_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(comparisons.same()) == 0
    assert publish(comparisons.differing()) == 1
    assert capsys.readouterr().out.splitlines()[0] == f"same: {comparisons.digest('a')}"


def test_everything_that_was_asked_for_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, cases = tmp_path / "page.html", tmp_path / "cases.xml"
    assert publish(comparisons.differing(), "--html", str(page), "--junit", str(cases), "--json") == 1
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")
    assert ET.parse(cases).getroot().tag == "testsuites"
    assert json.loads(capsys.readouterr().out)["same"] is False


def test_a_page_that_cannot_be_written_is_an_error_of_storage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(comparisons.same(), "--html", str(tmp_path / "missing" / "page.html")) == 7
    assert "error[IB601]" in capsys.readouterr().err


def test_a_step_of_github_has_outputs_and_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, markdown = tmp_path / "outputs", tmp_path / "summary.md"
    for name, value in {"ACTIONS": "true", "OUTPUT": str(outputs), "STEP_SUMMARY": str(markdown)}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert publish(comparisons.differing()) == 1
    assert outputs.read_text() == f"verdict=differs\ndifferences=8\ndigest={comparisons.digest('a')}\n"
    assert markdown.read_text().startswith("### imagebuilder diff: differs\n")


# --- JSON ---


@every_result
def test_every_document_is_as_its_schema_says(result: Result) -> None:
    described = json.loads(display.json_line(document.document(findings.of(result))))
    published = json.loads(encode(schema.schema()))
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.Draft202012Validator(published).validate(described)


def test_the_schema_is_printed_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["schema", "report"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "report of imagebuilder check, diff or audit"
    assert cli.run(["schema", "reprot"]) == 2
    assert "did you mean `report`?" in capsys.readouterr().err


def test_the_schema_refuses_what_no_report_says() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(encode(schema.schema())))
    good = json.loads(display.json_line(document.document(findings.of(comparisons.differing()))))
    for key, value in (("command", "build"), ("scenarios", {}), ("same", "no"), ("differences", [{}]), ("extra", 1)):
        assert not validator.is_valid({**good, key: value}), key


def test_a_document_knows_every_difference_and_what_it_comes_from() -> None:
    described = document.document(findings.of(comparisons.verdict(comparisons.differing())))
    assert described["counts"] == {"differences": 8, "consequences": 3}
    assert len(list(described["differences"])) == len(comparisons.DIFFERENCES)  # type: ignore[arg-type]  # it is a list
    assert described["scenarios"]["blamed"] == {"clock": 3, "source + temp": 1, "chance": 1}  # type: ignore[index, call-overload]  # an object


def test_a_document_is_utf_8_that_strict_programs_read() -> None:
    line = display.json_line(document.document(findings.of(comparisons.hostile())))
    assert not re.search(r"(?<!\\)(\\\\)*\\ud[89a-f]", line, re.IGNORECASE)  # no escape of half a surrogate pair
    names = {one["path"] for one in json.loads(line.encode())["differences"]}
    assert r"caf\udce9/na\ud800me" in names
    assert "exe.\u202egpj.tar" in names  # what UTF-8 can say is kept


# --- the terminal ---


@every_result
@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(result: Result, width: int) -> None:
    for line in shown(result, width):
        assert text.columns(line) <= width, line


def test_the_verdict_comes_first_then_layers_causes_and_differences() -> None:
    lines = shown(comparisons.differing())
    assert lines[0] == "differs: 8 differences of 8 causes"
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles[1:] == ["layers", "causes", "differences"]
    assert f"     {CAUSES['created'].remedy}" in lines
    assert lines[-1] == "  and 3 that only follow from these"


def test_a_cause_comes_with_what_is_responsible_for_it() -> None:
    lines = shown(comparisons.verdict(comparisons.differing()))
    at = lines.index("  1  time of a file (mtime)")
    assert lines[at + 1 : at + 3] == ["     workspace/app.py", "     because of clock"]
    assert "  ≠  clock   +400 days" in lines
    assert "     filesystem  there is no other writable file system" in lines


def test_values_that_begin_alike_are_shown_from_where_they_differ() -> None:
    folder = "/dev/shm/imagebuilder/14895-3"
    found = comparisons.differing(
        Difference("file", "a", "content", f"{folder}/source/app", f"{folder}/elsewhere/app", "build-path"),
        Difference("file", "b", "content", f"https://me:{'x' * 40}1@host", f"https://me:{'x' * 40}2@host", "source"),
    )
    assert shown(found)[-2:] == [
        "  build-path  a  …14895-3/source/app → …14895-3/elsewhere/…",
        "  source      b  https://***@host",
    ]


def test_an_audit_says_which_input_differs() -> None:
    lines = shown(comparisons.audit(None))
    assert lines[0] == "differs: it could not be built again"
    assert "  ≠  lock     sha256:eeeeeeeeeeee → sha256:ffffffffffff  flask 3.1.0 -> 3.1.1" in lines
    assert "  not audited: linux/arm64" in lines


def test_long_tables_end_with_what_is_left_out() -> None:
    lines = shown(comparisons.many(1000))
    assert lines[-1] == "  … and 960 more; `--html FILE` and `--json` show all"
    assert len(lines) < 80
    many = tuple(LayerPair(f"layer {place}", (0,), (0,), "no" if place == 7 else "stored") for place in range(30))
    lines = shown(comparisons.differing(pairs=many))
    assert "layers, without 29 equal ones" in lines
    assert sum("  layer " in line for line in lines) == 1


def test_file_systems_that_are_the_same_are_not_called_images_that_are() -> None:
    compared = comparisons.files_only()
    assert shown(compared)[0] == "same: the file systems"
    assert comparisons.digest("b") in "".join(shown(compared))


def test_colours_are_there_only_if_they_are_wanted() -> None:
    assert "\x1b[31mdiffers:\x1b[0m" in shown(comparisons.differing(), colour=True)[0]
    assert not any("\x1b" in line for line in shown(comparisons.differing()))


# --- JUnit ---

# The elements of Jenkins' junit-10.xsd that are used here, with the attributes that each may have.
JUNIT = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "classname", "time", "assertions", "status"},
    "failure": {"message", "type"},
    "skipped": {"message", "type"},
}


@every_result
def test_every_junit_document_is_as_its_schema_says(result: Result) -> None:
    root = ET.fromstring(junit.xml(findings.of(result)))
    for one in root.iter():
        assert set(one.keys()) <= JUNIT[one.tag]
    suite = root.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases)) == root.get("tests")
    assert suite.get("failures") == str(sum(case.find("failure") is not None for case in cases))
    assert suite.get("skipped") == str(sum(case.find("skipped") is not None for case in cases))
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    same = findings.of(result).same
    assert (suite.get("failures") == "0") == same


def test_a_test_case_fails_for_each_part_and_variation_that_differs() -> None:
    root = ET.fromstring(junit.xml(findings.of(comparisons.verdict(comparisons.differing()))))
    failed = {case.get("name") for case in root.iter("testcase") if case.find("failure") is not None}
    layers = {"1 python 3.13.5", "2 site-packages", "3 workspace"}
    assert failed == {"manifest", "config", *layers, "clock", "source + temp", "chance"}
    assert [case.get("name") for case in root.iter("testcase") if case.find("skipped") is not None] == ["filesystem"]


# --- names from outside ---


@pytest.mark.parametrize("result", [RESULTS["hostile"], RESULTS["check, hostile"]], ids=["diff", "check"])
def test_names_are_inert_everywhere(result: Result) -> None:
    found = findings.of(result)
    terminals = "\n".join(terminal.lines(found, Terminal(200)))
    markdown = "\n".join(summary.markdown(found))
    outputs = "\n".join(summary.outputs(found).values())
    for written in (terminals, markdown, junit.xml(found).decode(), display.json_line(document.document(found))):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ud800-\udfff]", written)
    assert "<img" not in markdown
    assert "<script" not in markdown
    assert not re.search(r"(?<!\\)\|[^|\n]*<", markdown)
    assert "onerror" in terminals
    assert outputs


def test_a_cause_that_is_not_in_the_table_counts_as_unknown() -> None:
    found = comparisons.differing(Difference("file", "a", "content", "", "", "new-cause"))
    assert findings.causes(findings.of(found))[0].cause is CAUSES["unknown"]
