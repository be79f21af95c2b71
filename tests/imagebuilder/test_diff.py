"""`diff`: two images from the command line to the verdict; equal ones are told from their digests alone."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagebuilder import cli, layout
from tests import images
from tests.fake_docker import Engine
from tests.images import Made
from tests.registry import Registry
from tests.world import ROOT

pytestmark = pytest.mark.usefixtures("clean_environment")


def make(folder: Path, text: str = "hi\n") -> tuple[Made, str]:
    made = images.small(folder / "store", text=text)
    layout.write_layout(made.image, made.store, folder / "shop", names=["1.0"])
    return made, f"oci:{folder}/shop"


def differences(out: str) -> list[tuple[str, str, str]]:
    document: Mapping[str, list[Mapping[str, str]]] = json.loads(out)
    return [(one["part"], one["path"], one["cause"]) for one in document["differences"] if not one["follows"]]


def test_equal_images_of_a_registry_take_a_request_each(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, place = make(tmp_path)
    names = [f"{registry.address}/{name}:1.0" for name in ("shop", "live")]
    assert cli.run(["push", place, *names, "-q"]) == 0
    registry.traffic.requests.clear()
    capsys.readouterr()
    assert cli.run(["diff", *names]) == 0
    assert capsys.readouterr().out.startswith(f"same: {made.image.manifest.digest}")
    asked = [request.path for request in registry.traffic.requests if request.path != "/v2/"]
    assert asked == ["/v2/shop/manifests/1.0", "/v2/live/manifests/1.0"]


def test_an_image_is_equal_to_itself_wherever_it_is(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, place = make(tmp_path)
    name = f"{registry.address}/shop:1.0"
    assert cli.run(["push", place, name, "-q"]) == 0
    for left, right in (place, place), (place, name), (name, place):
        assert cli.run(["diff", left, right, "--json"]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["same"] is True


def test_equal_images_are_told_without_what_only_a_comparison_needs(tmp_path: Path) -> None:
    made, place = make(tmp_path)
    for layer in made.image.layers:  # nobody looks at them
        (tmp_path / "shop" / "blobs" / "sha256" / layer.descriptor.digest.hex).unlink()
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "imagebuilder", "diff", place, place],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "imagebuilder.diffing" in imported
    heavy = (
        "reproducibility.compare",
        "reproducibility.explain",
        "imagebuilder.build",
        "urllib3",
        "requests",
        "docker",
    )
    assert imported & {*heavy, "imagebuilder.reports.panels"} == set()


def test_a_changed_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [make(tmp_path / text, text=text)[1] for text in ("hi", "ho")]
    assert cli.run(["diff", *places, "--json"]) == 1
    assert [(part, path) for part, path, _ in differences(capsys.readouterr().out)] == [("file", "workspace/greeting")]
    assert cli.run(["diff", *places, "--rootfs", "--json"]) == 1
    assert [(part, path) for part, path, _ in differences(capsys.readouterr().out)] == [("file", "workspace/greeting")]
    assert list((tmp_path / ".cache" / "imagebuilder" / "scratch").glob("*-*")) == []


def test_reports_are_written_where_they_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [make(tmp_path / text, text=text)[1] for text in ("hi", "ho")]
    assert cli.run(["diff", *places, "--html", f"{tmp_path}/page.html", "--junit", f"{tmp_path}/verdict.xml"]) == 1
    assert capsys.readouterr().out.startswith("differs")
    assert "workspace/greeting" in (tmp_path / "page.html").read_text()
    assert "<testsuite" in (tmp_path / "verdict.xml").read_text()


@pytest.mark.parametrize(
    ("name", "exit_code", "code"),
    [
        ("oci:nothing", 2, "IB655"),
        ("archive:nothing.tar", 2, "IB655"),
        ("docker:", 2, "IB652"),
        ("docker:nothing", 5, "IB810"),
        ("podman:nothing", 5, "IB660"),
        ("{registry}/nothing:1", 5, "IB206"),
        ("NoName", 2, "IB652"),
    ],
)
def test_what_is_not_there_is_told(
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    exit_code: int,
    code: str,
) -> None:
    _, place = make(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    with Engine().running() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.environment["DOCKER_HOST"])
        assert cli.run(["diff", place, name.format(registry=registry.address)]) == exit_code
    out, err = capsys.readouterr()
    assert (out, f"error[{code}]" in err) == ("", True), err


@pytest.mark.parametrize("command", ["check", "diff", "audit", "inspect"])
@pytest.mark.parametrize("place", ["missing/page.html", "."])
def test_reports_that_cannot_be_written_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    names = {"check": ["nowhere"], "diff": ["oci:no", "oci:none"]}.get(command, ["oci:no"])
    assert cli.run([command, *names, "--html", str(tmp_path / place)]) == 7
    assert "error[IB601]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
