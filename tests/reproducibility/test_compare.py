"""Comparisons as a whole: platforms, documents, compression, and how little is read."""

import gzip
import io
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.canonical import Json
from layers.digest import Digest
from layers.errors import IntegrityError, StorageError
from reproducibility.compare import compare
from reproducibility.images import StoredLayer
from tests.reproducibility.subjects import (
    Item,
    causes,
    diff,
    file,
    folder,
    hardlink,
    image,
    index,
    layer,
    of,
    subject,
    symlink,
    tar,
)

APP = (folder("app"), file("app/a.py", "a = 1\n"))
OCI = "org.opencontainers.image."


def unreadable() -> Iterator[bytes]:
    raise AssertionError("a layer is read that need not be")


def closed(content: bytes | tuple[Item, ...]) -> StoredLayer:
    return replace(layer(content), stored=unreadable)


def gzipped(content: bytes, *, level: int = 6, mtime: int = 0, name: str = "", system: int = 255) -> bytes:
    made = io.BytesIO()
    with gzip.GzipFile(name, "wb", level, made, mtime) as stream:
        stream.write(content)
    stored = bytearray(made.getvalue())
    stored[9] = system
    return bytes(stored)


def test_of_equal_images_nothing_is_read(tmp_path: Path) -> None:
    one = image(closed(APP), closed(tar([file("b")])))
    comparison = diff(tmp_path, one, one)
    assert comparison.same
    assert [(pair.left, pair.right, pair.same) for pair in comparison.images[0].layers] == [
        ((0,), (0,), "stored"),
        ((1,), (1,), "stored"),
    ]
    assert diff(tmp_path, index(one), index(one)).same
    assert diff(tmp_path, one, one, rootfs=True).same


def test_of_layers_only_those_that_differ_are_read(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(closed(APP), [file("b", "1")]), image(closed(APP), [file("b", "2")]))
    assert causes(comparison) == {"source": ["b"]}
    assert [pair.same for pair in comparison.images[0].layers] == ["stored", "no"]


def test_of_platforms_those_that_differ_are_compared(tmp_path: Path) -> None:
    arm = image(closed(APP), platform="linux/arm64")
    sides = [index(arm, image([file("a", text)])) for text in ("1", "2")]
    comparison = diff(tmp_path, *sides)
    assert [(each.left.platform, each.same) for each in comparison.images] == [
        ("linux/arm64", True),
        ("linux/amd64", False),
    ]
    (derived,) = of(comparison, "manifests[1].digest")
    assert derived.follows
    assert causes(comparison) == {"source": ["a"]}


def test_platforms_of_one_side_are_told(tmp_path: Path) -> None:
    amd, arm = image(APP), image(APP, platform="linux/arm64")
    comparison = diff(tmp_path, index(amd, arm), index(amd))
    assert causes(comparison) == {"platform": ["linux/arm64"]}
    assert causes(diff(tmp_path, index(amd, arm), index(amd), rootfs=True)) == {"platform": ["linux/arm64"]}


def test_an_image_is_compared_with_that_of_its_platform_in_an_index(tmp_path: Path) -> None:
    amd, arm = image(APP), image(APP, platform="linux/arm64")
    comparison = diff(tmp_path, amd, index(arm, amd))
    assert causes(comparison) == {"media-type": [""], "platform": ["linux/arm64"]}
    assert [each.same for each in comparison.images] == [True]
    assert diff(tmp_path, amd, index(amd), rootfs=True).same


def test_two_images_are_compared_whatever_their_platforms(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(APP), image(APP, platform="linux/arm64"))
    assert causes(comparison) == {"platform": ["architecture"]}


def test_attestations_are_told_apart_from_images(tmp_path: Path) -> None:
    def attested(digest: str) -> Json:
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": one.manifest_digest,
        }
        return {
            "digest": digest,
            "size": 5,
            "annotations": annotations,
            "platform": {"os": "unknown", "architecture": "unknown"},
        }

    one = image(APP)
    sides = [index(one, others=[attested(digest)]) for digest in ("sha256:1", "sha256:2")]
    assert causes(diff(tmp_path, *sides)) == {"attestation": ["manifests[1].digest"]}
    assert causes(diff(tmp_path, sides[0], index(one))) == {"attestation": ["attestation of linux/amd64"]}


