"""Archives: one file, two formats, the same bytes every time."""

import json
import tarfile
from pathlib import Path

import pytest

from imagebuilder import archive, reference
from layers.digest import Digest
from layers.errors import IntegrityError, StorageError
from tests import images, oci_schemas

NAMES = [reference.parse("shop"), reference.parse("registry.example.com/team/shop:1.0")]


def write(made: images.Made, path: Path) -> Path:
    archive.write_archive(made.image, made.store, path, names=NAMES)
    return path


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened if member.isfile()}  # type: ignore[union-attr]


def test_both_formats_name_the_same_blobs(tmp_path: Path) -> None:
    made = images.small(tmp_path)
    files = read(write(made, tmp_path / "shop.tar"))
    (docker,) = json.loads(files["manifest.json"])
    manifest = json.loads(files[f"blobs/sha256/{made.image.manifest.digest.hex}"])
    assert docker["Config"] == "blobs/sha256/" + manifest["config"]["digest"].removeprefix("sha256:")
    assert docker["Layers"] == ["blobs/sha256/" + one["digest"].removeprefix("sha256:") for one in manifest["layers"]]
    assert docker["RepoTags"] == ["docker.io/library/shop:latest", "registry.example.com/team/shop:1.0"]
    assert all(Digest.of(files[f"blobs/sha256/{blob.digest.hex}"]) == blob.digest for blob in made.image.blobs)
    assert len(files) == len(made.image.blobs) + 3


def test_the_schemas_accept_index_and_layout_file(tmp_path: Path) -> None:
    files = read(write(images.small(tmp_path), tmp_path / "shop.tar"))
    oci_schemas.check("image-index", files["index.json"])
    oci_schemas.check("image-layout", files["oci-layout"])
    annotations = [one["annotations"] for one in json.loads(files["index.json"])["manifests"]]
    assert [one["org.opencontainers.image.ref.name"] for one in annotations] == ["latest", "1.0"]
    assert [one["io.containerd.image.name"] for one in annotations] == [str(name) for name in NAMES]


def test_the_digest_of_an_archive_is_golden(tmp_path: Path) -> None:
    made = images.small(tmp_path, compression="none")
    first = write(made, tmp_path / "first.tar").read_bytes()
    assert write(made, tmp_path / "second.tar").read_bytes() == first
    assert Digest.of(first).value == "sha256:2f4fc69bc99748dd2f9a8351a55007ae83f01bc8fec80b94d36cbbd0294feca3"


def test_an_archive_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    path = write(made, tmp_path / "shop.tar")
    before = path.read_bytes()
    blob = made.store.path(made.image.layers[1].descriptor.digest)
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        write(made, path)
    assert path.read_bytes() == before
    assert sorted(found.name for found in tmp_path.iterdir()) == ["shop.tar", "store"]


def test_a_missing_folder_is_made_and_one_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    path = write(made, tmp_path / "new" / "folder" / "shop.tar")
    with pytest.raises(StorageError) as caught:
        write(made, path / "shop.tar")
    assert caught.value.code == "IB601"
