"""Benchmarks say what was measured: runs are kept by workload, goals and regressions are told, bytes are right."""

import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.peers import chart, floor, goals, history, report, results
from benchmarks.peers.measure import Cost, median
from benchmarks.peers.results import FLOOR, OURS, SCENARIOS, Run
from tests import wheels

DOCKER = "docker, uv"


def run_of(workload: str = "medium", *, rounds: int = 1, scale: float = 1.0, **seconds: float) -> Run:
    """Return a run in which each scenario takes a builder the same: ours 0.1 s, or what is said."""
    run = Run(workload, "2026-01-01T00:00Z", "abc1234", "2 cores", scale, rounds)
    taken = {OURS: seconds.get("ours", 0.1), DOCKER: seconds.get("docker", 2.0), FLOOR: seconds.get("floor", 0.08)}
    for scenario in SCENARIOS:
        for builder, each in taken.items():
            for number in range(rounds):
                run.add(scenario, builder, Cost(each, each / 2, 40_000_000, 1000, 0, 1, 0), f"sha256:{number}")
    return run


def met(run: Run) -> dict[str, bool]:
    return {goal: met for goal, _, met in goals.rows(run)}


def test_what_is_written_of_runs_is_read_again(tmp_path: Path) -> None:
    runs = {"medium": run_of(rounds=3), "files": run_of("files", scale=0.1)}
    results.write(runs, tmp_path / "peers.json")
    assert results.read(tmp_path / "peers.json") == runs
    assert results.read(tmp_path / "none.json") == {}


def test_a_run_takes_the_place_of_its_own_workload_only() -> None:
    before = {"tiny": run_of("tiny"), "large": run_of("large", ours=9)}
    after = {"large": run_of("large", ours=5), "medium": run_of()}
    kept = results.merged(before, after, ("tiny", "medium", "large", "files"))
    assert list(kept) == ["tiny", "medium", "large"]
    assert kept["tiny"] is before["tiny"]
    assert kept["large"] is after["large"]


def test_a_median_is_of_each_figure_by_itself_and_memory_the_most() -> None:
    costs = [Cost(1, 9, 5, 1, 2, 3, 4), Cost(2, 7, 9, 1, 2, 5, 4), Cost(9, 8, 7, 1, 2, 4, 4)]
    assert median(costs) == Cost(2, 8, 9, 1, 2, 4, 4)
    assert median([Cost(1, 1, 1), *costs]).asked_registry is None, "who does not count has no median"


@pytest.mark.parametrize(("rounds", "digests", "answer"), [(1, 1, None), (2, 1, True), (2, 2, False)])
def test_cold_builds_are_reproducible_if_they_have_one_digest(rounds: int, digests: int, answer: bool | None) -> None:
    run = run_of(rounds=rounds)
    run.digests["cold", DOCKER] = [f"sha256:{number % digests}" for number in range(rounds)]
    assert run.reproducible(DOCKER) is answer


def test_every_table_says_where_it_comes_from() -> None:
    runs = {"tiny": run_of("tiny", rounds=5), "files": run_of("files", scale=0.5)}
    tables = report.tables(runs)
    assert "Medians of 5 rounds, 2026-01-01T00:00Z, commit abc1234" in tables
    assert "### files: 10,000 files, 1.0 GB\n\nOne round" in tables
    assert "| cold | docker, uv | 2.000 | 20.0 | 1.00 | 0.00 | 0.00 | 1 + 0 | 40 |" in tables
    assert len({line.count("|") for line in tables.splitlines() if line.startswith("| cold")}) == 1


