"""The registry of these tests, held to the distribution specification by the specification's own program.

`go install github.com/opencontainers/distribution-spec/conformance@main` makes it; without it nothing is tried.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.registry import Registry

PROGRAM = shutil.which("conformance")

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(not PROGRAM, reason="the conformance program of the distribution specification is not here"),
]


@pytest.mark.parametrize("rules", [{}, {"scheme": "basic"}, {"scheme": "bearer"}], ids=["open", "basic", "bearer"])
def test_the_registry_of_the_tests_conforms(
    rules: dict[str, str], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    users = {"ann": "secret"} if rules else {}
    with Registry(users=users, **rules).running() as registry:  # type: ignore[arg-type]
        settings = {"OCI_REGISTRY": registry.address, "OCI_TLS": "disabled", "OCI_RESULTS_DIR": str(tmp_path)}
        login = {"OCI_USERNAME": "ann", "OCI_PASSWORD": "secret"} if rules else {}
        run = [str(PROGRAM)]
        ended = subprocess.run(run, env=os.environ | settings | login, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout[-4000:]
    counts = {name: int(value) for name, value in _suite(tmp_path / "junit.xml").items() if value.isdigit()}
    tried = counts["tests"] - counts.get("skipped", 0) - counts.get("disabled", 0)
    record_property("attacks", tried)
    assert tried > 800
    assert (counts["failures"], counts["errors"]) == (0, 0)


def _suite(report: Path) -> dict[str, str]:
    suite = ET.parse(report).find("testsuite")
    return {} if suite is None else dict(suite.attrib)
