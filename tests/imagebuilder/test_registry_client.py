"""The registry client against a registry in memory: what goes in and out, exactly, and in how many requests."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder import reference
from imagebuilder.registry import client
from imagebuilder.registry.client import Repository
from imagebuilder.registry.settings import RegistrySettings
from layers.descriptor import INDEX, LAYER_GZIP, MANIFEST, Descriptor
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, StorageError
from tests import hostile
from tests.registry import Registry

LAYER = bytes(range(256)) * 4096
BLOB = Descriptor(LAYER_GZIP, Digest.of(LAYER), len(LAYER))


def opened(registry: Registry, name: str = "team/app", *, push: bool = False) -> Repository:
    settings = RegistrySettings(insecure=frozenset({registry.address}), backoff_s=0.01)
    return client.open_repository(reference.parse(f"{registry.address}/{name}"), settings=settings, push=push)


def requests(registry: Registry) -> list[str]:
    return [
        f"{one.method} {one.path.rpartition('/v2/team/app/')[2].partition('/')[0]}" for one in registry.traffic.requests
    ]


def test_a_manifest_is_returned_byte_by_byte_with_its_descriptor(registry: Registry) -> None:
    digest = registry.put_image("team/app", b"layer", tag="1.0")
    media_type, content = registry.repositories["team/app"].manifests[digest]
    with opened(registry) as repository:
        expected = Descriptor(media_type, Digest(digest), len(content))
        assert repository.manifest("1.0") == repository.manifest(Digest(digest)) == (expected, content)
        assert repository.head("1.0") == expected
        assert repository.head("2.0") is None
    assert registry.traffic.connections == 1


@pytest.mark.parametrize("from_file", [True, False])
def test_a_blob_is_sent_once_and_found_the_next_time(registry: Registry, tmp_path: Path, from_file: bool) -> None:
    path = tmp_path / "blob"
    path.write_bytes(LAYER)
    told: list[int] = []
    with opened(registry) as repository:
        source = path if from_file else lambda: [LAYER[:1000], LAYER[1000:]]
        assert repository.push_blob(BLOB, source, on_progress=told.append) == "uploaded"
        assert repository.push_blob(BLOB, source) == "present"
        assert repository.has_blob(BLOB)
        assert not repository.has_blob(replace(BLOB, size=BLOB.size + 1))
        assert b"".join(repository.blob(BLOB)) == LAYER
    assert sum(told) == len(LAYER)
    assert registry.traffic.received == len(LAYER)
    assert requests(registry) == [*("HEAD blobs", "POST blobs", "PUT blobs"), *["HEAD blobs"] * 3, "GET blobs"]


def test_a_blob_that_was_asked_for_and_is_not_there_is_sent_without_another_question(registry: Registry) -> None:
    with opened(registry) as repository:
        assert not repository.has_blob(BLOB)
        assert repository.push_blob(BLOB, lambda: [LAYER]) == "uploaded"
        assert registry.traffic.asked("HEAD", "/blobs/") == 1
        assert repository.push_blob(BLOB, lambda: [LAYER]) == "present"
    assert registry.traffic.asked("HEAD", "/blobs/") == 2


def test_a_blob_of_another_size_is_no_blob_that_could_be_sent(registry: Registry) -> None:
    registry.put_blob("team/app", LAYER)
    other = replace(BLOB, size=BLOB.size + 1)
    with opened(registry) as repository:
        assert not repository.has_blob(other)
        with pytest.raises(IntegrityError) as caught:
            repository.push_blob(other, lambda: [LAYER, b"x"])
    assert caught.value.code == "IB214"


def test_an_empty_blob_goes_there_and_back(registry: Registry) -> None:
    empty = Descriptor(LAYER_GZIP, Digest.of(b""), 0)
    with opened(registry) as repository:
        assert repository.push_blob(empty, list) == "uploaded"
        assert b"".join(repository.blob(empty)) == b""


@pytest.mark.parametrize(("mounts", "expected"), [(True, "mounted"), (False, "uploaded")])
def test_a_blob_of_a_neighbour_is_mounted_where_the_registry_does_that(
    registry: Registry, mounts: bool, expected: str
) -> None:
    registry.put_blob("team/base", LAYER)
    registry.mounts = mounts
    with opened(registry) as repository:
        assert repository.push_blob(BLOB, lambda: [LAYER], mount_from="team/base") == expected
    assert registry.repository("team/app").blobs == {BLOB.digest.value: LAYER}
    assert registry.traffic.received == (0 if mounts else len(LAYER))


def test_a_mount_that_is_refused_becomes_an_upload(registry: Registry) -> None:
    registry.faults.append(hostile.at("POST", "mount=", hostile.says(403)))
    with opened(registry) as repository:
        assert repository.push_blob(BLOB, lambda: [LAYER], mount_from="private/base") == "uploaded"


def test_an_upload_that_is_cut_goes_on_where_it_was_cut(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(LAYER)
    registry.faults.append(hostile.at("PUT", "/uploads/", hostile.cuts_upload(600_000), times=1))
    told: list[int] = []
    with opened(registry) as repository:
        assert repository.push_blob(BLOB, path, on_progress=told.append) == "uploaded"
    assert sum(told) == len(LAYER)
    assert len(LAYER) <= registry.traffic.received < len(LAYER) + 600_000
    assert registry.repository("team/app").blobs == {BLOB.digest.value: LAYER}


def test_an_upload_the_registry_has_forgotten_begins_again(registry: Registry) -> None:
    registry.faults.append(hostile.at("PUT", "/uploads/", hostile.cuts_upload(600_000), times=1))
    registry.faults.append(hostile.at("GET", "/uploads/", hostile.says(404)))
    with opened(registry) as repository:
        assert repository.push_blob(BLOB, lambda: [LAYER]) == "uploaded"
    assert registry.repository("team/app").blobs == {BLOB.digest.value: LAYER}


def test_a_download_that_is_cut_goes_on_where_it_was_cut(registry: Registry) -> None:
    registry.put_blob("team/app", LAYER)
    registry.faults.append(hostile.at("GET", "/blobs/", hostile.cuts(600_000), times=1))
    with opened(registry) as repository:
        assert b"".join(repository.blob(BLOB)) == LAYER
    assert [one.headers.get("range", "") != "" for one in registry.traffic.requests] == [False, True]
    assert registry.traffic.sent < len(LAYER) * 1.5


def test_a_registry_without_ranges_is_read_again_and_nothing_comes_twice(registry: Registry) -> None:
    registry.put_blob("team/app", LAYER)
    registry.ranges = False
    registry.faults.append(hostile.at("GET", "/blobs/", hostile.cuts(600_000), times=2))
    with opened(registry) as repository:
        assert b"".join(repository.blob(BLOB)) == LAYER


def test_the_last_bytes_of_a_wrong_blob_are_never_given_away(registry: Registry) -> None:
    registry.put_blob("team/app", LAYER)
    registry.faults.append(hostile.at("GET", "/blobs/", hostile.flipped()))
    received = b""
    with opened(registry) as repository, pytest.raises(IntegrityError) as caught:
        for chunk in repository.blob(BLOB):
            received += chunk
    assert caught.value.code == "IB211"
    assert len(received) < len(LAYER)


@pytest.mark.parametrize("size", [len(LAYER) - 1, len(LAYER) + 1])
def test_a_source_that_has_changed_is_noticed_before_it_is_a_blob(registry: Registry, size: int) -> None:
    with opened(registry) as repository, pytest.raises(StorageError) as caught:
        repository.push_blob(BLOB, lambda: [LAYER[:1000], (LAYER + b"x")[1000:size]])
    assert caught.value.code == "IB216"
    assert registry.repository("team/app").blobs == {}


def test_a_source_of_other_bytes_is_refused_by_the_registry(registry: Registry) -> None:
    with opened(registry) as repository, pytest.raises(IntegrityError) as caught:
        repository.push_blob(BLOB, lambda: [LAYER[::-1]])
    assert caught.value.code == "IB214"


def test_a_manifest_is_put_as_it_is_under_a_tag_or_its_digest(registry: Registry) -> None:
    content = b'{ "schemaVersion":2,   "manifests": [] , "mediaType": "' + INDEX.encode() + b'" }'
    descriptor = Descriptor(INDEX, Digest.of(content), len(content))
    with opened(registry) as repository:
        repository.push_manifest(descriptor, content, "")
        assert registry.repository("team/app").tags == {}
        repository.push_manifest(descriptor, content, "1.0")
        assert repository.manifest("1.0") == (descriptor, content)


def test_a_manifest_is_asked_for_where_the_registry_does_not_say_what_it_kept(registry: Registry) -> None:
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    registry.faults.append(hostile.headers(**{"Docker-Content-Digest": None}))
    with opened(registry) as repository:
        repository.push_manifest(Descriptor(INDEX, Digest.of(content), len(content)), content, "1.0")
    assert requests(registry) == ["PUT manifests", "HEAD manifests", "GET manifests"]


def test_a_registry_that_keeps_another_manifest_is_found_out(registry: Registry) -> None:
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    other = str(Digest.of(b"other"))
    registry.faults.append(hostile.at("PUT", "/manifests/", hostile.headers(**{"Docker-Content-Digest": other})))
    with opened(registry) as repository, pytest.raises(IntegrityError, match="does not keep") as caught:
        repository.push_manifest(Descriptor(INDEX, Digest.of(content), len(content)), content, "1.0")
    assert caught.value.code == "IB214"


@pytest.mark.parametrize(
    ("document", "served_as"),
    [
        ({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, MANIFEST),
        ({"schemaVersion": 2, "layers": [], "manifests": []}, MANIFEST),
        ({"schemaVersion": 2, "layers": []}, INDEX),
        ({"schemaVersion": 2}, MANIFEST),
        ({"schemaVersion": 2, "layers": []}, "text/html"),
        ([], MANIFEST),
    ],
)
def test_what_could_be_read_as_two_things_is_refused(registry: Registry, document: object, served_as: str) -> None:
    registry.put_manifest("team/app", json.dumps(document).encode(), "latest", media_type=served_as)
    with opened(registry) as repository, pytest.raises(IntegrityError) as caught:
        repository.manifest("latest")
    assert caught.value.code == "IB212"


def test_a_manifest_ends_at_four_mebibytes(registry: Registry) -> None:
    registry.put_manifest("team/app", b"{" + b" " * (4 << 20) + b"}", "latest")
    with opened(registry) as repository, pytest.raises(IntegrityError) as caught:
        repository.manifest("latest")
    assert caught.value.code == "IB213"


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(403, "IB205", 5), (404, "IB206", 5), (405, "IB215", 5), (409, "IB215", 5), (503, "IB201", 75)],
)
def test_a_refusal_says_what_was_refused_and_with_which_exit_code(
    registry: Registry, status: int, code: str, exit_code: int
) -> None:
    registry.faults.append(hostile.says(status))
    with opened(registry) as repository, pytest.raises(BuildError) as caught:
        repository.manifest("latest")
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)


def test_the_words_of_the_registry_are_passed_on(registry: Registry) -> None:
    registry.immutable = True
    registry.put_image("team/app", b"layer")
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    with opened(registry) as repository, pytest.raises(BuildError) as caught:
        repository.push_manifest(Descriptor(INDEX, Digest.of(content), len(content)), content, "latest")
    assert (caught.value.code, caught.value.details) == ("IB215", ("it says: TAG_INVALID: tag invalid",))
