"""The package index: read if it is signed and whole, refused in all other cases."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pysequoia
import pytest

from imagebuilder.base import debian
from imagebuilder.base.index import PackageIndex
from imagebuilder.base.mirrors import Mirrors
from imagebuilder.fetch import Downloader
from layers.blobs import BlobStore
from layers.errors import BuildError, IntegrityError, UsageError
from tests import debs, mirror
from tests.mirror import Mirror

LIBC = debs.package("libc6", version="2.41-12", depends="libgcc-s1")
PYTHON = debs.package("python3.13", version="3.13.5-2", depends="libc6 (>= 2.38)")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Mirror]:
    with mirror.running(tmp_path) as running:
        running.publish_suite("trixie", [LIBC, PYTHON])
        yield running


def load(served: Mirror, *, suite: str = "trixie", architecture: str = "amd64", **changes: object) -> PackageIndex:
    mirrors = replace(served.mirrors, **changes)  # type: ignore[arg-type]
    return debian.load_index(suite, architecture, mirrors=mirrors, download=mirror.download)


def refused(served: Mirror, code: str, **changes: object) -> BuildError:
    with pytest.raises(BuildError) as caught:
        load(served, **changes)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


def test_an_index_is_read_and_names_hashes_and_places(served: Mirror) -> None:
    index = load(served)
    found = index.newest("libc6")
    assert found is not None
    assert (found.deb.version, found.deb.architecture, found.deb.size) == ("2.41-12", "amd64", len(LIBC.content))
    assert found.deb.path == "debian/pool/main/l/libc6/libc6_2.41-12_amd64.deb"
    assert index.newest("libc7") is None


def test_the_index_is_asked_for_by_its_hash(served: Mirror) -> None:
    load(served)
    assert [path for path in served.asked if path.endswith("Packages.xz")] == []
    assert len([path for path in served.asked if "/binary-amd64/by-hash/SHA256/" in path]) == 3


def test_an_archive_without_by_hash_is_asked_by_name(served: Mirror) -> None:
    for codename, archive in (
        ("trixie", "debian"),
        ("trixie-updates", "debian"),
        ("trixie-security", "debian-security"),
    ):
        path = f"/{archive}/dists/{codename}/InRelease"
        (packages,) = [
            name for name in served.files if name.startswith(f"/{archive}/dists/{codename}/main/binary-amd64/by-hash")
        ]
        served.files[packages.partition("by-hash")[0] + "Packages.xz"] = served.files.pop(packages)
        text = pysequoia.verify(served.files[path], store=lambda _ids: [served.key.extract_certificate()]).bytes
        assert text is not None
        served.files[path] = served.sign(text.decode().replace("By-Hash: yes", "By-Hash: no"))
    assert load(served).newest("libc6") is not None


def test_a_security_update_is_newer_than_the_suite(served: Mirror) -> None:
    fixed = debs.package("libc6", version="2.41-12+deb13u1")
    served.publish_suite("trixie", [LIBC, PYTHON], security=[fixed])
    found = load(served).newest("libc6")
    assert found is not None
    assert found.deb.path == "debian-security/pool/main/l/libc6/libc6_2.41-12+deb13u1_amd64.deb"


def test_unstable_has_no_updates_of_its_own(served: Mirror) -> None:
    served.publish("debian", "sid", [LIBC])
    assert load(served, suite="sid").newest("libc6") is not None


def test_each_architecture_has_its_own_packages(served: Mirror) -> None:
    served.publish_suite("trixie", [LIBC, debs.package("libc6", version="2.41-11", architecture="arm64")])
    found = load(served, architecture="arm64").newest("libc6")
    assert found is not None
    assert (found.deb.version, found.deb.architecture) == ("2.41-11", "arm64")


def test_the_snapshot_is_of_a_moment_after_the_newest_index(served: Mirror) -> None:
    served.publish("debian", "trixie", [LIBC], date="Sat, 12 Sep 2026 07:55:41 UTC")
    assert load(served).snapshot == "20261120T141110Z"  # 12 hours after that of the updates


def test_a_suite_or_architecture_that_is_not_offered_is_a_mistake_of_the_user(served: Mirror) -> None:
    error = refused(served, "IB556", suite="buster")
    assert isinstance(error, UsageError)
    assert "trixie" in error.hint
    assert "amd64 or arm64" in refused(served, "IB556", architecture="riscv64").hint


def test_a_changed_release_file_is_refused(served: Mirror) -> None:
    path = "/debian/dists/trixie/InRelease"
    served.files[path] = served.files[path].replace(b"Origin: Debian", b"Origin: Nobody")
    assert isinstance(refused(served, "IB550"), IntegrityError)


def test_an_unsigned_release_file_is_refused(served: Mirror) -> None:
    served.files["/debian/dists/trixie/InRelease"] = b"Codename: trixie\n"
    refused(served, "IB550")


def test_a_release_file_signed_by_somebody_else_is_refused(served: Mirror) -> None:
    served.key = pysequoia.Tsk.generate("Somebody else")
    served.publish_suite("trixie", [LIBC])
    refused(served, "IB550")


def test_the_keys_of_debian_are_the_default_and_sign_no_other_archive(served: Mirror) -> None:
    refused(served, "IB550", keyring=None)


def test_text_around_the_signed_part_counts_for_nothing(served: Mirror) -> None:
    path = "/debian/dists/trixie/InRelease"
    forged = debs.package("evil")
    served.files[path] = b"Codename: sid\n" + served.files[path] + f"Package: {forged.name}\n".encode()
    assert load(served).newest("evil") is None


@pytest.mark.parametrize("content", [b"", b"not a key", None], ids=["empty", "damaged", "missing"])
def test_a_keyring_that_cannot_be_read_is_a_mistake_of_the_user(
    served: Mirror, tmp_path: Path, content: bytes | None
) -> None:
    keyring = tmp_path / "other.gpg"
    if content is not None:
        keyring.write_bytes(content)
    assert refused(served, "IB559", keyring=keyring).exit_code == 2


def test_an_index_whose_time_is_over_is_refused(served: Mirror) -> None:
    served.publish("debian", "trixie-updates", (), fields="Valid-Until: Fri, 06 Nov 2020 08:08:01 UTC\n")
    assert "06 Nov 2020" in refused(served, "IB551").message


def test_an_old_index_is_read_where_the_mirror_is_known_to_stand_still(served: Mirror) -> None:
    served.publish("debian", "trixie-updates", (), fields="Valid-Until: Fri, 06 Nov 2020 08:08:01 UTC\n")
    assert load(served, check_age=False).newest("libc6") is not None


def test_an_index_that_is_valid_for_long_is_read(served: Mirror) -> None:
    served.publish("debian", "trixie-updates", (), fields="Valid-Until: Fri, 06 Nov 2099 08:08:01 UTC\n")
    assert load(served).newest("libc6") is not None


def test_the_index_of_another_suite_is_refused(served: Mirror) -> None:
    served.publish_suite("bookworm", [LIBC])
    served.files["/debian/dists/trixie/InRelease"] = served.files["/debian/dists/bookworm/InRelease"]
    assert "'bookworm'" in refused(served, "IB552").message


@pytest.mark.parametrize("text", ["Codename: trixie\n", "Codename: trixie\nDate: yesterday\n", "Codename: tri\xff\n"])
def test_a_malformed_release_file_is_refused(served: Mirror, text: str) -> None:
    served.files["/debian/dists/trixie/InRelease"] = pysequoia.sign(
        served.key.signer(), text.encode("latin-1"), mode=pysequoia.SignatureMode.CLEAR
    )
    refused(served, "IB552")


def packages_path(served: Mirror) -> str:
    return next(path for path in served.files if path.startswith("/debian/dists/trixie/main/binary-amd64/by-hash"))


def test_an_index_with_other_bytes_is_refused(served: Mirror) -> None:
    path = packages_path(served)
    served.files[path] = served.files[path][:-1] + b"?"
    refused(served, "IB553")


def test_an_architecture_that_the_archive_does_not_have_is_said_so(served: Mirror) -> None:
    served.files["/debian/dists/trixie/InRelease"] = served.sign(f"Codename: trixie\nDate: {mirror.DATE}\nSHA256:\n")
    assert "has no main/binary-amd64" in refused(served, "IB553").message


def test_where_the_pieces_of_an_index_end_does_not_matter(served: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load(served)
    for size in (1, 2, 7, 100):
        monkeypatch.setattr("layers.xz._CHUNK", size)
        assert load(served).stanzas == whole.stanzas
    assert sorted(whole.stanzas) == ["libc6", "python3.13"]


def test_an_index_that_unpacks_without_end_is_refused(served: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagebuilder.base.index._PLAIN_MAX", 100)
    assert "more than 100 bytes" in refused(served, "IB553").message


@pytest.mark.parametrize(
    "field",
    [
        "Filename: ../../etc/passwd",
        "Filename: pool/../../x.deb",
        "Filename: http://x/y.deb",
        "Size: many",
        "SHA256: 00",
    ],
)
def test_a_malformed_package_is_refused_when_it_is_asked_for(field: str) -> None:
    lines = {"Package": "x", "Version": "1", "Architecture": "all", "Size": "1", "SHA256": "0" * 64}
    lines["Filename"] = "pool/main/x/x_1_all.deb"
    name, _, value = field.partition(": ")
    stanza = "".join(f"{key}: {text}\n" for key, text in {**lines, name: value}.items()).encode()
    with pytest.raises(IntegrityError) as caught:
        PackageIndex("trixie", "amd64", "", {"x": [("debian", stanza)]}).newest("x")
    assert caught.value.code in ("IB553", "IB501")


def test_mirrors_of_the_configuration_come_first(tmp_path: Path) -> None:
    found = debian.find_mirrors(mirror="https://mirror.example/debian/", host=tmp_path)
    assert (found.debian, found.security) == ("https://mirror.example/debian", "https://mirror.example/debian-security")


def test_without_anything_a_public_mirror_is_used(tmp_path: Path) -> None:
    assert debian.find_mirrors(host=tmp_path) == Mirrors()
    assert debian.find_mirrors(snapshot="https://old.example/", host=tmp_path).snapshot == "https://old.example"


APT = {
    "sources.list": """
        # deb http://commented.example/debian trixie main
        deb-src http://sources.example/debian trixie main
        deb cdrom:[Debian]/ trixie main
        deb [arch=amd64 signed-by=/x.gpg] http://one.example/debian/ trixie main
        deb http://two.example/debian trixie main
        deb http://one.example/debian-security trixie-security main
    """,
    "sources.list.d/other.list": "deb https://packages.example/apt stable main\n",
}
DEB822 = """
# a comment
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb deb-src
URIs: mirror+file:/x http://one.example/debian
Suites: trixie
Components: main
Check-Valid-Until: no

