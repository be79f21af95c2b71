"""Layers that no variation reaches are made once and given to the builds that look for what is to blame."""

from pathlib import Path

from imagebuilder.cache import Cache
from imagebuilder.check.settled import Settled
from layers import entry
from layers.layer import Layer, write_layer


def made(folder: Path, **layers: str) -> dict[str, Layer]:
    """Fill a store with layers of these contents, recorded under their names."""
    cache = Cache(folder)
    cache.store.initialise()
    found = {
        name: write_layer(cache.store, [entry.file(name, text.encode())], created_by=name)
        for name, text in layers.items()
    }
    for name, layer in found.items():
        cache.remember({"layer": name}, layer)
    return found


def test_layers_that_came_out_the_same_are_given_and_others_are_not(tmp_path: Path) -> None:
    plain = made(tmp_path / "plain", base="debian", app="at noon", other="x")
    made(tmp_path / "varied", base="debian", app="at midnight", more="y")
    settled = Settled()
    for store in ("plain", "varied"):
        settled.note(tmp_path / store)
    cache = Cache(tmp_path / "trial")
    cache.store.initialise()
    settled.give(cache.root, tmp_path / "plain" / "blobs" / "sha256")
    assert cache.find({"layer": "base"}) == plain["base"]
    assert cache.verify() == ()
    assert [cache.find({"layer": name}) for name in ("app", "other", "more")] == [None, None, None]


def test_nothing_is_settled_before_anything_was_built(tmp_path: Path) -> None:
    settled = Settled()
    settled.note(tmp_path / "no store")
    settled.note(tmp_path / "none either")
    (tmp_path / "trial").mkdir()
    settled.give(tmp_path / "trial", tmp_path)
    assert list((tmp_path / "trial" / "results").iterdir()) == []
