"""Configs and manifests: what is in them, what is not, and that nothing but the inputs decides it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from buildpacks.api import Process
from imagebuilder import export
from imagebuilder.export import RunConfiguration
from layers import canonical, decompress
from layers.descriptor import LAYER_TAR, Platform
from layers.errors import UsageError
from tests import images, oci_schemas

FULL = replace(
    images.RUN,
    buildpacks={"cpython": "", "pip-install": ""},
    labels={"org.opencontainers.image.version": "1.2", "team": "größe ☃"},
    annotations={"dev.imagebuilder.compressor": "gzip-6"},
    inputs="sha256:" + "1" * 64,
    base_name="debian:trixie",
    base_layers=1,
)


def config_of(made: images.Made):
    return json.loads(made.store.read(made.image.config.digest))


def manifest_of(made: images.Made):
    return json.loads(made.store.read(made.image.manifest.digest))


@pytest.mark.parametrize("run", [images.RUN, FULL], ids=["least", "most"])
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_the_schemas_accept_every_document(tmp_path: Path, run: RunConfiguration, compression) -> None:
    made = images.small(tmp_path, run=run, compression=compression)
    for kind, blob in ("image-manifest", made.image.manifest), ("config", made.image.config):
        document = made.store.read(blob.digest)
        oci_schemas.check(kind, document)
        assert document == canonical.encode(json.loads(document))


def test_the_digests_of_a_small_image_are_golden(tmp_path: Path) -> None:
    made = images.small(tmp_path, run=FULL, compression="none")
    assert made.image.config.digest.value == "sha256:274fd9a6c5a537a350c044d6d0e0c341fefe868f32250a87946a41f49ef564e0"
    assert made.image.manifest.digest.value == "sha256:e07511d3a3005a2a1d8ba3d7d53c7dd0b5a7366927edb0f124ebd89c3547a038"


def test_the_config_says_how_to_run_and_nothing_of_the_builder(tmp_path: Path) -> None:
    run = replace(FULL, default=images.WORKER, env={"B": "2", "A": "1=1"})
    config = config_of(images.small(tmp_path, run=run))
    labels = config["config"].pop("Labels")
    assert config["config"] == {
        "Entrypoint": ["python", "-m", "worker"],
        "Env": ["A=1=1", "B=2"],
        "StopSignal": "SIGINT",
        "User": "65532:65532",
        "WorkingDir": "/workspace",
    }
    assert config["created"] == images.CREATED
    assert [step["created_by"] for step in config["history"]] == ["layer 0", "layer 1"]
    assert {step["created"] for step in config["history"]} == {images.CREATED}
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert labels["dev.imagebuilder.format"] == "1"
    assert labels["org.opencontainers.image.title"] == "shop"


def test_compression_changes_the_manifest_and_not_the_config(tmp_path: Path) -> None:
    made = [images.small(tmp_path, compression=compression) for compression in ("gzip", "zstd", "none")]
    assert len({one.image.config.digest for one in made}) == 1
    assert len({one.image.manifest.digest for one in made}) == 3


def test_the_order_of_labels_and_variables_does_not_matter(tmp_path: Path) -> None:
    def backwards(mapping):
        return dict(reversed(list(mapping.items())))

    turned = replace(FULL, labels=backwards(FULL.labels), env=backwards(FULL.env))
    assert images.small(tmp_path, run=turned).image == images.small(tmp_path, run=FULL).image


def test_a_variant_is_part_of_the_platform(tmp_path: Path) -> None:
    made = images.small(tmp_path)
    arm = export.export(made.store, made.image.layers, images.RUN, platform=Platform("linux", "arm64", "v8"))
    config = json.loads(made.store.read(arm.config.digest))
    assert (config["architecture"], config["variant"]) == ("arm64", "v8")


def test_labels_of_the_user_win_and_image_labels_are_annotations_too(tmp_path: Path) -> None:
    run = replace(FULL, labels={"org.opencontainers.image.title": "mine", "team": "a"})
    made = images.small(tmp_path, run=run)
    labels = config_of(made)["config"]["Labels"]
    annotations = manifest_of(made)["annotations"]
    assert labels["org.opencontainers.image.title"] == annotations["org.opencontainers.image.title"] == "mine"
    assert "team" in labels
    assert "team" not in annotations
    assert annotations["dev.imagebuilder.compressor"] == "gzip-6"
    assert "dev.imagebuilder.compressor" not in labels
    assert annotations["org.opencontainers.image.base.name"] == "debian:trixie"
    assert "org.opencontainers.image.base.digest" not in annotations


def test_the_version_of_a_buildpack_from_outside_is_in_the_labels(tmp_path: Path) -> None:
    made = images.small(tmp_path, run=replace(FULL, buildpacks={"cpython": "", "acme/assets": "1.2"}))
    labels = config_of(made)["config"]["Labels"]
    for name in ("build", "lifecycle"):
        listed = json.loads(labels[f"io.buildpacks.{name}.metadata"])["buildpacks"]
        assert [one["version"] for one in listed] == [export.FORMAT, "1.2"]


def test_the_labels_of_buildpacks_are_what_pack_reads(tmp_path: Path) -> None:
    """The fields of lifecycle's BuildMetadata and LayersMetadata that `pack inspect` and `pack rebase` decode."""
    made = images.small(tmp_path, run=FULL)
    labels = config_of(made)["config"]["Labels"]
    build = json.loads(labels["io.buildpacks.build.metadata"])
    assert [one["id"] for one in build["buildpacks"]] == ["cpython", "pip-install"]
    assert [(one["type"], one["command"], one["direct"]) for one in build["processes"]] == [
        ("web", ["gunicorn", "app:app"], True),
        ("worker", ["python", "-m", "worker"], True),
    ]
    layers = json.loads(labels["io.buildpacks.lifecycle.metadata"])
    assert layers["runImage"]["topLayer"] == made.image.layers[0].diff_id.value
    assert json.loads(labels["io.buildpacks.rebasable"]) is True
    assert json.loads(labels["io.buildpacks.project.metadata"]) == {}


