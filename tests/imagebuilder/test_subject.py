"""Subjects: the same image is opened wherever it is, and nothing that is not what it promises."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from imagebuilder import archive, daemon, layout, reference
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.subject import open_named, open_subject
from layers import canonical
from layers.descriptor import INDEX, MANIFEST
from layers.entry import file
from layers.errors import BuildError, IntegrityError, RefusedError, UsageError
from reproducibility.images import Subject
from tests import engine, images
from tests.fake_docker import Engine
from tests.images import Made
from tests.registry import Registry


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return images.small(tmp_path / "store")


def read(text: str, tmp_path: Path, environment: dict[str, str] | None = None) -> Subject:
    """Open a subject and read all its layers to their ends."""
    settings = RegistrySettings(environment or {})
    with open_subject(text, settings=settings, scratch=tmp_path) as subject:
        for image in subject.images:
            for layer in image.layers:
                assert sum(map(len, layer.stored())) == layer.size
        return subject


def push(made: Made, registry: Registry, tag: str) -> None:
    for blob in made.image.blobs[:-1]:
        registry.put_blob("shop", b"".join(made.store.open(blob.digest)))
    registry.put_manifest("shop", made.store.read(made.image.manifest.digest), tag)


def as_docker_saves(made: Made, **changed: bytes) -> bytes:
    """Return an archive in the form of Docker 20.10, with the second layer as a link to itself in another folder."""
    config = made.store.read(made.image.config.digest)
    first, second = ("".join(("a", "b")[n] * 64) for n in (0, 1))
    tars = [b"".join(made.store.open(layer.descriptor.digest)) for layer in made.image.layers]
    listed = [
        {
            "Config": f"{made.image.config.digest.hex}.json",
            "RepoTags": ["shop:latest"],
            "Layers": [f"{first}/layer.tar", f"{second}/layer.tar"],
        }
    ]
    files = {
        f"{made.image.config.digest.hex}.json": config,
        f"{first}/layer.tar": tars[0],
        f"{first}/second.tar": tars[1],
        "manifest.json": json.dumps(listed).encode(),
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in (files | changed).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(f"{second}/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, f"../{first}/second.tar"
        tar.addfile(link)
    return written.getvalue()


def test_an_image_is_the_same_subject_wherever_it_is(made: Made, registry: Registry, tmp_path: Path) -> None:
    layout.write_layout(made.image, made.store, tmp_path / "shop.oci", names=["1.0"])
    archive.write_archive(made.image, made.store, tmp_path / "shop.tar", names=[reference.parse("shop")])
    push(made, registry, "1.0")
    digest = made.image.manifest.digest.value
    places = [
        f"oci:{tmp_path}/shop.oci",
        f"oci:{tmp_path}/shop.oci:1.0",
        f"{tmp_path}/shop.oci",
        f"archive:{tmp_path}/shop.tar",
        f"{registry.address}/shop:1.0",
        f"{registry.address}/shop@{digest}",
    ]
    for place in places:
        subject = read(place, tmp_path)
        (image,) = subject.images
        assert (subject.reference, subject.digest, subject.media_type) == (place, digest, MANIFEST)
        assert subject.index == {}
        assert (image.platform, image.manifest_digest) == ("linux/amd64", digest)
        assert image.config_digest == made.image.config.digest.value
        assert image.config["created"] == images.CREATED
        assert [layer.name for layer in image.layers] == ["layer 0", "layer 1"]
        assert [layer.diff_id for layer in image.layers] == [layer.diff_id.value for layer in made.image.layers]


def test_what_a_name_of_a_registry_stands_for_is_one_request_away(
    made: Made, registry: Registry, tmp_path: Path
) -> None:
    push(made, registry, "1.0")
    settings = RegistrySettings({}, insecure=frozenset({registry.address}))
    with open_named(f"{registry.address}/shop:1.0", settings=settings, scratch=tmp_path) as named:
        assert named.digest == made.image.manifest.digest.value
        assert named.unread().images == ()
    assert [request.path for request in registry.traffic.requests] == ["/v2/shop/manifests/1.0"]


def index_of(*manifests: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}).encode()


def test_of_an_index_the_images_are_read_and_attestations_are_not(
    made: Made, registry: Registry, tmp_path: Path
) -> None:
    push(made, registry, "1.0")
    described = made.image.manifest.to_json()
    attestation = {
        "mediaType": MANIFEST,
        "digest": registry.put_manifest("shop", b'{"mediaType":"what nobody can read"}'),
        "size": 36,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    nested = index_of(described)
    digest = registry.put_manifest("shop", nested, media_type=INDEX)
    inner = {"mediaType": INDEX, "digest": digest, "size": len(nested)}
    content = index_of(described, attestation, inner)
    digest = registry.put_manifest("shop", content, "all", media_type=INDEX)
    subject = read(f"{registry.address}/shop:all", tmp_path)
    assert (subject.digest, subject.media_type) == (digest, INDEX)
    assert [image.manifest_digest for image in subject.images] == [made.image.manifest.digest.value]
    assert subject.index == json.loads(content)


@pytest.mark.parametrize("kind", ["layout", "archive"])
def test_of_an_index_only_the_images_are_read_that_an_engine_saved(made: Made, tmp_path: Path, kind: str) -> None:
    missing = made.image.manifest.to_json() | {"digest": f"sha256:{7:064x}"}
    described = made.store.write(INDEX, [index_of(missing, made.image.manifest.to_json())])
    (tmp_path / "store" / "index.json").write_bytes(canonical.encode(layout.index([described.to_json()])))
    if kind == "archive":
        with tarfile.open(tmp_path / "store.tar", "w") as tar:
            tar.add(tmp_path / "store", "")
    subject = read(f"{tmp_path}/store{'.tar' if kind == 'archive' else ''}", tmp_path)
    assert subject.digest == described.digest.value
    assert [image.manifest_digest for image in subject.images] == [made.image.manifest.digest.value]


@pytest.mark.parametrize(
    "manifests",
    [
        [],
        [{"mediaType": MANIFEST, "digest": f"sha256:{7:064x}", "size": 1}],
        [{"mediaType": MANIFEST, "digest": f"sha256:{number:064x}", "size": 1} for number in range(201)],
        [{"mediaType": MANIFEST, "digest": 7, "size": 1}],
        [7],
    ],
    ids=["none", "none there", "too many", "no digest", "no object"],
)
def test_an_index_that_no_image_can_have_is_refused(made: Made, tmp_path: Path, manifests: list[object]) -> None:
    content = index_of(*manifests)
    described = made.store.write(INDEX, [content])
    (tmp_path / "store" / "index.json").write_bytes(canonical.encode(layout.index([described.to_json()])))
    with pytest.raises(IntegrityError):
        read(f"{tmp_path}/store", tmp_path)


def test_a_folder_that_only_says_it_has_an_image_is_damaged(made: Made, tmp_path: Path) -> None:
    layout.write_layout(made.image, made.store, tmp_path / "shop.oci", names=["1.0"])
    path = tmp_path / "shop.oci" / "blobs" / "sha256" / made.image.manifest.digest.hex
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"layers", b"LAYERS"))
    with (
        pytest.raises(IntegrityError, match="damaged"),
        open_named(str(tmp_path / "shop.oci"), settings=RegistrySettings({}), scratch=tmp_path),
    ):
        pass


def test_a_layer_is_not_read_before_it_is_asked_for_and_then_checked(made: Made, tmp_path: Path) -> None:
    layout.write_layout(made.image, made.store, tmp_path / "shop.oci", names=["1.0"])
    path = tmp_path / "shop.oci" / "blobs" / "sha256" / made.image.layers[0].descriptor.digest.hex
    path.chmod(0o600)
    path.write_bytes(b"other bytes")
    with open_subject(str(tmp_path / "shop.oci"), settings=RegistrySettings({}), scratch=tmp_path) as subject:
        stored = subject.images[0].layers[0].stored
        with pytest.raises(IntegrityError, match="damaged"):
            list(stored())


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_docker_saves_is_known_by_its_config(tmp_path: Path, compression) -> None:
    made = images.small(tmp_path / "store", compression=compression)
    (tmp_path / "saved.tar").write_bytes(as_docker_saves(made))
    subject = read(f"archive:{tmp_path}/saved.tar", tmp_path)
    (image,) = subject.images
    assert subject.digest == image.config_digest == made.image.config.digest.value
    assert (image.manifest, image.manifest_digest, image.platform) == ({}, "", "linux/amd64")
    described = [layer.descriptor for layer in made.image.layers]
    assert [layer.media_type for layer in image.layers] == [each.media_type for each in described]
    assert [layer.digest for layer in image.layers] == [each.digest.value for each in described]
    assert [layer.diff_id for layer in image.layers] == [layer.diff_id.value for layer in made.image.layers]
    assert [layer.name for layer in image.layers] == ["layer 0", "layer 1"]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"{", "cannot be read"),
        (b"{}", "is not a list"),
        (b"[7]", "is '[7]'"),
        (b"[]", "there are 0 images"),
        (b'[{"Config": "config.json"}]', "config.json is missing"),
        (b'[{"Config": "a/b", "Layers": 7}, {"Config": "c", "RepoTags": ["shop:1"]}]', "there are 2 images"),
    ],
)
def test_a_saved_archive_that_no_engine_writes_is_refused(
    made: Made, tmp_path: Path, manifest: bytes, told: str
) -> None:
    (tmp_path / "saved.tar").write_bytes(as_docker_saves(made, **{"manifest.json": manifest}))
    with pytest.raises((IntegrityError, UsageError)) as caught:
        read(f"{tmp_path}/saved.tar", tmp_path)
    assert told in caught.value.message


def test_a_saved_archive_with_other_bytes_than_it_promises_is_refused(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store", compression="none")
    config = made.store.read(made.image.config.digest)
    for changed, told in [
        ({f"{made.image.config.digest.hex}.json": config + b" "}, "has the digest"),
        ({"a" * 64 + "/layer.tar": bytes(10240)}, "damaged"),
        ({"a" * 64 + "/second.tar": bytes(10240)}, "damaged"),
    ]:
        (tmp_path / "saved.tar").write_bytes(as_docker_saves(made, **changed))
        with pytest.raises(IntegrityError, match=told):
            read(f"{tmp_path}/saved.tar", tmp_path)


def test_docker_is_asked_for_what_it_holds(made: Made, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with Engine(saved={"team/shop:1.0": as_docker_saves(made)}).running() as fake:
        subject = read("docker:team/shop:1.0", scratch, fake.environment)
        assert (subject.reference, subject.digest) == ("docker:team/shop:1.0", made.image.config.digest.value)
        assert list(scratch.iterdir()) == []
        with pytest.raises(RefusedError, match="Docker has no image 'nothing'") as caught:
            read("docker:nothing", scratch, fake.environment)
        assert caught.value.code == "IB810"
        fake.error = "the store is damaged"
        with pytest.raises(RefusedError, match="the store is damaged") as caught:
            read("docker:team/shop:1.0", scratch, fake.environment)
        assert caught.value.code == "IB811"
    with pytest.raises(RefusedError) as caught:
        read("docker:team/shop:1.0", scratch, fake.environment)
    assert caught.value.code == "IB660"


def test_podman_is_asked_for_what_it_holds(made: Made, tmp_path: Path) -> None:
    saved = tmp_path / "saved.tar"
    saved.write_bytes(as_docker_saves(made))
    program = tmp_path / "podman"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "save shop" ] && exec cat {saved}\n'
        '[ "$*" = "save damaged" ] && echo "Error: no space" >&2 && exit 125\n'
        'echo "Error: $2: image not known" >&2; exit 125\n'
    )
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert read("podman:shop", tmp_path, environment).digest == made.image.config.digest.value
    for name, code in ("damaged", "IB811"), ("nothing", "IB810"):
        with pytest.raises(RefusedError, match=name) as caught:
            read(f"podman:{name}", tmp_path, environment)
        assert caught.value.code == code
    with pytest.raises(RefusedError) as caught:
        read("podman:shop", tmp_path, {"PATH": "/nowhere"})
    assert caught.value.code == "IB660"


@pytest.mark.parametrize("name", ["docker:", "docker:-shop", "podman:--help", "podman:shop; id", "No/Such/Image"])
def test_what_is_no_name_is_given_to_nobody(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(name, tmp_path, {"PATH": "/nowhere"})
    assert caught.value.code == "IB652"


def test_what_is_not_there_is_said(registry: Registry, tmp_path: Path) -> None:
    for place, code in [
        (f"oci:{tmp_path}/nothing", "IB655"),
        (f"archive:{tmp_path}/nothing.tar", "IB655"),
        (str(tmp_path), "IB654"),
        (f"{registry.address}/nothing:1", "IB206"),
    ]:
        with pytest.raises(BuildError) as caught:
            read(place, tmp_path)
        assert caught.value.code == code


@pytest.mark.docker
def test_a_real_docker_gives_what_it_was_given(tmp_path: Path, docker_environment: dict[str, str]) -> None:
    twice = [file("greeting", b"hi\n")]
    made = images.make(tmp_path / "store", twice, [file("other", b"ho\n")], twice)
    tags = (reference.parse("subject"),)
    with engine.forgetting(docker_environment):
        daemon.load_docker(made.image, made.store, tags, environment=docker_environment)
        subject = read("docker:subject", tmp_path, docker_environment)
        by_id = read(f"docker:{made.image.config.digest.hex[:12]}", tmp_path, docker_environment)
    assert subject.digest == by_id.digest == made.image.config.digest.value
    assert [layer.digest for layer in subject.images[0].layers] == [layer.diff_id.value for layer in made.image.layers]
    with pytest.raises(RefusedError) as caught:
        read("docker:nothing", tmp_path, docker_environment)
    assert caught.value.code == "IB810"


@pytest.mark.tools
@pytest.mark.root
def test_a_real_podman_gives_what_it_was_given(tmp_path: Path) -> None:
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver="vfs"\ngraphroot="{tmp_path}/root"\nrunroot="{tmp_path}/run"\n')
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(storage), "TMPDIR": str(tmp_path)}
    twice = [file("greeting", b"hi\n")]
    made = images.make(tmp_path / "store", twice, [file("other", b"ho\n")], twice)
    daemon.load_podman(made.image, made.store, (reference.parse("subject"),), environment=environment)
    subject = read("podman:subject", tmp_path, environment)
    assert subject.digest == made.image.config.digest.value
    assert [layer.digest for layer in subject.images[0].layers] == [layer.diff_id.value for layer in made.image.layers]
    with pytest.raises(RefusedError) as caught:
        read("podman:nothing", tmp_path, environment)
    assert caught.value.code == "IB810"
