"""Copies between registries, layouts and archives: the same digest everywhere, and no byte moved that need not be."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from imagebuilder import copy, image, layout
from imagebuilder.copy import Copied
from imagebuilder.image import open_image
from imagebuilder.progress import Progress
from imagebuilder.registry.settings import RegistrySettings
from layers.descriptor import INDEX
from layers.errors import BuildError, UsageError
from tests import images
from tests.images import Made
from tests.registry import Registry


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = images.small(tmp_path / "store")
    layout.write_layout(made.image, made.store, tmp_path / "shop.oci", names=["1.0"])
    return made


def copied(tmp_path: Path, source: str, target: str) -> Copied:
    settings = RegistrySettings({}, backoff_s=0.01)
    return copy.copy(source, target, settings=settings, scratch_root=tmp_path / "scratch", progress=Progress())


def test_an_image_is_the_same_after_every_way_it_can_go(tmp_path: Path, registry: Registry, made: Made) -> None:
    digest = made.image.manifest.digest
    name = f"{registry.address}/team/shop:1.0"
    for source, target in [
        (f"oci:{tmp_path}/shop.oci", name),
        (name, f"oci:{tmp_path}/back.oci"),
        (f"{tmp_path}/back.oci", f"archive:{tmp_path}/shop.tar"),
        (f"archive:{tmp_path}/shop.tar", f"{registry.address}/other:2"),
        (f"{registry.address}/other@{digest}", f"archive:{tmp_path}/again.tar"),
        (f"archive:{tmp_path}/again.tar", f"oci:{tmp_path}/last.oci:x"),
    ]:
        assert copied(tmp_path, source, target).digest == digest
    for place in (f"oci:{tmp_path}/back.oci:1.0", f"archive:{tmp_path}/again.tar", f"oci:{tmp_path}/last.oci:x"):
        stored = open_image(place)
        assert stored.image == made.image
        assert [list(stored.files(layer)) for layer in stored.image.layers]
    assert not list((tmp_path / "scratch").glob("*-*"))


def test_the_result_names_the_place_with_the_digest(tmp_path: Path, registry: Registry, made: Made) -> None:
    digest = made.image.manifest.digest
    source = f"oci:{tmp_path}/shop.oci"
    assert copied(tmp_path, source, f"{registry.address}/shop:1").reference == f"{registry.address}/shop@{digest}"
    assert copied(tmp_path, source, f"oci:{tmp_path}/b").reference == f"oci:{tmp_path}/b@{digest}"


def test_a_copy_keeps_its_name(tmp_path: Path, registry: Registry, made: Made) -> None:
    copied(tmp_path, f"oci:{tmp_path}/shop.oci", f"{registry.address}/team/app:7")
    copied(tmp_path, f"{registry.address}/team/app:7", f"archive:{tmp_path}/app.tar")
    place, named = image.locate(f"archive:{tmp_path}/app.tar")
    assert named.annotations[layout.CONTAINERD_NAME] == f"{registry.address}/team/app:7"
    assert json.loads(place.file("manifest.json"))[0]["RepoTags"] == [f"{registry.address}/team/app:7"]
    copied(tmp_path, f"oci:{tmp_path}/shop.oci", f"archive:{tmp_path}/shop.tar")
    _, named = image.locate(f"archive:{tmp_path}/shop.tar")
    assert named.annotations[layout.CONTAINERD_NAME] == "docker.io/library/shop:1.0"


def test_within_a_registry_layers_are_mounted(tmp_path: Path, registry: Registry, made: Made) -> None:
    copied(tmp_path, f"oci:{tmp_path}/shop.oci", f"{registry.address}/a:1")
    registry.traffic.requests.clear()
    (pushed,) = copied(tmp_path, f"{registry.address}/a:1", f"{registry.address}/b:1").pushed
    assert pushed.count("mounted") == 3
    assert registry.traffic.received == made.image.manifest.size
    assert not registry.traffic.asked("GET", "/blobs/")


def test_another_tag_in_the_same_repository_moves_no_blob(tmp_path: Path, registry: Registry, made: Made) -> None:
    copied(tmp_path, f"oci:{tmp_path}/shop.oci", f"{registry.address}/a:1")
    registry.traffic.requests.clear()
    copied(tmp_path, f"{registry.address}/a:1", f"{registry.address}/a:stable")
    asked = [request.method for request in registry.traffic.requests if request.path != "/v2/"]
    assert asked == ["GET", "HEAD", "PUT"]


def test_between_registries_blobs_are_streamed_once(tmp_path: Path, made: Made) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(Registry().running()) for _ in range(2))
        copied(tmp_path, f"oci:{tmp_path}/shop.oci", f"{one.address}/a:1")
        one.traffic.requests.clear()
        copied(tmp_path, f"{one.address}/a:1", f"{two.address}/a:1")
        assert one.traffic.asked("GET", "/blobs/") == 3
        assert two.repository("a").blobs == one.repository("a").blobs
        assert not (tmp_path / "scratch").exists()


def index_in(registry: Registry, tmp_path: Path) -> str:
    """Push two images and an index of them; return the digest of the index."""
    manifests = []
    for number, architecture in enumerate(("amd64", "arm64")):
        made = images.small(tmp_path / "store", text=str(number))
        layout.write_layout(made.image, made.store, tmp_path / "two.oci", names=[str(number)])
        copied(tmp_path, f"oci:{tmp_path}/two.oci:{number}", f"{registry.address}/many:{number}")
        platform = {"os": "linux", "architecture": architecture}
        manifests.append({**made.image.manifest.to_json(), "platform": platform})
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    return registry.put_manifest("many", json.dumps(document).encode(), "all", media_type=INDEX)


def test_an_index_is_copied_with_all_that_it_names(tmp_path: Path, registry: Registry) -> None:
    digest = index_in(registry, tmp_path)
    assert copied(tmp_path, f"{registry.address}/many:all", f"oci:{tmp_path}/many.oci").digest.value == digest
    back = copied(tmp_path, f"oci:{tmp_path}/many.oci:all", f"{registry.address}/back:all")
    assert back.digest.value == digest
    assert registry.repository("back").manifests.keys() == registry.repository("many").manifests.keys()


def test_an_archive_takes_one_image(tmp_path: Path, registry: Registry) -> None:
    index_in(registry, tmp_path)
    with pytest.raises(UsageError) as caught:
        copied(tmp_path, f"{registry.address}/many:all", f"archive:{tmp_path}/many.tar")
    assert caught.value.code == "IB243"
    assert any("linux/arm64: sha256:" in line for line in caught.value.details)


def test_an_engine_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        copied(tmp_path, "docker:shop", f"oci:{tmp_path}/x")
    assert caught.value.code == "IB242"


@pytest.mark.parametrize(("target", "code"), [("oci:", "IB114"), ("Shop:1", "IB652"), ("shop:1", "IB241")])
def test_a_wrong_target_is_found_before_the_source_is_looked_at(tmp_path: Path, target: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        copied(tmp_path, "oci:nowhere", target)
    assert caught.value.code == code


def test_damaged_bytes_never_arrive(tmp_path: Path, registry: Registry, made: Made) -> None:
    copied(tmp_path, f"oci:{tmp_path}/shop.oci", f"{registry.address}/a:1")
    blobs = registry.repository("a").blobs
    layer = made.image.layers[0].descriptor.digest.value
    blobs[layer] = blobs[layer][:-1] + b"!"
    for target in (f"oci:{tmp_path}/x.oci", f"archive:{tmp_path}/x.tar"):
        with pytest.raises(BuildError):
            copied(tmp_path, f"{registry.address}/a:1", target)
    assert not (tmp_path / "x.tar").exists()
    assert not (tmp_path / "x.oci" / "index.json").exists()