def test_order_and_fields_of_an_index_are_compared(tmp_path: Path) -> None:
    amd, arm = image(APP), image(APP, platform="linux/arm64")
    found = causes(diff(tmp_path, index(amd, arm, annotations={"x": "1"}), index(arm, amd, annotations={"x": "2"})))
    assert found == {"label": ["annotations.x"], "set-order": ["manifests"]}


def test_an_index_written_otherwise_is_not_the_same(tmp_path: Path) -> None:
    one = index(image(APP))
    assert causes(diff(tmp_path, one, replace(one, digest="sha256:other"))) == {"set-order": [""]}


def env(*variables: str) -> dict[str, Json]:
    return {"config": {"Env": list(variables)}}


def labels(**named: str) -> dict[str, Json]:
    return {"config": {"Labels": {name.replace("_", "."): text for name, text in named.items()}}}


CONFIGS: list[tuple[dict[str, Json], dict[str, Json], str, str]] = [
    ({"created": "1"}, {"created": "2"}, "created", "created"),
    ({"history": [{"created_by": "a"}]}, {"history": [{"created_by": "b"}]}, "history", "history[0].created_by"),
    ({"history": []}, {"history": [{"created_by": "b"}]}, "history", "history[0]"),
    ({"container": "1"}, {"container": "2"}, "container", "container"),
    ({"docker_version": "1"}, {}, "container", "docker_version"),
    ({"config": {"Hostname": "a"}}, {"config": {"Hostname": "b"}}, "container", "config.Hostname"),
    (
        {"container_config": {"Cmd": ["a"]}},
        {"container_config": {"Cmd": ["b"]}},
        "container",
        "container_config.Cmd[0]",
    ),
    (labels(x_y="1"), labels(x_y="2"), "label", "config.Labels.x.y"),
    (labels(org_opencontainers_image_created="1"), {}, "config-field", "config"),
    (labels(org_opencontainers_image_created="1"), labels(), "created", f"config.Labels.{OCI}created"),
    (env("A=1", "PATH=/a"), env("A=1", "PATH=/b"), "config-field", "config.Env[PATH]"),
    (env("A=1", "B=1"), env("B=1", "A=1"), "config-field", "config.Env"),
    (env("PYTHON_VERSION=1"), env("PYTHON_VERSION=2"), "interpreter", "config.Env[PYTHON_VERSION]"),
    (env("A"), env("B"), "config-field", "config.Env[0]"),
    (env("A=1", "A=2"), env("A=1", "A=3"), "config-field", "config.Env[1]"),
    ({"config": {"User": "1"}}, {"config": {"User": 1}}, "config-field", "config.User"),
    ({"config": {"Volumes": None}}, {"config": {}}, "config-field", "config.Volumes"),
    ({"nobody.knows": {"this": [1]}}, {"nobody.knows": {"this": [True]}}, "config-field", "nobody.knows.this[0]"),
    ({"variant": "v7"}, {"variant": "v8"}, "platform", "variant"),
]


@pytest.mark.parametrize(("left", "right", "cause", "path"), CONFIGS, ids=[each[3] for each in CONFIGS])
def test_every_field_of_a_config_is_compared(
    tmp_path: Path, left: dict[str, Json], right: dict[str, Json], cause: str, path: str
) -> None:
    comparison = diff(tmp_path, image(APP, config=left), image(APP, config=right))
    assert causes(comparison) == {cause: [path]}
    assert [each.path for each in comparison.everything if each.follows] == ["config.digest"]


def test_labels_that_name_inputs_follow_from_what_they_name(tmp_path: Path) -> None:
    def labelled(text: str, source: str) -> Mapping[str, Json]:
        return {"config": {"Labels": {"dev.imagebuilder.inputs": text}, "User": source}}

    comparison = diff(tmp_path, image(APP, config=labelled("1", "a")), image(APP, config=labelled("2", "b")))
    assert causes(comparison) == {"config-field": ["config.User"]}
    alone = diff(tmp_path, image(APP, config=labelled("1", "a")), image(APP, config=labelled("2", "a")))
    assert "config.Labels.dev.imagebuilder.inputs" in {each.path for each in alone.everything}


@pytest.mark.parametrize(
    ("left", "right", "cause", "path"),
    [
        ({"annotations": {"x": "1"}}, {"annotations": {"x": "2"}}, "label", "annotations.x"),
        ({"mediaType": "a"}, {"mediaType": "b"}, "media-type", "mediaType"),
        ({"artifactType": "a"}, {}, "media-type", "artifactType"),
        ({"unknown": 1}, {"unknown": 2}, "config-field", "unknown"),
    ],
)
def test_fields_of_a_manifest_are_compared(
    tmp_path: Path, left: dict[str, Json], right: dict[str, Json], cause: str, path: str
) -> None:
    assert causes(diff(tmp_path, image(APP, manifest=left), image(APP, manifest=right))) == {cause: [path]}


