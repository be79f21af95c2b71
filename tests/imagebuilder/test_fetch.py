"""Downloads against a loopback index with logins and faults."""

import hashlib
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder import simple
from imagebuilder.fetch import Downloader
from imagebuilder.index import IndexSettings, Place
from layers.blobs import BlobStore
from layers.errors import BuildError, IntegrityError, RefusedError, StorageError, TransientError
from tests import index
from tests.index import Wheel

SECRET = "canary-8f2c"
FLASK = index.wheel("flask", files={"flask.py": hashlib.shake_256(b"flask").digest(1 << 20)})
CLICK = index.wheel("click")


def downloader(*places: str, links: tuple[str, ...] = (), offline: bool = False) -> Downloader:
    settings = IndexSettings(
        indexes=tuple(Place(url, "a test") for url in places),
        find_links=tuple(Place(url, "a test") for url in links),
        public=False,
    )
    return Downloader(settings, offline=offline, backoff_s=0.001)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def blobs(store: BlobStore) -> list[str]:
    folder = store.root / "blobs" / "sha256"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("hashes", [False, True])
def test_wheels_are_found_by_project_and_hash_and_kept_under_it(store: BlobStore, *, html: bool, hashes: bool) -> None:
    with index.serve(FLASK, CLICK, html=html, hashes=hashes) as served:
        files = downloader(served.url).fetch_all([FLASK.source, CLICK.source], store)
    assert files[FLASK.source.digest].read_bytes() == FLASK.content
    assert files[CLICK.source.digest].read_bytes() == CLICK.content


def test_what_is_in_the_store_is_not_asked_for_and_what_is_damaged_is_fetched_again(store: BlobStore) -> None:
    with index.serve(FLASK, CLICK) as served:
        files = downloader(served.url).fetch_all([FLASK.source, CLICK.source], store)
        damaged = files[CLICK.source.digest]
        damaged.chmod(0o644)
        damaged.write_bytes(b"x" * len(CLICK.content))
        served.seen.clear()
        downloader(served.url).fetch_all([FLASK.source, CLICK.source], store)
        assert served.asked("flask") == 0
        assert damaged.read_bytes() == CLICK.content


@pytest.mark.parametrize("faults", [["500"], ["503", "429", "502"], ["cut"], ["cut", "cut", "500"]])
@pytest.mark.parametrize("ranges", [True, False])
def test_what_may_pass_is_tried_again_and_a_broken_download_goes_on(
    store: BlobStore, faults: list[str], *, ranges: bool
) -> None:
    arrived: list[int] = []
    with index.serve(FLASK, faults={"/files/": list(faults)}, ranges=ranges) as served:
        downloader(served.url).fetch_all([FLASK.source], store, on_progress=lambda _one, size: arrived.append(size))
        asked_from = [headers.get("Range") for path, headers in served.seen if "/files/" in path]
    assert store.verify(FLASK.source.digest)
    assert sum(arrived) == len(FLASK.content)
    assert len(asked_from) == len(faults) + 1
    assert bool(asked_from[-1]) == ("cut" in faults)


def test_a_server_that_stays_broken_is_a_transient_error_ib701(store: BlobStore) -> None:
    with index.serve(FLASK, faults={"/files/": ["503"] * 4}) as served, pytest.raises(TransientError) as caught:
        downloader(served.url).fetch_all([FLASK.source], store)
    assert caught.value.code == "IB701"
    assert "503" in caught.value.message
    assert blobs(store) == []


def test_a_server_that_is_not_there_is_named_without_its_password(store: BlobStore) -> None:
    with pytest.raises(TransientError) as caught:
        downloader(f"http://user:{SECRET}@127.0.0.1:9/simple").fetch_all([FLASK.source], store)
    assert caught.value.code == "IB701"
    assert "127.0.0.1:9" in caught.value.message
    assert SECRET not in str(vars(caught.value))


