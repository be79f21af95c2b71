"""Layers are made side by side; when one fails, or the run is given up, nobody waits for the others."""

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from buildpacks.api import Files, LayerSpec
from imagebuilder.cache import Cache
from imagebuilder.make import Workshop
from imagebuilder.progress import Progress
from layers import entry
from layers.content import stamp
from layers.entry import Entry, SourceFile
from layers.errors import UsageError


def test_an_error_of_one_layer_stops_the_others_and_they_leave_nothing(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    source = SourceFile(large, 1 << 30, stamp(large.stat()))
    begun = threading.Event()

    def endless(_files: Files) -> Iterable[Entry]:
        begun.set()
        return [entry.file("large", source)]

    def failing(_files: Files) -> Iterable[Entry]:
        begun.wait(10)
        raise UsageError("this one fails", hint="none", code="IB100")

    workshop = Workshop(Cache(tmp_path / "cache"), lambda _sources: {}, "gzip", workers=2)
    with pytest.raises(UsageError, match="this one fails"):
        workshop.make([LayerSpec("endless", {}, endless), LayerSpec("failing", {}, failing)], Progress())
    assert not list((tmp_path / "cache").rglob("sha256/*"))