def test_an_image_without_known_base_layers_is_not_rebasable(tmp_path: Path) -> None:
    labels = config_of(images.small(tmp_path))["config"]["Labels"]
    assert labels["io.buildpacks.rebasable"] == "false"
    assert json.loads(labels["io.buildpacks.lifecycle.metadata"])["runImage"]["topLayer"] == ""


def test_a_path_goes_in_front_and_other_variables_are_replaced() -> None:
    merged = export.merge_env({"PATH": "/a/bin", "LANG": "de"}, {"PATH": "/b/bin", "X": "1"})
    assert merged["PATH"] == "/b/bin:/a/bin:/usr/local/bin:/usr/bin:/bin"
    assert (merged["LANG"], merged["X"], merged["PYTHONUNBUFFERED"]) == ("de", "1", "1")


@pytest.mark.parametrize(
    "created", ["", "now", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.5Z"]
)
def test_a_time_that_is_not_plain_utc_is_refused(created: str) -> None:
    with pytest.raises(UsageError) as caught:
        replace(images.RUN, created=created)
    assert caught.value.code == "IB651"


@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"A": "x\0y"}])
def test_a_variable_no_process_can_have_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="not an environment variable"):
        replace(images.RUN, env=env)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    made = images.small(tmp_path)
    process = Process("web", ("caf\udce9",), "Procfile")
    with pytest.raises(UsageError, match="not UTF-8") as caught:
        export.export(made.store, made.image.layers, replace(images.RUN, default=process), platform=images.AMD64)
    assert caught.value.code == "IB651"


def test_an_uncompressed_image_has_the_same_config_and_plain_layers(tmp_path: Path) -> None:
    made = images.small(tmp_path, compression="zstd")
    plain = export.uncompressed(made.image, made.store)
    assert plain.config == made.image.config
    for before, after in zip(made.image.layers, plain.layers, strict=True):
        assert after.descriptor.media_type == LAYER_TAR
        assert after.descriptor.digest == after.diff_id == before.diff_id
        stored = made.store.open(before.descriptor.digest)
        assert made.store.read(after.diff_id) == b"".join(decompress.tar(before, stored))
    oci_schemas.check("image-manifest", made.store.read(plain.manifest.digest))
    assert export.uncompressed(plain, made.store) == plain
