"""Inputs of an image: what each difference is blamed on, and what is taken from an image that may be hostile."""

from dataclasses import replace

import pytest

from imagebuilder import inputs
from imagebuilder.audit import AuditedInput
from layers.errors import IntegrityError
from reproducibility.difference import Difference
from reproducibility.images import StoredImage, StoredLayer

GZIP = "gzip-deflate-0.9.0-level6-chunk1m-kept64k"
LAYER = StoredLayer("application", "", "", "sha256:top", 1, lambda: iter([b"x"]))
IMAGE = StoredImage(
    "shop",
    "linux/amd64",
    manifest_digest="",
    manifest={"annotations": {"dev.imagebuilder.compression": GZIP}},
    config_digest="",
    config={"created": "2026-01-31T12:00:00Z", "config": {"WorkingDir": "/workspace", "Labels": {}}},
    layers=(LAYER,),
)
LOCK = AuditedInput("lock", "sha256:1", "sha256:1", same=True)
TIMES = ("1", "2", "mtime")


def explained(*differences: Difference, lock: AuditedInput = LOCK) -> dict[str, AuditedInput]:
    found = inputs.explained([lock], IMAGE, IMAGE, differences)
    return {each.name: each for each in found}


def blamed(*differences: Difference, lock: AuditedInput = LOCK) -> dict[str, str]:
    return {name: each.detail for name, each in explained(*differences, lock=lock).items() if not each.same}


@pytest.mark.parametrize(
    ("difference", "name", "detail"),
    [
        (Difference("file", "workspace/app.py", "content", "", "", "unknown"), "source", "app.py"),
        (Difference("file", "workspace/a", "presence", "file", "", "file-set"), "source", "a (published only)"),
        (Difference("file", "workspace/run", "mode", "0755", "0644", "mode"), "source", "run"),
        (Difference("file", "cnb/process/web", "content", "1", "2", "unknown"), "settings", "cnb/process/web: 1 -> 2"),
        (Difference("config", "config.User", "value", "0", "1", "config-field"), "settings", "config.User: 0 -> 1"),
        (
            Difference("file", "x/click-8.2.0.dist-info", "value", "8.2", "8.3", "python-package", note="click"),
            "lock",
            "click: 8.2 -> 8.3",
        ),
        (Difference("config", "variant", "value", "v3", "", "platform"), "lock", "variant: v3 -> nothing"),
        (Difference("layer", "", "layering", "1", "2", "base", "base"), "lock", "base: 1 -> 2"),
        (Difference("file", "usr/bin/x", "content", "", "", "elf-code"), "release", "usr/bin/x"),
        (Difference("file", "workspace/app.py", *("mtime", "1", "2"), "mtime"), "release", "workspace/app.py"),
    ],
)
def test_a_difference_is_blamed_on_its_input(difference: Difference, name: str, detail: str) -> None:
    found = blamed(difference)
    assert list(found) == [name]
    assert detail in found[name]


def test_what_only_follows_is_blamed_on_nothing() -> None:
    follows = Difference("config", "rootfs.diff_ids[0]", "value", "1", "2", "config-field", follows=True)
    assert blamed(follows) == {}
    assert explained()["source"].expected == "sha256:top"


def test_the_release_is_not_blamed_for_what_another_input_may_bring_along() -> None:
    file = Difference("file", "usr/bin/x", "content", "", "", "elf-code")
    assert list(blamed(file, lock=replace(LOCK, same=False))) == ["lock"]
    assert list(blamed(file, Difference("file", "workspace/a", "content", "", "", "unknown"))) == ["source"]


def test_long_lists_are_cut() -> None:
    many = [Difference("file", f"workspace/{number}", "content", "", "", "unknown") for number in range(9)]
    assert blamed(*many) == {"source": "0; 1; 2; 6 more"}


def test_fields_come_before_the_labels_that_repeat_them() -> None:
    found = blamed(
        Difference("manifest", "annotations.a", "value", "1", "2", "label"),
        Difference("config", "config.Labels.io.buildpacks.build.metadata", "value", "{}", "[]", "label"),
        Difference("config", "config.Entrypoint", "value", "x", "y", "config-field"),
    )
    assert found["settings"].startswith("config.Entrypoint: x -> y; config.Labels.io.buildpacks")


def test_what_may_have_been_a_flag_is_taken_from_the_image() -> None:
    assert {key: given.text for key, given in inputs.taken(IMAGE).items()} == {
        "platform": "linux/amd64",
        "created": "2026-01-31T12:00:00Z",
        "compression": "gzip",
    }


@pytest.mark.parametrize("created", ["now", "git", "1", "2026-01-31", "2026-01-31T12:00:00Z; id", ""])
def test_only_a_time_is_taken_for_one(created: str) -> None:
    manifest = {"annotations": {"dev.imagebuilder.compression": "lzma-9"}}
    taken = inputs.taken(replace(IMAGE, manifest=manifest, config={"created": created}))
    assert list(taken) == ["platform"]


def test_labels_that_are_none_are_refused() -> None:
    with pytest.raises(IntegrityError):
        inputs.is_ours(replace(IMAGE, config={"config": {"Labels": {"dev.imagebuilder.format": 1}}}))
