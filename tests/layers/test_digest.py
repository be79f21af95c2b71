"""layers.digest: what is a digest and what is not."""

import hashlib

import pytest

from layers import digest
from layers.descriptor import CONFIG, Descriptor, Platform
from layers.digest import Digest
from layers.errors import IntegrityError


def test_a_digest_is_the_sha256_of_its_content() -> None:
    assert Digest.of(b"abc").hex == hashlib.sha256(b"abc").hexdigest()
    hasher = digest.sha256()
    hasher.update(b"a")
    hasher.update(memoryview(b"bc"))
    assert Digest.from_hasher(hasher) == Digest.of(b"abc")
    assert str(Digest.of(b"")) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 64 + "\n",
        "sha256:../../../etc/passwd",
        "sha512:" + "0" * 64,
        "0" * 64,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        Digest(text)
    assert caught.value.code == "IB501"


@pytest.mark.parametrize(("name", "accepted"), [("sha256", True), ("sha384", True), ("sha512", True), ("md5", False)])
def test_only_strong_hashes_are_accepted_from_records(name: str, *, accepted: bool) -> None:
    hasher = digest.hasher(name)
    assert (hasher is not None) is accepted
    if hasher is not None:
        hasher.update(b"abc")
        assert hasher.digest() == hashlib.new(name, b"abc").digest()


def test_a_blob_cannot_have_a_negative_size() -> None:
    with pytest.raises(IntegrityError) as caught:
        Descriptor(CONFIG, Digest.of(b""), -1)
    assert caught.value.code == "IB501"


def test_a_descriptor_writes_only_what_it_has() -> None:
    plain = Descriptor(CONFIG, Digest.of(b"abc"), 3)
    assert plain.to_json() == {"mediaType": CONFIG, "digest": Digest.of(b"abc").value, "size": 3}
    full = Descriptor(CONFIG, Digest.of(b""), 0, {"a": "b"}, Platform("linux", "arm64", "v8"))
    assert full.to_json()["platform"] == {"os": "linux", "architecture": "arm64", "variant": "v8"}
    assert full.to_json()["annotations"] == {"a": "b"}
    assert str(full.platform) == "linux/arm64/v8"