Types: deb
URIs: http://one.example/debian-security/
Suites: trixie-security
Components: main
"""


@pytest.mark.parametrize(
    ("files", "check_age"), [(APT, True), ({"sources.list.d/debian.sources": DEB822}, False)], ids=["list", "sources"]
)
def test_the_mirrors_of_the_host_are_used(tmp_path: Path, files: dict[str, str], *, check_age: bool) -> None:
    for name, text in files.items():
        path = tmp_path / "etc" / "apt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = debian.find_mirrors(host=tmp_path)
    assert (found.debian, found.security) == ("http://one.example/debian", "http://one.example/debian-security")
    assert found.check_age is check_age


def test_a_file_is_looked_for_on_the_mirror_and_then_in_the_snapshot(served: Mirror) -> None:
    found = load(served).newest("libc6")
    assert found is not None
    assert debian.candidates(found.deb.source, mirrors=served.mirrors, snapshot="20261120T141110Z") == (
        f"{served.address}/debian/pool/main/l/libc6/libc6_2.41-12_amd64.deb",
        f"{served.address}/snapshot/debian/20261120T141110Z/pool/main/l/libc6/libc6_2.41-12_amd64.deb",
    )


def fetch(served: Mirror, store: BlobStore, index: PackageIndex) -> bytes:
    found = index.newest("libc6")
    assert found is not None
    downloader = Downloader(
        locate=lambda source: debian.candidates(source, mirrors=served.mirrors, snapshot=index.snapshot), backoff_s=0
    )
    return downloader.fetch_all([found.deb.source], store)[found.deb.digest].read_bytes()


def test_a_package_that_left_the_mirror_is_found_in_the_snapshot(served: Mirror, tmp_path: Path) -> None:
    index = load(served)
    served.archive(LIBC, moment=index.snapshot)
    assert fetch(served, BlobStore(tmp_path / "store"), index) == LIBC.content
    assert [path.partition("/pool/")[0] for path in served.asked[-2:]] == [
        "/debian",
        f"/snapshot/debian/{index.snapshot}",
    ]


def test_a_changed_package_is_refused(served: Mirror, tmp_path: Path) -> None:
    index = load(served)
    path = next(path for path in served.files if path.endswith("libc6_2.41-12_amd64.deb"))
    served.files[path] = LIBC.content[:-1] + b"?"
    with pytest.raises(IntegrityError):
        fetch(served, BlobStore(tmp_path / "store"), index)
