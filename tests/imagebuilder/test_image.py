"""Reading images back: everything that is written is read as it was, and nothing that is not valid."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder import archive, image, layout, reference
from imagebuilder.image import open_image
from layers import canonical, tar
from layers.compress import Compression
from layers.descriptor import CONFIG, INDEX, MANIFEST
from layers.digest import Digest
from layers.entry import file
from layers.errors import BuildError, IntegrityError, StorageError, UsageError
from tests import images

NAME = reference.parse("shop")


@pytest.fixture(params=["layout", "archive"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[images.Made, str]:
    made = images.small(tmp_path / "store")
    if request.param == "layout":
        layout.write_layout(made.image, made.store, tmp_path / "shop", names=["latest"])
        return made, f"oci:{tmp_path}/shop"
    archive.write_archive(made.image, made.store, tmp_path / "shop.tar", names=[NAME])
    return made, f"archive:{tmp_path}/shop.tar"


def test_an_image_is_read_as_it_was_written(written: tuple[images.Made, str]) -> None:
    made, place = written
    stored = open_image(place)
    assert stored.image == made.image
    assert open_image(place.partition(":")[2]).image == made.image
    files = [[member.path for member in stored.files(layer)] for layer in stored.image.layers]
    assert files == [["bin", "etc", "etc/os-release"], ["workspace", "workspace/greeting"]]


def test_inspect_tells_manifest_and_config_digest_apart(written: tuple[images.Made, str]) -> None:
    made, place = written
    shown = open_image(place).to_json()
    assert shown["reference"] == f"{place}@{made.image.manifest.digest}"
    assert shown["manifest_digest"] == made.image.manifest.digest.value
    assert shown["config_digest"] == made.image.config.digest.value
    assert "digest" not in shown
    assert shown["entrypoint"] == ("gunicorn", "app:app")
    assert shown["user"] == "65532:65532"
    assert shown["platform"] == "linux/amd64"
    assert shown["layers"][1] == {
        "digest": made.image.layers[1].descriptor.digest.value,
        "diff_id": made.image.layers[1].diff_id.value,
        "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
        "size": made.image.layers[1].descriptor.size,
        "created_by": "layer 1",
    }
    assert json.loads(canonical.encode(shown))


def test_an_image_of_several_is_chosen_by_its_name(tmp_path: Path) -> None:
    one, two = (images.small(tmp_path / "store", text=text) for text in ("one", "two"))
    for made, name in (one, "a"), (two, "b"):
        layout.write_layout(made.image, made.store, tmp_path / "all", names=[name])
    assert open_image(f"oci:{tmp_path}/all:b").image == two.image
    for place in f"oci:{tmp_path}/all", f"oci:{tmp_path}/all:c":
        with pytest.raises(UsageError) as caught:
            open_image(place)
        assert caught.value.code == "IB655"
        assert caught.value.details == ("names: a, b",)


def test_a_place_without_an_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no image at") as caught:
        open_image(f"archive:{tmp_path}/missing.tar")
    assert caught.value.code == "IB655"
    with pytest.raises(IntegrityError, match="is no OCI image layout"):
        open_image(str(tmp_path))
    (tmp_path / "notes.txt").write_text("not a tar")
    with pytest.raises(IntegrityError, match="refused a tar archive"):
        open_image(f"archive:{tmp_path}/notes.txt")


def test_an_image_of_several_platforms_is_not_taken_for_one(tmp_path: Path) -> None:
    made = images.small(tmp_path)
    nested = made.store.write_json(INDEX, layout.index([made.image.manifest.to_json()]))
    (tmp_path / "index.json").write_bytes(canonical.encode(layout.index([nested.to_json()])))
    with pytest.raises(IntegrityError, match="not the image of one platform"):
        open_image(str(tmp_path))


def rewrite(made: images.Made, kind: str, change: Callable[[dict[str, object]], object]) -> None:
    """Change a document of the image in a store and name the result in index.json."""
    documents = {
        "config": json.loads(made.store.read(made.image.config.digest)),
        "manifest": json.loads(made.store.read(made.image.manifest.digest)),
    }
    change(documents[kind])
    config = made.store.write_json(CONFIG, documents["config"])
    if kind == "config":
        documents["manifest"]["config"] = config.to_json()
    manifest = made.store.write_json(MANIFEST, documents["manifest"])
    (made.store.root / "index.json").write_bytes(canonical.encode(layout.index([manifest.to_json()])))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("manifest", lambda d: d.update(manifests=[])),
        ("manifest", lambda d: d.update(schemaVersion=1)),
        ("manifest", lambda d: d.update(schemaVersion=True)),
        ("manifest", lambda d: d.update(mediaType=INDEX)),
        ("manifest", lambda d: d.update(layers={})),
        ("manifest", lambda d: d["layers"].pop()),
        ("manifest", lambda d: d["layers"][0].update(mediaType="text/plain")),
        ("manifest", lambda d: d["layers"][0].update(digest=7)),
        ("manifest", lambda d: d["layers"].append("x")),
        ("manifest", lambda d: d["config"].update(mediaType=MANIFEST)),
        ("manifest", lambda d: d["config"].update(size=1)),
        ("manifest", lambda d: d["config"].update(size=5 << 20)),
        ("manifest", lambda d: d.pop("config")),
        ("config", lambda d: d.pop("architecture")),
        ("config", lambda d: d["rootfs"].update(diff_ids=[])),
        ("config", lambda d: d["rootfs"]["diff_ids"].__setitem__(0, None)),
    ],
)
def test_a_document_that_contradicts_the_specification_is_refused(tmp_path: Path, kind: str, change) -> None:
    made = images.small(tmp_path)
    rewrite(made, kind, change)
    with pytest.raises(IntegrityError) as caught:
        open_image(str(tmp_path))
    assert caught.value.code == "IB654"


@pytest.mark.parametrize(("compression", "name"), [("gzip", ".gzip"), ("zstd", ".zstd"), ("none", "")])
def test_layers_may_have_the_names_that_docker_gives_them(tmp_path: Path, compression: Compression, name: str) -> None:
    made = images.small(tmp_path, compression=compression)
    docker = f"application/vnd.docker.image.rootfs.diff.tar{name}"
    rewrite(made, "manifest", lambda d: [layer.update(mediaType=docker) for layer in d["layers"]])
    stored = open_image(str(tmp_path))
    assert [layer.descriptor.media_type for layer in stored.image.layers] == [docker, docker]
    assert [member.path for member in stored.files(stored.image.layers[1])] == ["workspace", "workspace/greeting"]


def test_history_of_empty_layers_is_passed_over(tmp_path: Path) -> None:
    made = images.small(tmp_path)
    rewrite(made, "config", lambda d: d["history"].insert(1, {"created_by": "ENV A=1", "empty_layer": True}))
    assert [layer.created_by for layer in open_image(str(tmp_path)).image.layers] == ["layer 0", "layer 1"]


@pytest.mark.parametrize(
    "index",
    [b"", b"[]", b"{", b'{"manifests":[],"manifests":[]}', b"[" * 100_000, b'{"manifests":[{"digest":"sha256:../x"}]}'],
    ids=["empty", "list", "cut", "twice", "deep", "digest"],
)
def test_an_index_that_is_no_index_is_refused(tmp_path: Path, index: bytes) -> None:
    images.small(tmp_path)
    (tmp_path / "index.json").write_bytes(index)
    with pytest.raises(IntegrityError):
        open_image(str(tmp_path))


def test_a_blob_that_was_changed_is_refused(written: tuple[images.Made, str]) -> None:
    made, place = written
    path = Path(place.partition(":")[2])
    digest = made.image.config.digest
    if path.is_dir():
        blob = path / "blobs" / "sha256" / digest.hex
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes().replace(b"linux", b"Linux"))
    else:
        path.write_bytes(path.read_bytes().replace(b'"os":"linux","rootfs"', b'"os":"Linux","rootfs"'))
    with pytest.raises(IntegrityError):
        open_image(place)


def test_a_missing_blob_and_an_unreadable_archive_are_errors_of_ours(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    manifest = made.image.manifest
    index = canonical.encode(layout.index([layout.named(made.image, "latest")]))
    files = [file("index.json", index), file("oci-layout", canonical.encode(layout.MARKER))]
    (tmp_path / "short.tar").write_bytes(b"".join(tar.chunks(files)))
    with pytest.raises(IntegrityError, match=f"{manifest.digest.hex} is missing"):
        open_image(f"archive:{tmp_path}/short.tar")
    (tmp_path / "store" / "index.json").write_bytes(index)
    made.store.path(manifest.digest).unlink()
    with pytest.raises(StorageError):
        open_image(f"oci:{tmp_path}/store")


def test_files_of_a_layer_with_another_diff_id_end_in_an_error(tmp_path: Path) -> None:
    made = images.small(tmp_path)
    layout.write_layout(made.image, made.store, tmp_path, names=["latest"])
    stored = open_image(str(tmp_path))
    wrong = replace(stored.image.layers[0], diff_id=Digest.of(b""))
    with pytest.raises(BuildError) as caught:
        list(stored.files(wrong))
    assert caught.value.code == "IB656"


def test_an_image_names_each_blob_once_and_its_manifest_last(tmp_path: Path) -> None:
    made = images.make(tmp_path, [file("a", b"")], [file("a", b"")])
    assert len(made.image.layers) == 2
    assert made.image.blobs == (made.image.layers[0].descriptor, made.image.config, made.image.manifest)
    assert isinstance(made.image, image.Image)


@pytest.mark.parametrize(
    "text", ["./app", "/tmp/app", "~/app", "../app", "dist/app.oci", "app.tar", "oci:app", "archive:a"]
)
def test_what_can_only_be_a_path_is_taken_for_one(text: str) -> None:
    assert image.is_local(text)


@pytest.mark.parametrize("text", ["app", "team/app:1.0", "registry.example.com/app.tar", "localhost:5000/app.oci"])
def test_what_may_name_an_image_of_a_registry_is_no_path(text: str) -> None:
    assert not image.is_local(text)


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text("print('hello')\n")
    with pytest.raises(IntegrityError, match=rf"cannot read {script} as an image: .*cut off") as caught:
        open_image(str(script))
    assert caught.value.code == "IB558"