def test_a_document_keeps_what_is_not_between_the_marks(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("a\n<!-- measured -->\nold\n<!-- end of what was measured -->\nb\n")
    report.between("measured", r"new \1", document)
    assert document.read_text() == "a\n<!-- measured -->\nnew \\1\n<!-- end of what was measured -->\nb\n"
    with pytest.raises(AssertionError, match="0 places"):
        report.between("growth", "new", document)


def test_goals_are_met_where_the_figures_say_so() -> None:
    good, bad = met(run_of()), met(run_of(ours=0.5, docker=0.6, floor=0.2))
    assert set(good) == set(bad)
    assert all(good.values())
    assert {goal for goal, is_met in bad.items() if is_met} == {
        "fresh runner: 0.5 s",
        "fresh runner: no packages fetched",
        "memory: 150 MB",
        "no-op: one request to the registry for its tag, none to the index",
        "one added: 1 MB sent beyond its wheel",
    }


def test_a_no_op_asks_the_registry_once() -> None:
    run = run_of()
    run.costs["no-op", OURS] = [Cost(0.1, 0.05, 1, 0, 0, 2, 0)]
    assert not met(run)["no-op: one request to the registry for its tag, none to the index"]


def test_many_files_have_goals_of_their_own() -> None:
    assert met(run_of("files", scale=0.0075))["cold: 150 MB of files a second"]
    assert not met(run_of("files", scale=0.0074))["cold: 150 MB of files a second"]
    assert not met(run_of("files", ours=1.1))["app change: 1 s"]
    assert "fresh runner: 0.5 s" not in met(run_of("files"))


def test_a_regression_shows_in_the_history(tmp_path: Path) -> None:
    lines = tmp_path / "history.jsonl"
    history.append({"medium": run_of(ours=0.1)}, lines)
    history.append({"tiny": run_of("tiny")}, lines)
    assert history.slower({"medium": run_of(ours=0.12)}, lines) == []
    assert history.slower({"medium": run_of(ours=0.13)}, lines)[0] == (
        "medium, cold: the fastest peer takes 15.38 times our seconds, it was 20.00"
    )
    assert history.slower({"medium": run_of(ours=0.13, docker=2.6)}, lines) == [], "the machine was slower, not we"


def test_only_runs_of_the_same_work_are_compared(tmp_path: Path) -> None:
    lines = tmp_path / "history.jsonl"
    assert history.slower({"files": run_of("files")}, lines) == [], "there is nothing before the first run"
    history.append({"files": run_of("files", scale=0.1)}, lines)
    slow = run_of("files", ours=1)
    assert history.slower({"files": slow}, lines) == []
    alone = run_of("files", scale=0.1, ours=1)
    alone.costs = {cell: costs for cell, costs in alone.costs.items() if cell[1] != DOCKER}
    history.append({"files": alone}, lines)
    slow.scale = 0.1
    assert len(history.slower({"files": slow}, lines)) == len(SCENARIOS), "a run without peers hides none with them"


@pytest.mark.parametrize("columns", [1, 2])
def test_the_chart_has_a_mark_for_every_build(columns: int) -> None:
    runs = {name: run_of(name) for name in ("tiny", "medium", "large")}
    drawing = ET.fromstring(chart.dots(runs, columns))
    shapes = [each.attrib.get("class") for each in drawing.iter() if each.tag.endswith(("}circle", "}rect"))]
    assert shapes.count("c0") == shapes.count("c1") == len(runs) * len(SCENARIOS) + 1, "and one in the legend"
    words = [each.text for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("20\N{MULTIPLICATION SIGN}") == len(runs) * len(SCENARIOS)


def test_names_in_a_chart_are_escaped() -> None:
    assert ET.fromstring(chart.text(1, 2, "<a> & b")).text == "<a> & b"


def test_the_floor_makes_the_layers_that_its_wheels_mean(tmp_path: Path) -> None:
    content = {"demo.py": b"VALUE = 1\n" * 20_000, f"{'deep/' * 25}x.py": b"", "small.txt": b"words"}
    wheel = wheels.build(tmp_path, files=content)
    hasher = hashlib.sha256()
    tar = gzip.decompress(b"".join(floor.compressed(floor.pieces_of_wheel(wheel.read_bytes()), hasher, map)))
    assert hashlib.sha256(tar).digest() == hasher.digest()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive, zipfile.ZipFile(wheel) as members:
        found = {re.sub(".*/site-packages/", "", each.name): archive.extractfile(each) for each in archive}
        assert {name: file.read() for name, file in found.items() if file} == {
            name: members.read(name) for name in members.namelist()
        }


def test_the_floor_packs_files_in_chunks(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}").write_bytes(bytes([number]) * (1 << 20))
    files = sorted(floor.listed(str(tmp_path)))
    tar = gzip.decompress(
        b"".join(floor.compressed(floor.pieces_of_files(str(tmp_path), files), hashlib.sha256(), map))
    )
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == [f"workspace/{number:02}" for number in range(12)]
