"""A name of a registry becomes pins; what nobody can build upon is refused; nothing is read twice."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from buildpacks.api import Interpreter
from imagebuilder import lock
from imagebuilder.base import image, overlay
from imagebuilder.base.image import BaseImages
from imagebuilder.base.pins import ImagePins
from imagebuilder.cache import Cache
from imagebuilder.lock import PlatformLock
from imagebuilder.progress import Progress
from imagebuilder.registry.settings import RegistrySettings
from layers.descriptor import LAYER_GZIP, Platform
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, RefusedError, UsageError
from tests import bases
from tests.bases import DEBIAN, PYTHON, SLIM
from tests.registry import MANIFEST, Registry
from tests.serving import Answer, Application, Request

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
NAME = "library/python"


@pytest.fixture
def images(tmp_path: Path) -> BaseImages:
    return BaseImages(Cache(tmp_path / "cache"), RegistrySettings(backoff_s=0.01), Progress())


def pinned(images: BaseImages, registry: Registry, *, platform: Platform = AMD64, name: str = NAME) -> ImagePins:
    return images.pin(f"{registry.address}/{name}", platform)


def refused(images: BaseImages, registry: Registry, *, platform: Platform = AMD64) -> BuildError:
    with pytest.raises(BuildError) as caught:
        pinned(images, registry, platform=platform)
    return caught.value


@pytest.mark.parametrize("base", ["debian:trixie", "debian:sid", "debian:nosuch"])
def test_a_suite_is_no_image(base: str) -> None:
    assert not image.is_image(base)


@pytest.mark.parametrize(
    "base", ["debian", "debian:13", "debian:trixie-slim", "python:3.13", "docker.io/library/debian:trixie"]
)
def test_all_else_is_an_image(base: str) -> None:
    assert image.is_image(base)


@pytest.mark.parametrize("docker", [False, True])
def test_an_image_is_pinned_by_digest_with_what_it_holds(images: BaseImages, registry: Registry, docker: bool) -> None:
    digest = bases.put(registry, NAME, *SLIM, docker=docker)
    pins = pinned(images, registry)
    assert (pins.name, pins.manifest.digest.value) == (f"{registry.address}/{NAME}", digest)
    assert [layer.descriptor.media_type for layer in pins.layers] == [LAYER_GZIP] * 3
    assert [layer.diff_id for layer in pins.layers] == [Digest.of(layer) for layer in SLIM]
    assert [(each.version, each.executable) for each in pins.found.interpreters] == [
        ("3.13.5", "/usr/local/bin/python3.13")
    ]
    assert pins.target.glibc == (2, 41)
    assert pins.target.distribution == "debian:13"
    # The documents are kept as they came.
    held = registry.repository(NAME)
    assert images.cache.store.read(pins.manifest.digest) == held.manifests[digest][1]
    assert images.cache.store.read(pins.config.digest) == held.blobs[pins.config.digest.value]


@pytest.mark.parametrize("docker", [False, True])
def test_of_an_index_the_image_of_the_platform_is_taken(images: BaseImages, registry: Registry, docker: bool) -> None:
    amd64, arm64, old = (
        bases.put(registry, NAME, *SLIM, docker=docker, architecture=architecture, run={"Labels": {"n": str(number)}})
        for number, architecture in enumerate(("amd64", "arm64", "arm64"))
    )
    bases.put_index(
        registry,
        NAME,
        (amd64, {"os": "windows", "architecture": "amd64"}),
        (old, {"os": "linux", "architecture": "arm64", "variant": "v9"}),
        (arm64, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
        (amd64, {"os": "linux", "architecture": "amd64"}),
        (amd64, {"os": "unknown", "architecture": "unknown"}),
    )
    assert pinned(images, registry).manifest.digest.value == amd64
    assert pinned(images, registry, platform=ARM64).manifest.digest.value == arm64


def test_a_name_with_a_digest_is_that_image_whatever_its_tag_says(images: BaseImages, registry: Registry) -> None:
    digest = bases.put(registry, NAME, *SLIM)
    bases.put(registry, NAME, bases.tar(DEBIAN))
    pins = pinned(images, registry, name=f"{NAME}:latest@{digest}")
    assert pins.manifest.digest.value == digest


def test_layers_are_read_once_for_each_base(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, *SLIM)
    first = pinned(images, registry)
    for layer in first.layers:
        images.cache.store.path(layer.descriptor.digest).unlink()
    registry.traffic.requests.clear()
    assert pinned(images, registry) == first
    assert not registry.traffic.asked("GET", "/blobs/")


def test_pins_read_back_from_the_lock(images: BaseImages, registry: Registry, tmp_path: Path) -> None:
    bases.put(registry, NAME, *SLIM, docker=True)
    pins = pinned(images, registry)
    annotated = replace(pins.layers[0], descriptor=replace(pins.layers[0].descriptor, annotations={"a": "b"}))
    locked = PlatformLock(replace(pins, layers=(annotated, *pins.layers[1:])), ("dash",), {})
    assert lock.write(tmp_path, {"linux/amd64": locked})
    assert lock.read(tmp_path) == {"linux/amd64": locked}
    assert lock.read(tmp_path)["linux/amd64"].inputs == locked.inputs


@pytest.mark.parametrize(
    "change", [('glibc = "2.41"', 'glibc = "2"'), ('image = "', 'images = "'), ("size = ", "s = ")]
)
def test_a_lock_with_a_damaged_base_is_an_error(
    images: BaseImages, registry: Registry, tmp_path: Path, change: tuple[str, str]
) -> None:
    bases.put(registry, NAME, *SLIM)
    lock.write(tmp_path, {"linux/amd64": PlatformLock(pinned(images, registry), (), {})})
    path = tmp_path / lock.FILE
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(UsageError) as caught:
        lock.read(tmp_path)
    assert caught.value.code == "IB431"


@pytest.mark.parametrize("base", ["oci:layout", "oci:layout:name", "archive:image.tar", "docker:image", "podman:image"])
def test_a_place_on_this_machine_is_no_base(images: BaseImages, base: str) -> None:
    with pytest.raises(UsageError) as caught:
        images.pin(base, AMD64)
    assert caught.value.code == "IB250"


def test_another_platform_is_refused(images: BaseImages, registry: Registry) -> None:
    digest = bases.put(registry, NAME, *SLIM)
    error = refused(images, registry, platform=ARM64)
    assert (error.code, error.details) == ("IB251", ("there is: linux/amd64",))
    linux, windows = {"os": "linux", "architecture": "arm64"}, {"os": "windows", "architecture": "amd64"}
    bases.put_index(registry, NAME, (digest, windows), (digest, linux))
    error = refused(images, registry)
    assert (error.code, error.details) == ("IB251", ("there is: windows/amd64, linux/arm64",))
    assert refused(images, registry, platform=ARM64).code == "IB251", "the config says that it is for amd64"
    bases.put_index(registry, NAME)
    assert refused(images, registry).details == ("there is: nothing",)


def test_windows_is_refused(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, *SLIM, os="windows")
    assert refused(images, registry).code == "IB251"


def test_a_base_without_python_is_refused(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, bases.tar(DEBIAN))
    error = refused(images, registry)
    assert error.code == "IB252"
    assert "no Python" in error.message


def test_a_base_with_musl_is_refused_with_that_reason(images: BaseImages, registry: Registry) -> None:
    alpine = {"lib/ld-musl-x86_64.so.1": b"\x7fELF", "etc/os-release": b"ID=alpine\nVERSION_ID=3.22.1\n"}
    bases.put(registry, NAME, bases.tar(alpine), bases.tar(PYTHON))
    error = refused(images, registry)
    assert (error.code, error.details) == ("IB253", ("it is alpine:3.22.1",))
    assert "musl" in error.message


def test_a_base_without_any_c_library_is_refused(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, bases.tar(PYTHON))
    error = refused(images, registry)
    assert error.code == "IB253"
    assert "no libc.so.6" in error.message


@pytest.mark.parametrize(
    "layer_type",
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    ],
)
def test_layers_that_nobody_can_build_upon_are_refused(images: BaseImages, registry: Registry, layer_type: str) -> None:
    bases.put(registry, NAME, *SLIM, layer_type=layer_type)
    assert refused(images, registry).code == "IB255"


def test_an_artifact_is_refused(images: BaseImages, registry: Registry) -> None:
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest.of(b"{}").value, "size": 2}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "layers": [empty]}
    registry.put_manifest(NAME, json.dumps(document).encode(), "latest")
    assert refused(images, registry).code == "IB255"


@pytest.mark.parametrize("run", [{"Labels": {"a": 1}}, {"Labels": []}, {"Env": "A=1"}, {"Env": [1]}])
def test_a_config_with_fields_of_another_type_is_refused(
    images: BaseImages, registry: Registry, run: dict[str, object]
) -> None:
    bases.put(registry, NAME, *SLIM, run=run)
    assert refused(images, registry).code == "IB654"


def test_an_error_of_one_layer_ends_the_download_of_the_others(images: BaseImages, registry: Registry) -> None:
    large = bytes(64 << 20)
    bases.put(registry, NAME, *SLIM, large, bases.tar({"damaged": b""}))
    manifest = json.loads(registry.repository(NAME).manifests[registry.repository(NAME).tags["latest"]][1])
    slow, damaged = (layer["digest"] for layer in manifest["layers"][-2:])

    def trickle(content: bytes) -> Iterator[bytes]:
        for byte in content:
            time.sleep(0.05)
            yield bytes([byte])

    def fault(request: Request, application: Application) -> Answer:
        answer = application(request)
        if request.method == "GET" and slow in request.target and isinstance(answer.body, bytes):
            headers = {**answer.headers, "Content-Length": str(len(answer.body))}
            return Answer(answer.status, headers, trickle(answer.body))
        if damaged in request.target:
            return Answer(404)
        return answer

    registry.faults.append(fault)
    started = time.monotonic()
    assert isinstance(refused(images, registry), RefusedError)
    assert time.monotonic() - started < 20


def test_an_index_in_an_index_is_refused(images: BaseImages, registry: Registry) -> None:
    linux = {"os": "linux", "architecture": "amd64"}
    inner = bases.put_index(registry, NAME, (bases.put(registry, NAME, *SLIM), linux))
    bases.put_index(registry, NAME, (inner, linux))
    assert refused(images, registry).code == "IB255"


def test_an_image_whose_documents_contradict_each_other_is_refused(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, *SLIM, further={"rootfs": {"type": "layers", "diff_ids": []}})
    assert refused(images, registry).code == "IB654"
    bases.put(registry, NAME, *SLIM, further={"rootfs": {"type": "layers", "diff_ids": [Digest.of(b"").value] * 3}})
    assert refused(images, registry).code == "IB656"


def test_a_layer_that_unpacks_to_too_much_is_not_read_to_its_end(
    images: BaseImages, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "_ALWAYS_ALLOWED", 1 << 20)
    bases.put(registry, NAME, bases.tar({"zeros": bytes(64 << 20)}))
    error = refused(images, registry)
    assert isinstance(error, IntegrityError)
    assert error.code == "IB256"


def test_offline_nothing_is_asked(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, *SLIM)
    pins = pinned(images, registry)
    offline = replace(images, offline=True)
    registry.traffic.requests.clear()
    assert offline.inherited(pins).digest == pins.manifest.digest.value
    assert refused(offline, registry).code == "IB257"
    images.cache.store.path(pins.config.digest).unlink()
    with pytest.raises(BuildError) as caught:
        offline.inherited(pins)
    assert caught.value.code == "IB257"
    assert not registry.traffic.requests


def test_packages_cannot_be_added_but_a_shell_that_is_there_counts(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, *SLIM)
    pins = pinned(images, registry)
    image.check_packages(pins, ("coreutils", "dash"))
    with pytest.raises(UsageError) as caught:
        image.check_packages(pins, ("bash", "dash", "libpq5"))
    assert caught.value.code == "IB254"
    assert "bash, libpq5" in caught.value.message


def test_another_interpreter_than_the_usual_one_becomes_python(images: BaseImages, registry: Registry) -> None:
    bases.put(registry, NAME, *SLIM)
    pins = pinned(images, registry)
    assert image.addition(pins, pins.found.interpreters[0]).layers == ()
    other = Interpreter("3.11.2", "/usr/bin/python3.11", "base")
    added = image.addition(pins, other)
    (link,) = added.layers[0].entries({})
    assert (link.path, link.target, added.env) == (
        "layers/python/bin/python",
        "/usr/bin/python3.11",
        {"PATH": "/layers/python/bin"},
    )


def test_what_the_base_sets_is_inherited_and_certificates_are_named_where_they_are(
    images: BaseImages, registry: Registry
) -> None:
    bases.put(registry, NAME, *SLIM)
    inherited = images.inherited(pinned(images, registry))
    assert inherited.env == {
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GPG_KEY": "7169",
        "PYTHON_VERSION": "3.13.5",
    }
    bases.put(registry, "bare", bases.tar(DEBIAN), bases.tar(PYTHON), env=(), run={"Env": None})
    assert images.inherited(pinned(images, registry, name="bare")).env == {}
