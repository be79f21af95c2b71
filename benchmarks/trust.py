"""What can be trusted, counted by the tests that attack it, beside what was measured of others.

    python benchmarks/trust.py [--all-faults] [-n 2]     further words go to pytest

Runs the tests of docs/security.md and prints one row for each kind of attack: how many cases there were, how many
ended as promised, how many this machine cannot try. Exits with 1 if one got through. `--all-faults` tries every system
call of a build, in some minutes, and not a sample of them.
"""

import fnmatch
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Row:
    """A kind of attack: which tests count, as FILE::NAME with wildcards, and what others reach."""

    name: str
    tests: Sequence[str]
    others: str


ROWS = (
    Row(
        "hostile registries",
        ("test_hostile_registry::*", "test_hostile_commands::*"),
        "of 17: crane 16, skopeo 1.9.3 10; oras-py 4 of 15",
    ),
    Row(
        "tars to refuse (malo, 75, three readers)",
        ("test_corpora::*malo/tar/malicious*", "test_corpora::*malo/tar/reject*"),
        "of 75 refused: tarfile 3, GNU tar 10",
    ),
    Row(
        "zips to refuse (malo, 21)",
        ("test_corpora::*malo/zip/malicious*", "test_corpora::*malo/zip/reject*"),
        "of 21 refused: zipfile 2",
    ),
    Row(
        "zstd to refuse (malo, 31, two readers)",
        ("test_corpora::*malo/zstd/malicious*", "test_corpora::*malo/zstd/reject*"),
        "of 31 refused: backports.zstd 31, zstandard 21",
    ),
    Row(
        "hostile wheels",
        ("test_hostile_wheels::*",),
        "of 13 refused: installer 8, with RECORD 9; pip 23.2.1 5; uv 0.13.8 3",
    ),
    Row("wheels that the index refuses", ("test_corpora::*warehouse/reject*",), "not measured"),
    Row("archives to be read", ("test_corpora::*/accept/*",), "tarfile 7 of 7, zipfile 9 of 9"),
    Row("layers that break out", ("test_corpora::test_no_layer_breaks_out*",), "containerd 34, umoci ~30, apko 7"),
    Row("bombs (256 MiB, 5 s)", ("test_bombs::*",), "not measured"),
    Row("damaged blobs and records", ("test_tampering::*",), "umoci: 2 kinds of damage, each blob of a layout"),
    Row("failing system calls", ("test_store_faults::*",), "none found"),
    Row("builds and pushes side by side", ("test_shared_cache::*",), "none found"),
    Row("secrets", ("test_secrets::*",), "none found"),
    Row("hostile source trees", ("test_hostile_sources::*",), "none found"),
    Row("hostile builds from source", ("test_hostile_builds::*", "test_sandbox::*"), "uv, pip: not shut in"),
    Row("parsers under 150 changed inputs each, and findings", ("test_fuzz::*",), "not measured"),
    Row(
        "conformance of the registry of these tests",
        ("test_conformance::*",),
        "failures of about 900: distribution 3.1.1 94, Debian's 2.8.2 99, crane 471",
    ),
)
FILES = (
    *("tests/test_hostile_registry.py", "tests/test_hostile_commands.py", "tests/test_corpora.py"),
    *("tests/test_tampering.py", "tests/test_store_faults.py", "tests/test_shared_cache.py", "tests/test_secrets.py"),
    *("tests/test_hostile_wheels.py", "tests/test_bombs.py", "tests/test_fuzz.py", "tests/test_conformance.py"),
    *("tests/test_hostile_sources.py", "tests/test_hostile_builds.py", "tests/imagebuilder/test_sandbox.py"),
)


@dataclass(frozen=True)
class Case:
    """A test that was run: how it ended, for how many attacks it stands, and if it says so, how an archive is taken."""

    name: str
    outcome: str
    attacks: int
    decided: str


def cases(report: Path) -> Iterator[Case]:
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        ended = {child.tag for child in case}
        outcome = "skipped" if "skipped" in ended else "failed" if ended & {"failure", "error"} else "held"
        said = {each.get("name"): each.get("value", "") for each in case.iter("property")}
        yield Case(name, outcome, int(said.get("attacks", 1)), said.get("decided", ""))


def line(row: Row, ran: Sequence[Case]) -> str:
    counts: Counter[str] = Counter()
    for case in ran:
        if any(fnmatch.fnmatchcase(case.name, pattern) for pattern in row.tests):
            counts[case.outcome] += case.attacks
            counts[case.decided] += case.outcome == "held"
    tried, held = counts["held"] + counts["failed"], str(counts["held"])
    if counts["refused"] and counts["read"]:
        held += f" ({counts['refused']} refused, {counts['read']} read)"
    return f"| {row.name} | {tried} | {held} | {counts['skipped']} | {row.others} |"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        words = ["-q", "-o", "junit_family=xunit1", f"--junit-xml={report}", *FILES, *sys.argv[1:]]
        ended = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, check=False).returncode
        ran = list(cases(report))
    print("\n| | cases | as promised | not tried here | others |\n|---|---|---|---|---|")
    for row in ROWS:
        print(line(row, ran))
    return 1 if ended else 0


if __name__ == "__main__":
    sys.exit(main())
