"""Container engines: they hold the image we made, run it, and their absence is an error with a remedy."""

import io
import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker import DockerClient

from buildpacks.api import Process
from imagebuilder import outputs
from imagebuilder.request import Output
from layers import entry
from layers.errors import BuildError, IntegrityError, RefusedError
from tests import images
from tests.fake_docker import Engine


def load(made: images.Made, environment: dict[str, str], *tags: str, engine: str = "docker") -> None:
    output = Output(engine, tags[0])  # type: ignore[arg-type]
    outputs.deliver(made.image, made.store, output, tags=tags, environment=environment)


@pytest.fixture
def client(docker_environment: dict[str, str]) -> Iterator[DockerClient]:
    connected = docker.from_env(environment=docker_environment)
    yield connected
    for image in connected.images.list():
        connected.images.remove(image.id, force=True)
    connected.close()


@pytest.mark.docker
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_docker_has_our_config_digest_and_runs_the_image(
    tmp_path: Path, docker_environment: dict[str, str], client: DockerClient, compression
) -> None:
    made = images.host_image(tmp_path, compression=compression)
    load(made, docker_environment, "shop", "registry.example.com/team/shop:1.0")
    load(made, docker_environment, "shop")
    (image,) = client.images.list()
    assert image.id == made.image.config.digest.value
    assert sorted(image.tags) == ["registry.example.com/team/shop:1.0", "shop:latest"]
    shown = client.containers.run("shop", network_mode="none", read_only=True, remove=True, stderr=False)
    assert shown.decode() == "65532\nhello\nread-only\n"


@pytest.mark.docker
def test_an_engine_gets_its_own_name_alone_unless_that_is_one_of_the_tags(
    tmp_path: Path, docker_environment: dict[str, str], client: DockerClient
) -> None:
    made = images.small(tmp_path)
    output = Output("docker", "mine")
    for tags in (("shop",), ("shop", "mine")):
        outputs.deliver(made.image, made.store, output, tags=tags, environment=docker_environment)
        (image,) = client.images.list()
        assert sorted(image.tags) == (["mine:latest"] if tags == ("shop",) else ["mine:latest", "shop:latest"])


@pytest.mark.docker
def test_a_process_of_a_running_container_gets_the_stop_signal(
    tmp_path: Path, docker_environment: dict[str, str], client: DockerClient
) -> None:
    script = "trap 'echo stopped; exit 3' INT; while :; do sleep 0.1; done"
    process = Process("web", ("/bin/sh", "-c", script), "tests", default=True, stop_signal="SIGINT")
    load(images.host_image(tmp_path, process=process), docker_environment, "trap")
    container = client.containers.run("trap", network_mode="none", read_only=True, detach=True)
    started = time.monotonic()
    container.stop(timeout=20)
    assert time.monotonic() - started < 10
    assert (container.wait()["StatusCode"], container.logs()) == (3, b"stopped\n")
    container.remove()


@pytest.mark.docker
def test_a_damaged_blob_stops_the_loading(tmp_path: Path, docker_environment: dict[str, str], client) -> None:
    made = images.small(tmp_path)
    blob = made.store.path(made.image.layers[1].descriptor.digest)
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(BuildError) as caught:
        load(made, docker_environment, "shop")
    assert caught.value.exit_code == 6
    assert client.images.list() == []


@pytest.mark.parametrize("same", ["config", "manifest"])
def test_an_engine_may_name_images_by_config_or_by_manifest(tmp_path: Path, same: str) -> None:
    made = images.small(tmp_path)
    with Engine(image_id=getattr(made.image, same).digest.value).running() as engine:
        load(made, engine.environment, "shop")


def test_an_engine_that_holds_another_image_is_an_error(tmp_path: Path) -> None:
    with Engine(image_id="sha256:" + "0" * 64).running() as engine, pytest.raises(IntegrityError) as caught:
        load(images.small(tmp_path), engine.environment, "shop")
    assert caught.value.code == "IB662"
    assert "docker.io/library/shop:latest" in caught.value.message


def test_what_the_engine_says_when_it_refuses_is_passed_on(tmp_path: Path) -> None:
    said = Engine(error="write /layer.tar: no space left on device")
    with said.running() as engine, pytest.raises(RefusedError, match="no space left") as caught:
        load(images.small(tmp_path), engine.environment, "shop")
    assert caught.value.code == "IB661"


@pytest.mark.parametrize(
    ("version", "compression", "plain"),
    [
        ("20.10.24+dfsg1", "zstd", True),
        ("dev", "zstd", True),
        ("26.1.5", "zstd", False),
        ("20.10.24+dfsg1", "gzip", False),
    ],
)
def test_only_an_engine_that_cannot_read_zstd_gets_plain_layers(
    tmp_path: Path, version: str, compression, plain
) -> None:
    made = images.small(tmp_path, compression=compression)
    with Engine(version, made.image.config.digest.value).running() as engine:
        load(made, engine.environment, "shop")
    with tarfile.open(fileobj=io.BytesIO(engine.loaded)) as archive:
        names = set(archive.getnames())
    layers = [layer.diff_id if plain else layer.descriptor.digest for layer in made.image.layers]
    assert {f"blobs/sha256/{digest.hex}" for digest in layers} < names
    assert f"blobs/sha256/{made.image.config.digest.hex}" in names


def podman(folder: Path, script: str) -> dict[str, str]:
    """Put a podman of our own first on PATH."""
    program = folder / "podman"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


@pytest.mark.parametrize("script", ["cat > /dev/null; echo 'first' >&2; echo 'Error: no space' >&2; exit 125",
                                    "echo 'Error: no space' >&2; exit 125"])  # fmt: skip
def test_what_podman_says_is_passed_on_even_if_it_does_not_read(tmp_path: Path, script: str) -> None:
    made = images.make(tmp_path / "store", [entry.file("large", bytes(1 << 20))], compression="none")
    with pytest.raises(RefusedError, match="podman did not load the image: Error: no space") as caught:
        load(made, podman(tmp_path, script), "shop", engine="podman")
    assert caught.value.code == "IB661"


def test_what_podman_holds_is_checked(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        load(images.small(tmp_path), podman(tmp_path, "cat > /dev/null; echo 123"), "shop", engine="podman")
    assert caught.value.code == "IB662"


@pytest.mark.tools
@pytest.mark.root
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_podman_has_our_config_digest(tmp_path: Path, compression) -> None:
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver="vfs"\ngraphroot="{tmp_path}/root"\nrunroot="{tmp_path}/run"\n')
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(storage), "TMPDIR": str(tmp_path)}
    load(images.small(tmp_path, compression=compression), environment, "shop", engine="podman")
    load(images.small(tmp_path, compression=compression), environment, "shop", "team/shop:1.0", engine="podman")
    listed = subprocess.run(["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"], env=environment,
                            capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert sorted(listed.split()) == ["docker.io/library/shop:latest", "docker.io/team/shop:1.0"]


def test_without_an_engine_the_error_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(RefusedError, match="cannot reach Docker") as caught:
        load(images.small(tmp_path), {"DOCKER_HOST": address}, "shop")
    assert caught.value.code == "IB660"
    assert "DOCKER_HOST" in caught.value.hint
    with pytest.raises(RefusedError, match="cannot reach podman"):
        load(images.small(tmp_path), {"PATH": str(tmp_path)}, "shop", engine="podman")
