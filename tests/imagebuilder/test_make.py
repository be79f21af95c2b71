"""Layers are looked up by all that decides their bytes, and made where any of it is another."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import imagebuilder
from buildpacks.api import LayerSpec
from imagebuilder.cache import Cache
from imagebuilder.make import Workshop
from imagebuilder.progress import Progress
from layers import entry
from layers.canonical import Json


def spec(key: Mapping[str, Json], text: bytes = b"text") -> LayerSpec:
    return LayerSpec("demo", key, lambda _files: [entry.file("demo", text)])


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(Cache(tmp_path), lambda _sources, *_arrived: {}, "gzip", 1)


def cached(workshop: Workshop, described: LayerSpec) -> bool:
    (made,) = workshop.make([described], Progress())
    return made.cached


def test_a_layer_of_equal_inputs_is_made_once(workshop: Workshop) -> None:
    assert [cached(workshop, spec({"wheel": "a"})) for _ in range(2)] == [False, True]
    assert not cached(workshop, spec({"wheel": "b"}))


def test_a_layer_without_a_key_or_a_cache_is_made_each_time(workshop: Workshop) -> None:
    assert [cached(workshop, spec({})) for _ in range(2)] == [False, False]
    cached(workshop, spec({"wheel": "a"}))
    assert not cached(replace(workshop, use_cache=False), spec({"wheel": "a"}))


def test_another_compressor_makes_its_own_layer(workshop: Workshop) -> None:
    cached(workshop, spec({"wheel": "a"}))
    assert not cached(replace(workshop, compression="zstd"), spec({"wheel": "a"}))


def test_a_layer_that_another_release_made_is_not_taken_for_ours(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(workshop, spec({"wheel": "a"}))
    monkeypatch.setattr(imagebuilder, "__version__", "0.0.0")
    assert not cached(workshop, spec({"wheel": "a"}))