@pytest.mark.parametrize(("user", "code"), [("", "IB702"), ("user:wrong@", "IB702"), (f"user:{SECRET}@", "")])
def test_credentials_in_the_index_address_are_used_for_its_pages_and_its_files(
    store: BlobStore, user: str, code: str
) -> None:
    with index.serve(FLASK, user=f"user:{SECRET}") as served:
        place = served.url.replace("//", f"//{user}")
        if code:
            with pytest.raises(RefusedError) as caught:
                downloader(place).fetch_all([FLASK.source], store)
            assert caught.value.code == code
            assert SECRET not in str(vars(caught.value))
        else:
            assert downloader(place).fetch_all([FLASK.source], store)


def test_credentials_do_not_follow_a_redirect_to_another_origin(store: BlobStore) -> None:
    with index.serve(FLASK) as other, index.serve(FLASK, user=f"user:{SECRET}") as served:
        served.faults["/files/"] = [f"to:{other.url.replace('simple', 'files')}/{FLASK.filename}"]
        downloader(served.url.replace("//", f"//user:{SECRET}@")).fetch_all([FLASK.source], store)
        assert other.asked("/files/") == 1
        assert all("Authorization" not in headers for _, headers in other.seen)


def test_redirects_in_a_circle_end_with_ib705(store: BlobStore) -> None:
    with index.serve(FLASK) as served:
        served.faults["/files/"] = [f"to:/files/{FLASK.filename}"] * 9
        with pytest.raises(RefusedError) as caught:
            downloader(served.url).fetch_all([FLASK.source], store)
    assert caught.value.code == "IB705"


def test_a_file_with_other_bytes_is_an_integrity_error_ib704_and_nothing_is_kept(store: BlobStore) -> None:
    arrived: list[int] = []
    with index.serve(FLASK, faults={"/files/": ["wrong"]}) as served, pytest.raises(IntegrityError) as caught:
        downloader(served.url).fetch_all([FLASK.source], store, on_progress=lambda _one, size: arrived.append(size))
    assert caught.value.code == "IB704"
    assert FLASK.filename in caught.value.message
    assert sum(arrived) == 0
    assert blobs(store) == []


def test_an_index_with_another_file_of_that_name_is_an_integrity_error_ib704(store: BlobStore) -> None:
    replaced = Wheel(FLASK.filename, CLICK.content)
    with index.serve(replaced) as served, pytest.raises(IntegrityError) as caught:
        downloader(served.url).fetch_all([FLASK.source], store)
    assert caught.value.code == "IB704"


def test_a_file_longer_than_pinned_is_stopped(store: BlobStore) -> None:
    short = replace(FLASK.source, size=1000)
    with index.serve(FLASK) as served, pytest.raises(IntegrityError) as caught:
        downloader(served.url).fetch_all([short], store)
    assert caught.value.code == "IB704"


def test_another_index_is_asked_when_the_first_has_wrong_bytes_or_nothing(store: BlobStore) -> None:
    with (
        index.serve(FLASK, faults={"/files/": ["wrong"]}) as first,
        index.serve(CLICK) as second,
        index.serve(FLASK, CLICK) as third,
    ):
        downloader(first.url, second.url, third.url).fetch_all([FLASK.source, CLICK.source], store)
    assert store.has(FLASK.source.digest)
    assert store.has(CLICK.source.digest)


def test_a_file_that_nobody_has_names_the_places_that_were_asked_ib703(store: BlobStore) -> None:
    with index.serve(CLICK) as served, pytest.raises(BuildError) as caught:
        downloader(served.url.replace("//", f"//u:{SECRET}@")).fetch_all([FLASK.source], store)
    assert (caught.value.code, caught.value.exit_code) == ("IB703", 4)
    assert served.url in caught.value.details[0]
    assert SECRET not in str(vars(caught.value))


def test_offline_names_everything_that_is_missing_ib700_and_asks_nobody(store: BlobStore) -> None:
    with index.serve(FLASK, CLICK) as served:
        with pytest.raises(BuildError) as caught:
            downloader(served.url, offline=True).fetch_all([FLASK.source, CLICK.source], store)
        assert served.seen == []
    assert (caught.value.code, caught.value.exit_code) == ("IB700", 4)
    assert caught.value.details == (f"missing: {CLICK.filename}, {FLASK.filename}",)
    with pytest.raises(BuildError, match="offline") as asked:
        downloader(offline=True).get("http://127.0.0.1:9/InRelease", 10)
    assert asked.value.code == "IB700"


