"""`build --push`, `push`, `copy` and `inspect` of registries, from the command line to the result."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder import cli, layout
from layers.descriptor import INDEX, MANIFEST
from tests import images, world
from tests.images import Made
from tests.registry import Registry
from tests.world import World

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = images.small(tmp_path / "store")
    layout.write_layout(made.image, made.store, tmp_path / "shop.oci", names=["1.0"])
    return made


def asked(registry: Registry) -> list[str]:
    """Return what was asked for, but for what is about authentication."""
    return [request.path for request in registry.traffic.requests if request.path != "/v2/"]


def test_push_prints_the_repository_with_the_digest(
    registry: Registry, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{registry.address}/shop:{tag}" for tag in ("1.0", "latest")]
    files = ["--digest-file", f"{tmp_path}/digest", "--metadata-file", f"{tmp_path}/metadata"]
    assert cli.run(["push", f"oci:{tmp_path}/shop.oci", *names, *files]) == 0
    out, err = capsys.readouterr()
    digest = made.image.manifest.digest
    assert out == f"{registry.address}/shop@{digest}\n"
    assert len(err.splitlines()) == 1
    assert "3 uploaded" in err
    assert (tmp_path / "digest").read_text() == f"{digest}\n"
    document = json.loads((tmp_path / "metadata").read_text())
    assert document["manifest_digest"] == digest.value
    assert document["pushed"][0]["tags_set"] == ["1.0", "latest"]
    assert cli.run(["push", f"oci:{tmp_path}/shop.oci", *names]) == 0
    assert "unchanged" in capsys.readouterr().err


def test_copy_prints_where_the_image_is_now(
    registry: Registry, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["copy", f"{tmp_path}/shop.oci", f"{registry.address}/shop:1", "-q"]) == 0
    assert cli.run(["copy", f"{registry.address}/shop:1", f"archive:{tmp_path}/a.tar", "-q"]) == 0
    digest = made.image.manifest.digest
    assert capsys.readouterr().out == f"{registry.address}/shop@{digest}\narchive:{tmp_path}/a.tar@{digest}\n"


def test_inspect_asks_for_the_manifest_and_the_config_alone(
    registry: Registry, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{registry.address}/shop:1"
    cli.run(["push", f"{tmp_path}/shop.oci", name, "-q"])
    registry.traffic.requests.clear()
    capsys.readouterr()
    assert cli.run(["inspect", name, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reference"] == f"{registry.address}/shop@{made.image.manifest.digest}"
    assert document["entrypoint"]
    assert [path.split("/")[3] for path in asked(registry)] == ["manifests", "blobs"]
    assert cli.run(["inspect", name, "--files"]) == 0
    assert "workspace/greeting" in capsys.readouterr().out


def test_inspect_reads_what_docker_pushed(
    registry: Registry, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["push", f"{tmp_path}/shop.oci", f"{registry.address}/shop:1", "-q"])
    content = made.store.read(made.image.manifest.digest).decode()
    docker = "application/vnd.docker."
    for ours, theirs in {
        MANIFEST: f"{docker}distribution.manifest.v2+json",
        "application/vnd.oci.image.config.v1+json": f"{docker}container.image.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip": f"{docker}image.rootfs.diff.tar.gzip",
    }.items():
        content = content.replace(ours, theirs)
    registry.put_manifest("shop", content.encode(), "2", media_type=f"{docker}distribution.manifest.v2+json")
    capsys.readouterr()
    assert cli.run(["inspect", f"{registry.address}/shop:2", "--files"]) == 0
    assert "workspace/greeting" in capsys.readouterr().out


def test_inspect_lists_what_an_index_names(
    registry: Registry, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["push", f"{tmp_path}/shop.oci", f"{registry.address}/shop:1", "-q"])
    named = {**made.image.manifest.to_json(), "platform": {"os": "linux", "architecture": "arm64"}}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}
    digest = registry.put_manifest("shop", json.dumps(document).encode(), "all", media_type=INDEX)
    capsys.readouterr()
    assert cli.run(["inspect", f"{registry.address}/shop:all", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["index_digest"] == digest
    assert document["manifests"][0]["platform"] == "linux/arm64"


def test_what_is_not_there_is_refused_with_the_code_of_registries(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["inspect", f"{registry.address}/nothing:1"]) == 5
    assert "error[IB2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["build", "--push"], "IB240"),
        (["build", "--skip-unchanged", "-t", "registry.example.com/x"], "IB240"),
        (["build", "--push", "-t", "shop"], "IB241"),
        (["push", "oci:x"], "IB100"),
        (["copy", "oci:x"], "IB100"),
        (["copy", "oci:x", "oci:y", "oci:z"], "IB100"),
        (["push", "oci:x", "Shop"], "IB652"),
        (["copy", "podman:x", "oci:y"], "IB242"),
    ],
)
def test_what_cannot_be_pushed_is_a_mistake_of_the_command_line(
    arguments: list[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "main.py").touch()
    monkeypatch.chdir(tmp_path)
    assert cli.run(arguments) == 2
    assert f"error[{code}]" in capsys.readouterr().err


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    with world.running(tmp_path) as running:
        yield running


def pushed(place: World, app: Path, *flags: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    ran = place.run("build", str(app), "--push", *flags)
    assert ran.returncode == code, ran.stderr
    return ran


def test_build_pushes_to_every_name_and_prints_the_first_repository(place: World, registry: Registry) -> None:
    app = place.app({"main.py": "print('hello')\n", "requirements.txt": "flask\n"})
    names = [f"{registry.address}/{name}" for name in ("team/shop:1", "team/shop:latest", "other/shop:1")]
    flags = [word for name in names for word in ("-t", name)]
    ran = pushed(place, app, *flags, "--json", "--digest-file", "digest")
    document = json.loads(ran.stdout)
    digest = document["manifest_digest"]
    assert document["reference"] == f"{registry.address}/team/shop@{digest}"
    assert [each["repository"].rpartition(":")[2].partition("/")[2] for each in document["pushed"]] == [
        "team/shop",
        "other/shop",
    ]
    assert document["pushed"][1]["mounted"] == len(document["layers"]) + 1
    assert document["outputs"] == []
    assert registry.repository("team/shop").tags == {"1": digest, "latest": digest}
    assert registry.repository("other/shop").tags == {"1": digest}
    assert (place.folder / "digest").read_text() == f"{digest}\n"
    assert not (place.folder / "dist").exists()
    registry.traffic.requests.clear()
    again = pushed(place, app, *flags)
    assert again.stdout == f"{registry.address}/team/shop@{digest}\n"
    # The tags of one repository are asked for side by side.
    tags = ("other/shop/manifests/1", "team/shop/manifests/1", "team/shop/manifests/latest")
    assert sorted(asked(registry)) == [f"/v2/{name}" for name in tags]


def test_other_outputs_are_left_alone_if_the_push_was_not_needed(place: World, registry: Registry) -> None:
    app = place.app({"main.py": "print('hello')\n"})
    flags = ["-t", f"{registry.address}/shop:1", "--skip-unchanged", "-o"]
    pushed(place, app, *flags, f"oci:{place.folder}/one")
    assert (place.folder / "one").exists()
    again = pushed(place, app, *flags, f"oci:{place.folder}/two", "--json")
    assert "unchanged" in again.stderr
    assert json.loads(again.stdout)["outputs"] == []
    assert not (place.folder / "two").exists()


def test_a_registry_that_refuses_ends_the_build_with_its_exit_code(place: World, registry: Registry) -> None:
    registry.users["ann"] = "secret"
    app = place.app({"main.py": "print('hello')\n"})
    refused = pushed(place, app, "-t", f"{registry.address}/shop:1", code=5)
    assert refused.stdout == ""
    assert "error[IB2" in refused.stderr
