"""Layers are sent while others are made; what ends a build ends that, whatever the registry does."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from buildpacks.api import Files, LayerSpec
from imagebuilder import early, image, parts, push, reference
from imagebuilder.cache import Cache
from imagebuilder.early import EarlyUploads
from imagebuilder.export import export
from imagebuilder.make import Workshop
from imagebuilder.progress import Progress
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.request import BuildRequest
from layers import entry
from layers.descriptor import Platform
from layers.entry import Entry
from layers.errors import BuildError, IntegrityError, UsageError
from layers.layer import Layer
from tests import images
from tests.registry import Registry
from tests.serving import Answer, Application, Request

LINUX = Platform("linux", "amd64")
PATIENCE_S = 10.0


def request_for(registry: Registry, *names: str) -> BuildRequest:
    return BuildRequest(
        Path(), "shop", LINUX, push=True, tags=tuple(f"{registry.address}/{name}" for name in names or ["shop:1"])
    )


def workshop(folder: Path, going: EarlyUploads | None) -> Workshop:
    return Workshop(Cache(folder), lambda _sources, *_arrived: {}, "gzip", 2, early=going)


def text_layer(name: str) -> LayerSpec:
    return LayerSpec(name, {"text": name}, lambda _files: [entry.file(name, name.encode())])


def make(folder: Path, request: BuildRequest, specs: Sequence[LayerSpec]) -> list[Layer]:
    """Make layers and send them."""
    with early.uploads(request, Cache(folder).store, Progress()) as going:
        return [each.layer for each in workshop(folder, going).make(specs, Progress())]


def test_a_layer_is_sent_while_another_one_is_made(registry: Registry, tmp_path: Path) -> None:
    def entries(_files: Files) -> Iterable[Entry]:
        for _ in range(int(PATIENCE_S * 100)):
            if registry.repository("shop").blobs:
                return [entry.file("second", b"second")]
            threading.Event().wait(0.01)
        raise AssertionError("the first layer was not sent")

    first, _ = make(tmp_path, request_for(registry), [text_layer("first"), LayerSpec("second", {}, entries)])
    assert first.descriptor.digest.value in registry.repository("shop").blobs
    assert registry.repository("shop").tags == {}


def test_what_was_sent_early_is_not_asked_for_again(registry: Registry, tmp_path: Path) -> None:
    request = request_for(registry, "shop:1", "shop:2", "team/shop:1")
    store, progress = Cache(tmp_path).store, Progress()
    with early.uploads(request, store, progress) as going:
        made = [each.layer for each in workshop(tmp_path, going).make([text_layer("a"), text_layer("b")], progress)]
        built = export(store, made, images.RUN, platform=LINUX)
        first, second = push.push(
            parts.gather(built.manifest, image.blobs_of(store)),
            [reference.parse(tag) for tag in request.tags],
            settings=RegistrySettings({}),
            progress=progress,
            early=going,
        )
    assert (first.count("uploaded"), first.tags, second.count("mounted")) == (3, ("1", "2"), 3)
    for layer in made:
        assert registry.traffic.asked("POST", "/v2/shop/blobs/") == 3
        assert registry.traffic.asked("HEAD", f"/v2/shop/blobs/{layer.descriptor.digest}") == 1
    assert set(registry.repository("shop").tags) == {"1", "2"}


def test_a_layer_that_fails_ends_uploads_that_nobody_answers(registry: Registry, tmp_path: Path) -> None:
    asked, forever = threading.Event(), threading.Event()

    def stall(request: Request, answer: Application) -> Answer:
        asked.set()
        forever.wait(PATIENCE_S * 3)
        return answer(request)

    def entries(_files: Files) -> Iterable[Entry]:
        assert asked.wait(PATIENCE_S)
        raise IntegrityError("the wheel is damaged", hint="none", code="IB511")

    registry.faults.append(stall)
    ended = threading.Event()

    def build() -> None:
        with pytest.raises(IntegrityError, match="the wheel is damaged"):
            make(tmp_path, request_for(registry), [text_layer("good"), LayerSpec("bad", {}, entries)])
        ended.set()

    threading.Thread(target=build, daemon=True).start()
    try:
        assert ended.wait(PATIENCE_S)
        assert not list((tmp_path / "blobs" / "sha256").glob(".partial-*"))
    finally:
        forever.set()


def test_a_registry_that_refuses_is_told_of_when_everything_is_made(registry: Registry, tmp_path: Path) -> None:
    registry.faults.append(lambda request, answer: Answer(403) if request.method == "PUT" else answer(request))
    request = request_for(registry)
    with early.uploads(request, Cache(tmp_path).store, Progress()) as going:
        (made,) = workshop(tmp_path, going).make([text_layer("first")], Progress())
        fate = going.fate(made.layer.descriptor) if going else None
        with pytest.raises(BuildError) as caught:
            fate.result(PATIENCE_S)  # type: ignore[union-attr]  # None fails too
    assert caught.value.code == "IB205"


def test_nothing_is_made_for_a_name_that_cannot_be_pushed_to(tmp_path: Path) -> None:
    request = BuildRequest(Path(), "shop", LINUX, push=True, tags=("shop:1",))
    with pytest.raises(UsageError) as caught, early.uploads(request, Cache(tmp_path).store, Progress()):
        pass
    assert caught.value.code == "IB241"


def test_who_pushes_nothing_sends_nothing(tmp_path: Path) -> None:
    with early.uploads(BuildRequest(Path(), "shop", LINUX), Cache(tmp_path).store, Progress()) as going:
        assert going is None
