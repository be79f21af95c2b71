"""Layers that the lock knows: neither fetched for nor made if the registry has them, and never believed otherwise."""

import base64
import json
import resource
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tomli
import tomli_w

from buildpacks.api import LayerSpec
from imagebuilder import early, known_layers, lock, recorded
from imagebuilder.cache import Cache
from imagebuilder.make import MadeLayer, Workshop
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest
from layers import entry
from layers.canonical import Json
from layers.descriptor import LAYER_GZIP, Descriptor, Platform
from layers.digest import Digest
from layers.layer import Layer, write_layer
from tests import world
from tests.imagebuilder.test_lock import PINS
from tests.registry import Registry
from tests.serving import Answer, Application, Request
from tests.world import World

DEMO = entry.file("demo", b"demo")
FLASK = {"requirements.txt": "flask\n", "main.py": "print('hello')\n"}
PINNED = ["debian:trixie base", "debian:trixie interpreter", "environment", "site-packages"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    with world.running(tmp_path) as running:
        yield running


def ran(place: World, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    found = place.run(*arguments)
    assert found.returncode == code, found.stderr
    return found


def built(place: World, *flags: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(ran(place, "build", "app", "--json", *flags).stdout)
    return document


def pushed(place: World, registry: Registry, *flags: str, to: str = "shop:1") -> dict[str, object]:
    return built(place, "--push", "-t", f"{registry.address}/{to}", *flags)


def fresh(place: World, registry: Registry) -> None:
    """Forget everything but the application and its lock, and what was asked for."""
    shutil.rmtree(place.folder / "cache")
    place.mirror.asked.clear()
    place.index.seen.clear()
    registry.traffic.requests.clear()


def records(place: World) -> list[dict[str, Json]]:
    lock = tomli.loads((place.folder / "app" / "imagebuilder.lock").read_text())
    found: list[dict[str, Json]] = lock["platforms"]["linux/amd64"].get("layers", [])
    return found


def edit(place: World, name: str, **changes: Json) -> None:
    """Have the lock say something else of a layer."""
    path = place.folder / "app" / "imagebuilder.lock"
    lock = tomli.loads(path.read_text())
    for each in lock["platforms"]["linux/amd64"]["layers"]:
        if each["name"] == name:
            each |= changes
    path.write_text(tomli_w.dumps(lock))


def cached(document: dict[str, object]) -> dict[str, bool]:
    found = document["layers"]
    assert isinstance(found, list)
    return {layer["name"]: layer["cached"] for layer in found}


def uploaded(document: dict[str, object]) -> int:
    found = document["pushed"]
    assert isinstance(found, list)
    count: int = found[0]["uploaded"]
    return count


def test_a_build_records_the_layers_of_what_is_pinned_alone(place: World) -> None:
    place.app(FLASK)
    document = built(place)
    made = document["layers"]
    assert isinstance(made, list)
    kept = [(one["name"], one["digest"], one["diff-id"], one["size"]) for one in records(place)]
    assert kept == [(one["name"], one["digest"], one["diff_id"], one["size"]) for one in made[:4]]
    assert [name for name, *_ in kept] == PINNED


def test_records_make_no_lock_stale_and_are_not_written_twice_nor_where_the_lock_is_given(place: World) -> None:
    app = place.app(FLASK)
    ran(place, "lock", "app")
    bare = (app / "imagebuilder.lock").read_bytes()
    built(place, "--locked")
    assert (app / "imagebuilder.lock").read_bytes() == bare
    built(place)
    full = (app / "imagebuilder.lock").read_bytes()
    assert full != bare
    built(place, "--no-cache")
    ran(place, "lock", "app")
    assert (app / "imagebuilder.lock").read_bytes() == full
    ran(place, "lock", "app", "--check")


def test_a_lock_that_cannot_be_written_ends_no_build_that_it_fits(tmp_path: Path) -> None:
    lock.write(tmp_path, {"linux/amd64": PINS})
    bare = (tmp_path / lock.FILE).read_bytes()
    spec = LayerSpec("demo", {"wheel": "a"}, lambda _files: (), pinned=True)
    blob = Descriptor(LAYER_GZIP, Digest.of(b"blob"), 4)
    request = BuildRequest(tmp_path, "shop", Platform("linux", "amd64"))
    made = [MadeLayer(Layer(blob, Digest.of(b"tar"), "demo"), cached=True)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        known_layers.settle(request, PINS, [spec], made, Progress())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / lock.FILE).read_bytes() == bare
    known_layers.settle(request, PINS, [spec], made, Progress())
    assert [each.digest for each in lock.read(tmp_path)["linux/amd64"].layers] == [blob.digest]


def test_pins_that_somebody_has_made_meanwhile_are_left_as_they_are(tmp_path: Path) -> None:
    newer = replace(PINS, packages=("libpq5", "dash"))
    lock.write(tmp_path, {"linux/amd64": newer})
    spec = LayerSpec("demo", {"wheel": "a"}, lambda _files: (), pinned=True)
    made = [MadeLayer(Layer(Descriptor(LAYER_GZIP, Digest.of(b"blob"), 4), Digest.of(b"tar"), "demo"), cached=True)]
    known_layers.settle(BuildRequest(tmp_path, "shop", Platform("linux", "amd64")), PINS, [spec], made, Progress())
    assert lock.read(tmp_path) == {"linux/amd64": newer}


def test_a_fresh_runner_with_the_lock_sends_the_application_alone_and_fetches_nothing(
    place: World, registry: Registry
) -> None:
    app = place.app(FLASK)
    first = pushed(place, registry)
    fresh(place, registry)
    (app / "main.py").write_text("print('changed')\n")
    second = pushed(place, registry, "--locked")
    assert (place.mirror.asked, place.index.seen) == ([], [])
    assert cached(second) == {**dict.fromkeys(PINNED, True), "launchers": False, "application": False}
    assert uploaded(second) == 2  # the application and the config; the launchers are there
    sent = [one for one in registry.traffic.requests if one.body.received]
    assert len(sent) == 3  # and the manifest
    assert registry.traffic.asked("GET", "/blobs/") == 0
    # Four layers, the tag, three blobs that are not known to be there, two of which are sent, and the manifest.
    asked = [one.method for one in registry.traffic.requests if one.path != "/v2/"]
    assert sorted(asked) == sorted(["HEAD"] * (4 + 1 + 3) + ["POST", "PUT"] * 2 + ["PUT"])
    assert first["manifest_digest"] != second["manifest_digest"]
    (app / "main.py").write_text("print('hello')\n")
    assert pushed(place, registry)["manifest_digest"] == first["manifest_digest"]
    shutil.rmtree(place.folder / "cache")
    assert built(place, "--no-cache")["manifest_digest"] == first["manifest_digest"]


def test_a_layer_that_the_registry_has_lost_is_made_and_nothing_else(place: World, registry: Registry) -> None:
    place.app(FLASK)
    first = pushed(place, registry)
    lost = next(str(one["digest"]) for one in records(place) if one["name"] == "site-packages")
    del registry.repository("shop").blobs[lost]
    fresh(place, registry)
    second = pushed(place, registry, "--locked", to="shop:2")
    assert place.mirror.asked == []
    assert place.index.asked(".whl") == 2
    assert second["manifest_digest"] == first["manifest_digest"]
    assert lost in registry.repository("shop").blobs


def test_another_repository_of_the_registry_mounts_what_the_first_one_has(place: World, registry: Registry) -> None:
    place.app(FLASK)
    first = pushed(place, registry)
    fresh(place, registry)
    other = f"{registry.address}/other:1"
    second = pushed(place, registry, "-t", other)
    assert (place.mirror.asked, place.index.seen) == ([], [])
    assert registry.traffic.asked("GET", "/blobs/") == 0
    assert registry.repository("other").tags == {"1": first["manifest_digest"]}
    assert second["manifest_digest"] == first["manifest_digest"]


def test_another_registry_gets_what_the_first_one_has(place: World, registry: Registry) -> None:
    place.app(FLASK)
    first = pushed(place, registry)
    fresh(place, registry)
    with Registry().running() as other:
        pushed(place, registry, "-t", f"{other.address}/shop:1")
        assert other.repository("shop").tags == {"1": first["manifest_digest"]}
    assert (place.mirror.asked, place.index.seen) == ([], [])


@pytest.mark.parametrize("flags", [["-o", "oci:out"], ["--no-cache"], ["--compression", "zstd"]])
def test_layers_are_made_where_their_bytes_are_needed_or_wanted(
    place: World, registry: Registry, flags: list[str]
) -> None:
    place.app(FLASK)
    pushed(place, registry)
    fresh(place, registry)
    assert not any(cached(pushed(place, registry, *flags)).values())
    assert place.index.asked(".whl") == 2


@pytest.mark.parametrize("changed", ["digest", "diff-id", "size"])
def test_what_the_lock_says_wrongly_of_a_layer_is_found_by_who_has_it_ib955(place: World, changed: str) -> None:
    place.app(FLASK)
    built(place)
    right = records(place)
    edit(place, "environment", **{changed: 1 if changed == "size" else f"sha256:{'0' * 64}"})
    refused = ran(place, "build", "app", "--locked", code=6)
    assert "error[IB955]: the layer environment is not what imagebuilder.lock says" in refused.stderr
    document = built(place, "--locked", "--no-cache")
    assert "IB955" in str(document["warnings"])
    document = built(place)
    assert "IB955" in str(document["warnings"])
    assert records(place) == right
    assert built(place, "--locked")["warnings"] == []


def test_a_record_with_a_wrong_size_is_not_used(place: World, registry: Registry) -> None:
    place.app(FLASK)
    first = pushed(place, registry)
    edit(place, "environment", size=1)
    fresh(place, registry)
    second = pushed(place, registry)
    assert second["manifest_digest"] == first["manifest_digest"]
    assert "IB955" in str(second["warnings"])


def test_a_record_is_believed_if_the_registry_has_what_it_names_and_an_audit_finds_it_wrong(
    place: World, registry: Registry
) -> None:
    """docs/decisions/0191-layers-that-the-lock-knows.md says why."""
    place.app(FLASK)
    pushed(place, registry)
    other = next(one for one in records(place) if one["name"] == "site-packages")
    edit(place, "environment", **{name: other[name] for name in ("digest", "diff-id", "size")})
    fresh(place, registry)
    assert pushed(place, registry, "--locked")["warnings"] == []
    audited = place.run("audit", f"{registry.address}/shop:1", "app")
    assert audited.returncode == 1, audited.stderr
    assert "environment" in audited.stdout + audited.stderr


def test_the_config_is_sent_while_the_tag_is_asked_for(place: World, registry: Registry) -> None:
    place.app(FLASK)

    def wait(request: Request, answer: Application) -> Answer:
        if (request.method, "/manifests/" in request.path) == ("HEAD", True):
            for _ in range(1000):
                if len(registry.repository("shop").blobs) == len(PINNED) + 3:
                    break
                threading.Event().wait(0.01)
            else:
                return Answer(403)
        return answer(request)

    registry.faults.append(wait)
    assert uploaded(pushed(place, registry)) == len(PINNED) + 3  # launchers, the application, and the config


def test_a_layer_that_is_missing_is_asked_for_and_sent_with_one_login_and_one_question(tmp_path: Path) -> None:
    cache, spec = Cache(tmp_path / "cache"), LayerSpec("demo", {"wheel": "a"}, lambda _files: [DEMO], pinned=True)
    known = write_layer(Cache(tmp_path / "before").store, [DEMO], created_by="demo", compression="gzip")
    pins = replace(PINS, layers=(recorded.record(spec, recorded.key(spec, "gzip"), known),))
    with Registry(users={"ann": "se:cret"}, scheme="bearer").running() as registry:
        login = {"auths": {registry.address: {"auth": base64.b64encode(b"ann:se:cret").decode()}}}
        (tmp_path / "config.json").write_text(json.dumps(login))
        request = BuildRequest(
            *(tmp_path, "shop", Platform("linux", "amd64")),
            push=True,
            tags=(f"{registry.address}/shop:1",),
            environment={"DOCKER_CONFIG": str(tmp_path)},
        )
        with early.uploads(request, cache.store, Progress()) as going:
            assert going
            search = known_layers.finders(request, pins, cache.store, Progress(), early=going)
            workshop = Workshop(cache, lambda _sources, *_: {}, "gzip", 2, elsewhere=search, early=going)
            (made,) = workshop.make([spec], Progress())
            sent = going.fate(made.layer.descriptor)
            assert (made.cached, sent and sent.result(10)) == (False, "uploaded")
        asked = [one.method for one in registry.traffic.requests if "/blobs/" in one.path]
        assert asked == ["HEAD", "HEAD", "POST", "PUT"]  # the first is told where to log in
        assert registry.traffic.asked("GET", "/token") == 1
