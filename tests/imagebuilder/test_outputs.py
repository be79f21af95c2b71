"""Outputs: an image arrives where the command line says; skopeo, umoci, crun and podman take it from there."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from imagebuilder import outputs
from imagebuilder.image import open_image
from imagebuilder.request import Output
from layers.errors import UsageError
from tests import images

# crun 1.8 runs nothing where both versions of cgroups are mounted; it is shown the old one alone.
ONE_CGROUP = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
CRUN = ("unshare", "--mount", "sh", "-c", ONE_CGROUP, "sh", "crun")


def deliver(made: images.Made, output: Output, *tags: str) -> None:
    outputs.deliver(made.image, made.store, output, tags=tags or ("shop",), environment=dict(os.environ))


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_layout_is_named_by_the_tags_or_by_its_own_name(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    deliver(made, Output("oci", str(tmp_path / "a")), "shop", "team/shop:1.0", "other/shop:1.0")
    deliver(made, Output("oci", str(tmp_path / "b"), "mine"), "shop")
    names = [
        [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]]
        for index in (json.loads((tmp_path / folder / "index.json").read_text()) for folder in "ab")
    ]
    assert names == [["latest", "1.0"], ["mine"]]


def test_the_same_image_comes_out_of_a_layout_and_an_archive(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    deliver(made, Output("oci", str(tmp_path / "shop.oci")))
    deliver(made, Output("archive", str(tmp_path / "shop.tar")))
    assert open_image(f"oci:{tmp_path}/shop.oci").image == open_image(f"archive:{tmp_path}/shop.tar").image


@pytest.mark.parametrize("type_", ["oci", "archive", "docker", "podman"])
def test_a_bad_tag_stops_the_delivery_before_it_begins(tmp_path: Path, type_) -> None:
    made = images.small(tmp_path / "store")
    with pytest.raises(UsageError, match="not an image name"):
        deliver(made, Output(type_, str(tmp_path / "out")), "Shop!")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.tools
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_skopeo_copies_both_with_the_digest_we_say(tmp_path: Path, compression) -> None:
    made = images.small(tmp_path / "store", compression=compression)
    deliver(made, Output("oci", str(tmp_path / "shop.oci")))
    deliver(made, Output("archive", str(tmp_path / "shop.tar")))
    for number, source in enumerate((f"oci:{tmp_path}/shop.oci:latest", f"oci-archive:{tmp_path}/shop.tar")):
        run("skopeo", "copy", "--insecure-policy", "--preserve-digests", source, f"oci:{tmp_path}/copy{number}:x")
        assert open_image(f"oci:{tmp_path}/copy{number}:x").image == made.image
    loaded = json.loads(run("skopeo", "inspect", "--config", f"docker-archive:{tmp_path}/shop.tar"))
    assert loaded["rootfs"]["diff_ids"] == [layer.diff_id.value for layer in made.image.layers]


@pytest.mark.tools
@pytest.mark.root
def test_umoci_unpacks_and_crun_runs_as_the_image_says(tmp_path: Path) -> None:
    made = images.host_image(tmp_path / "store")
    deliver(made, Output("oci", str(tmp_path / "shop.oci")))
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/shop.oci:latest", tmp_path / "rootless")
    run("umoci", "unpack", "--image", f"{tmp_path}/shop.oci:latest", tmp_path / "bundle")
    for bundle in "rootless", "bundle":
        assert (tmp_path / bundle / "rootfs/workspace/greeting").read_text() == "hello\n"
    config = json.loads((tmp_path / "bundle/config.json").read_text())
    assert config["process"]["args"] == list(images.SHOW.command)
    assert (config["process"]["user"]["uid"], config["process"]["cwd"]) == (65532, "/workspace")
    assert "LANG=C.UTF-8" in config["process"]["env"]
    config["process"]["terminal"] = False
    (tmp_path / "bundle/config.json").write_text(json.dumps(config))
    assert run(*CRUN, "--root", tmp_path / "state", "run", "--bundle", tmp_path / "bundle", f"tests-{os.getpid()}") == (
        "65532\nhello\nread-only\n"
    )