@pytest.mark.parametrize("offline", [True, False])
def test_folders_of_wheels_and_file_indexes_work_without_a_network(
    tmp_path: Path, store: BlobStore, *, offline: bool
) -> None:
    links, project = tmp_path / "wheels", tmp_path / "simple" / "click"
    links.mkdir()
    project.mkdir(parents=True)
    (links / FLASK.filename).write_bytes(FLASK.content)
    (tmp_path / CLICK.filename).write_bytes(CLICK.content)
    (project / "index.html").write_text(f'<a href="../../{CLICK.filename}#sha256={CLICK.sha256}">x</a>')
    asks = downloader((tmp_path / "simple").as_uri(), links=(str(links),), offline=offline)
    assert len(asks.fetch_all([FLASK.source, CLICK.source], store)) == 2


def test_a_page_of_links_is_a_place_too(store: BlobStore) -> None:
    with index.serve(FLASK, html=True) as served:
        assert downloader(links=(f"{served.url}/flask/",)).fetch_all([FLASK.source], store)


@pytest.mark.parametrize("faults", [[], ["wrong"]])
def test_debian_packages_are_looked_for_at_each_address_in_turn(store: BlobStore, faults: list[str]) -> None:
    with index.serve(FLASK, faults={"/files/": faults}) as served:
        files = served.url.replace("simple", "files")
        source = replace(FLASK.source, kind="deb", locator="pool/x.deb")
        addresses = (f"{files}/gone.whl", f"{files}/{FLASK.filename}", f"{files}/{FLASK.filename}")
        asks = replace(downloader(), locate=lambda one: addresses if one.kind == "deb" else ())
        assert asks.fetch_all([source], store)


def test_a_direct_address_gets_its_variables_when_it_is_fetched(store: BlobStore) -> None:
    with index.serve(FLASK, user=f"bot:{SECRET}") as served:
        address = served.url.replace("simple", "files").replace("//", "//bot:${TOKEN}@") + f"/{FLASK.filename}"
        source = replace(FLASK.source, kind="url", locator=address)
        assert replace(downloader(), environment={"TOKEN": SECRET}).fetch_all([source], store)


def test_a_document_is_read_up_to_its_limit_ib706_and_a_missing_one_is_ib703() -> None:
    with index.serve(CLICK) as served:
        address = served.url.replace("simple", "files")
        assert downloader().get(f"{address}/{CLICK.filename}", len(CLICK.content)) == CLICK.content
        with pytest.raises(IntegrityError) as large:
            downloader().get(f"{address}/{CLICK.filename}", len(CLICK.content) - 1)
        with pytest.raises(BuildError) as missing:
            downloader().get(f"{address}/missing", 10)
    assert large.value.code == "IB706"
    assert missing.value.code == "IB703"


def test_a_page_that_is_no_index_page_is_ib707(tmp_path: Path, store: BlobStore) -> None:
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "index.html").write_text('{"message": "log in first"}')
    with pytest.raises(IntegrityError) as caught:
        downloader(tmp_path.as_uri()).fetch_all([FLASK.source], store)
    assert caught.value.code == "IB707"


