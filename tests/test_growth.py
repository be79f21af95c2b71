"""Growth is told as it is: fits find the power of what grows, charts and records keep every point."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.growth import __main__ as command
from benchmarks.growth import chart, growths, subjects
from benchmarks.growth.fit import fit
from benchmarks.growth.growths import SCENARIOS, Growth
from benchmarks.peers.measure import Cost

SIZES = (100, 1_000, 10_000, 100_000)


def growth_of(subject: str = "files", power: float = 1.0) -> Growth:
    growth = Growth(subject, "2026-01-01T00:00Z", "abc1234", "2 cores")
    for size in SIZES:
        for scenario in SCENARIOS:
            cpu = 0.1 if scenario == "no-op" else 0.1 + 1e-4 * size**power
            for spread in (0, -0.01, 0.01):
                growth.add(scenario, size, Cost(2 * cpu, cpu + spread, 40_000_000))
    return growth


@pytest.mark.parametrize(("power", "superlinear"), [(0.8, False), (1.0, False), (1.1, False), (1.2, True), (2, True)])
def test_the_power_of_growth_is_found(power: float, superlinear: bool) -> None:
    found = fit([(size, 0.3 + 1e-3 * size**power) for size in SIZES])
    assert found.exponent == pytest.approx(power, rel=0.03)
    assert found.superlinear is superlinear


def test_a_line_is_found_with_its_beginning() -> None:
    found = fit([(size, 0.3 + 2e-5 * size) for size in SIZES])
    assert (found.base, found.each) == (pytest.approx(0.3), pytest.approx(2e-5))


@pytest.mark.parametrize("costs", [(0.1, 0.1, 0.1, 0.1), (0.1, 0.12, 0.09, 0.14), (0.1, 0.2, 0.2, 0.12)])
def test_what_hardly_grows_has_no_exponent(costs: tuple[float, ...]) -> None:
    assert fit(list(zip(SIZES, costs, strict=True))).exponent is None


def test_growth_above_that_of_the_work_is_warned_of() -> None:
    assert list(growth_of().warnings()) == []
    warnings = list(growth_of(power=1.5).warnings())
    assert "cold: seconds of the processor grow with the power 1.47 of files" in warnings
    assert not any("no-op" in warning or "memory" in warning for warning in warnings)


def test_what_is_written_of_growth_is_read_again_and_replaced_by_subject(tmp_path: Path) -> None:
    before = {"files": growth_of(), "bytes": growth_of("bytes")}
    growths.write(before, tmp_path / "growth.json")
    assert growths.read(tmp_path / "growth.json") == before
    kept = growths.merged(before, {"packages": growth_of("packages"), "bytes": growth_of("bytes", 2)})
    assert list(kept) == ["files", "packages", "bytes"]
    assert kept["files"] is before["files"]
    assert kept["bytes"].fit("cold", "cpu_s").superlinear


def test_the_table_says_what_was_fitted() -> None:
    table = command._tables({"files": growth_of()})
    assert "- files: medians of 3, 2026-01-01T00:00Z, commit abc1234; 2 cores, with a load" in table
    seconds = "0.11 to 10.10 | 0.22 to 20.20"
    row = f"| files | cold | 100 to 100,000 | {seconds} | 40 to 40 | 0.10 s + 0.1 ms for each | 1.00, none |"
    assert row in table.splitlines()
    assert "**1.47**" in command._tables({"files": growth_of(power=1.5)})


def test_the_chart_has_every_point() -> None:
    drawing = ET.fromstring(chart.lines({subject: growth_of(subject) for subject in subjects.SIZES}))
    points = [each.attrib["class"] for each in drawing.iter("{http://www.w3.org/2000/svg}circle")]
    assert points.count("c0") == len(subjects.SIZES) * len(SIZES) * 2 + 1, "seconds and memory, and the legend"


def test_packages_are_as_large_however_many_there_are() -> None:
    shares = [subjects._share(number) for number in range(300)]
    assert shares[:5] == [1 / 2, 1 / 4, 3 / 4, 1 / 8, 5 / 8]
    assert len(set(shares)) == 300
    for count in (3, 30, 300):
        assert sum(shares[:count]) / count == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("subject", "size"), [("files", 150), ("bytes", 1_000_000), ("packages", 2)])
def test_applications_have_as_much_as_is_asked_for(subject: str, size: int, tmp_path: Path) -> None:
    subjects._write(tmp_path, subject, size)
    made = [path for path in (tmp_path / "application").rglob("*.txt") if path.is_file()]
    found = {
        "files": len(made),
        "bytes": sum(path.stat().st_size for path in made),
        "packages": len(list((tmp_path / "wheels of growth").iterdir())) if subject == "packages" else 0,
    }
    assert found[subject] == size