def test_documents_that_are_written_otherwise_are_not_the_same(tmp_path: Path) -> None:
    one = image(APP)
    other = replace(one, config_digest="sha256:x", manifest_digest="sha256:y")
    found = diff(tmp_path, one, other).everything
    assert [(each.part, each.cause, each.aspect) for each in found] == [
        ("manifest", "set-order", "format"),
        ("config", "set-order", "format"),
    ]


def test_long_values_are_cut_around_the_place_where_they_part(tmp_path: Path) -> None:
    texts = [f"{'x' * 5000}{end}{'y' * 5000}" for end in ("one", "two")]
    sides = [image(APP, config={"config": {"Labels": {"a": text}}}) for text in texts]
    (found,) = of(diff(tmp_path, *sides), "config.Labels.a")
    assert "xone" in found.left
    assert "xtwo" in found.right
    assert max(len(found.left), len(found.right)) <= 302


def test_documents_nested_beyond_reason_are_compared(tmp_path: Path) -> None:
    def nested(end: Json) -> Json:
        for _ in range(5000):
            end = [{"x": end}]
        return end

    left, right = image(APP), image(APP)
    left = replace(left, config={**left.config, "a": nested(1)}, config_digest="1")
    right = replace(right, config={**right.config, "a": nested(2), "b": nested(3)}, config_digest="2")
    right = replace(right, manifest_digest="3", manifest={**right.manifest, "x": float("nan"), "y": "\ud800"})
    found = list(diff(tmp_path, left, right).everything)
    assert len(found) == 4


def test_without_a_manifest_only_what_is_known_is_compared(tmp_path: Path) -> None:
    saved = image(layer(APP), kept=False)
    pushed = image(layer(APP, compression="docker"))
    assert saved.config_digest == pushed.config_digest
    assert diff(tmp_path, saved, pushed).same
    other = image(layer([*APP, file("b")]), kept=False)
    assert causes(diff(tmp_path, other, pushed)) == {"file-set": ["b"]}


def test_the_kind_of_compression_is_told_when_the_tar_is_the_same(tmp_path: Path) -> None:
    kinds = ["", "gzip", "zstd", "docker"]
    sides = [image(layer(APP, compression=kind)) for kind in kinds]
    for one, kind in zip(sides, kinds, strict=True):
        for other, other_kind in zip(sides, kinds, strict=True):
            expected = {"compression": [""]}
            if kind == other_kind:
                expected = {}
            elif {kind, other_kind} == {"gzip", "docker"}:
                expected = {"media-type": ["layers[0].mediaType"], "compressor": [""]}
            assert causes(diff(tmp_path, one, other)) == expected
            assert diff(tmp_path, one, other, rootfs=True).same


BIG = tar([file("app/a", random.Random(1).randbytes(3000) + b"text " * 2000)])


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (gzipped(BIG, mtime=5), [("gzip-header", "mtime 5")]),
        (gzipped(BIG, name="layer.tar"), [("gzip-header", "flags 0x08, name layer.tar")]),
        (gzipped(BIG, system=3), [("gzip-header", "system 3")]),
        (gzipped(BIG, level=1, system=255), [("compressor", "")]),
        (gzipped(BIG, level=1, mtime=5), [("compressor", ""), ("gzip-header", "mtime 5, extra flags 4")]),
        (gzipped(BIG[:99]) + gzipped(BIG[99:]), [("compressor", "")]),
    ],
    ids=["time", "name", "system", "level", "level and time", "members"],
)
def test_of_equal_tars_the_compressor_and_the_header_are_told_apart(
    tmp_path: Path, stored: bytes, found: list[tuple[str, str]]
) -> None:
    left = image(layer(BIG, compression="gzip", stored=gzipped(BIG)))
    comparison = diff(tmp_path, left, image(layer(BIG, compression="gzip", stored=stored)))
    told = [each for each in comparison.everything if each.part == "layer"]
    assert [each.cause for each in told] == [cause for cause, _ in found]
    assert all(text in each.right for each, (_, text) in zip(told, found, strict=True))
    assert {each.note for each in told} == {"the tar inside is the same"}
    assert comparison.images[0].layers[0].same == "tar"