def test_a_full_or_read_only_store_is_reported_as_such_and_not_as_a_bad_index(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    with index.serve(FLASK) as served, pytest.raises(StorageError) as caught:
        downloader(served.url).fetch_all([FLASK.source], BlobStore(tmp_path / "store"))
    assert caught.value.code == "IB601"


def test_when_one_file_fails_the_others_are_given_up_and_leave_nothing(store: BlobStore) -> None:
    large = index.wheel("large", files={"x": hashlib.shake_256(b"x").digest(32 << 20)})
    with index.serve(FLASK, large, faults={"flask": ["403"] * 9}) as served, pytest.raises(RefusedError):
        downloader(served.url).fetch_all([FLASK.source, large.source], store, workers=2)
    assert [name for name in blobs(store) if name != large.sha256] == []


def test_a_direct_address_that_is_gone_is_named_ib703(store: BlobStore) -> None:
    with index.serve(CLICK) as served, pytest.raises(BuildError, match="files/gone") as caught:
        downloader().fetch_all([replace(CLICK.source, kind="url", locator=f"{served.url}/../files/gone.whl")], store)
    assert caught.value.code == "IB703"


def test_many_files_arrive_in_parallel(store: BlobStore) -> None:
    wheels = [index.wheel(f"package-{number}") for number in range(24)]
    threads: set[int] = set()
    with index.serve(*wheels) as served:
        files = downloader(served.url).fetch_all(
            [one.source for one in wheels],
            store,
            workers=4,
            on_progress=lambda _one, _size: threads.add(threading.get_ident()),
        )
    assert len(files) == 24
    assert len(threads) > 1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    return index.certificate(tmp_path)


def test_a_certificate_that_nobody_trusts_is_ib705_until_it_is_named_or_its_host_trusted(
    store: BlobStore, certificate: Path
) -> None:
    with index.serve(FLASK, CLICK, tls=certificate) as served:
        plain = downloader(served.url)
        with pytest.raises(RefusedError) as caught:
            plain.fetch_all([FLASK.source], store)
        named = replace(plain, index=replace(plain.index, certificate=str(certificate)))
        trusted = replace(plain, index=replace(plain.index, trusted_hosts=("127.0.0.1",)))
        assert named.fetch_all([FLASK.source], store)
        assert trusted.fetch_all([CLICK.source], store)
    assert (caught.value.code, caught.value.exit_code) == ("IB705", 5)


def test_an_address_with_tls_is_never_left_for_one_without(store: BlobStore, certificate: Path) -> None:
    with index.serve(FLASK) as other, index.serve(FLASK, tls=certificate) as served:
        served.faults["/files/"] = [f"to:{other.url.replace('simple', 'files')}/{FLASK.filename}"]
        asks = downloader(served.url)
        with pytest.raises(RefusedError) as caught:
            replace(asks, index=replace(asks.index, certificate=str(certificate))).fetch_all([FLASK.source], store)
        assert other.seen == []
    assert caught.value.code == "IB705"


@pytest.mark.parametrize("place", ["https://[x/", "http://127.0.0.1:99999999/", "//["])
def test_a_redirect_to_what_is_no_address_is_ib705(store: BlobStore, place: str) -> None:
    with index.serve(FLASK) as served:
        served.faults["/files/"] = [f"to:{place}"]
        with pytest.raises(RefusedError, match="no address") as caught:
            downloader(served.url).fetch_all([FLASK.source], store)
    assert caught.value.code == "IB705"


@pytest.mark.parametrize("html", [True, False])
def test_sources_are_fetched_like_wheels_from_indexes_and_folders(tmp_path: Path, *, html: bool) -> None:
    source = Wheel("demo-1.0.tar.gz", b"a source")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / source.filename).write_bytes(source.content)
    wanted = replace(source.source, kind="sdist")
    with index.serve(source, html=html) as served:
        for found in (downloader(served.url), downloader(links=(str(tmp_path / "links"),))):
            store = BlobStore(tmp_path / f"store-{len(found.index.indexes)}")
            assert found.fetch_all([wanted], store)[wanted.digest].read_bytes() == b"a source"


def test_an_index_says_for_which_python_a_file_is_and_which_nobody_should_choose() -> None:
    in_json = b'{"files": [{"filename": "a-1.tar.gz", "url": "a", "requires-python": ">=3.9", "yanked": "broken"}]}'
    in_html = b'<a href="a-1.tar.gz" data-requires-python="&gt;=3.9" data-yanked="">a</a><a href="b-1.tar.gz">b</a>'
    assert [(one.python, one.yanked) for one in simple.parse(in_json, "http://x/")] == [(">=3.9", True)]
    assert [(one.python, one.yanked) for one in simple.parse(in_html, "http://x/")] == [(">=3.9", True), ("", False)]