def test_of_other_tars_the_header_of_the_compression_is_told_too(tmp_path: Path) -> None:
    tars = [tar([file("a", text)]) for text in ("1", "2")]
    sides = [image(layer(each, compression="gzip", stored=gzipped(each, mtime=at))) for at, each in enumerate(tars)]
    found = diff(tmp_path, *sides)
    assert causes(found) == {"gzip-header": [""], "source": ["a"]}
    (header,) = [each for each in found.everything if each.cause == "gzip-header"]
    assert header.view is not None
    assert header.view.lines == ("mtime\t0\t1",)


def test_that_a_tar_is_the_same_has_to_be_true(tmp_path: Path) -> None:
    honest = layer(APP)
    liar = layer([*APP, file("backdoor")], diff_id=honest.diff_id)
    for rootfs in (False, True):
        with pytest.raises(IntegrityError) as caught:
            diff(tmp_path, image(honest), image(liar), rootfs=rootfs)
        assert caught.value.code == "IB656"
        assert list(tmp_path.iterdir()) == []


def test_a_layer_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        diff(tmp_path, image(APP), image(layer(b"no tar" * 200)))
    assert caught.value.code == "IB800"


def test_a_layer_that_unpacks_to_far_too_much_is_refused(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield zeros

    zeros = bytes(64 << 20)
    bomb = replace(layer(APP), digest=Digest.of(b"bomb").value, diff_id=Digest.of(b"other").value, stored=endless)
    with pytest.raises(IntegrityError) as caught:
        diff(tmp_path, image(bomb), image(APP))
    assert caught.value.code == "IB801"


def test_without_room_for_tars_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        compare(subject(image(APP)), subject(image([file("x")])), scratch=tmp_path / "missing")
    assert caught.value.code == "IB601"


def test_another_base_is_told_and_its_files_follow(tmp_path: Path) -> None:
    def based(text: str, digest: str = "") -> Mapping[str, Json]:
        return {"config": {"Labels": {f"{OCI}base.digest": digest} if digest else {}}}

    def files(text: str) -> list[Item]:
        return [file("etc/os-release", f"VERSION={text}\n"), file("bin/x", text)]

    named = [image(files(text), APP, config=based(text, f"sha256:{text}")) for text in ("12", "13")]
    assert causes(diff(tmp_path, *named)) == {"base": [f"config.Labels.{OCI}base.digest", ""]}
    plain = [image(files(text), APP) for text in ("12", "13")]
    assert causes(diff(tmp_path, *plain)) == {"base": [""]}
    equal = [image(files(text), APP, config=based(text, "sha256:1")) for text in ("12", "13")]
    assert "base" not in causes(diff(tmp_path, *equal))


NAMES = st.sampled_from(["a", "a/b", "a/b/c", "d", ".wh.a", "a/.wh..wh..opq", "a/.wh.b", "e.pyc", "var/log/x"])
ITEMS = st.lists(
    st.one_of(
        st.builds(file, NAMES, st.binary(max_size=20), mtime=st.integers(0, 3), mode=st.sampled_from([0o644, 0o600])),
        st.builds(folder, NAMES),
        st.builds(symlink, NAMES, NAMES),
        st.builds(hardlink, NAMES, NAMES),
    ),
    max_size=6,
)
IMAGES = st.lists(ITEMS, min_size=1, max_size=3)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(left=IMAGES, right=IMAGES, rootfs=st.booleans())
def test_sides_exchanged_mirror_the_differences(
    tmp_path: Path, left: list[list[Item]], right: list[list[Item]], rootfs: bool
) -> None:
    one, other = image(*left), image(*right)
    found = diff(tmp_path, one, other, rootfs=rootfs)  # compares both ways
    assert found == diff(tmp_path, one, other, rootfs=rootfs)
    assert rootfs or found.same == (one.manifest_digest == other.manifest_digest)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layers=IMAGES, rootfs=st.booleans())
def test_an_image_never_differs_from_itself_however_deep_one_looks(
    tmp_path: Path, layers: list[list[Item]], rootfs: bool
) -> None:
    plain = image(*layers)
    packed = image(*(layer(each, compression="gzip") for each in layers))
    found = diff(tmp_path, plain, packed, rootfs=rootfs)
    assert set(causes(found)) <= {"compression"}
    assert found.same == rootfs
