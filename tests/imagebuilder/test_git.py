"""Commits are fetched as they are: by name or by hash, never by running anything of theirs."""

import tarfile
from pathlib import Path

import pytest

from imagebuilder.sources import address
from imagebuilder.sources.address import Address
from imagebuilder.sources.git import Repositories
from layers.blobs import BlobStore
from layers.digest import Digest
from layers.errors import BuildError
from layers.sdist import read_sdist
from tests import repositories

PROJECT = {"pyproject.toml": '[project]\nname = "till"\n', "till.py": "VALUE = 1\n", "libs/card/setup.py": "x"}


def fetcher(folder: Path, **environment: str) -> Repositories:
    return Repositories(BlobStore(folder / "cache"), folder / "scratch", {**repositories.ENVIRONMENT, **environment})


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    repositories.commit(tmp_path / "till", PROJECT, tag="v1")
    return tmp_path / "till"


@pytest.mark.parametrize("revision", ["@main", "@v1", "", "@{}", "@{:.8}"])
def test_a_branch_a_tag_and_a_hash_name_the_same_commit(tmp_path: Path, origin: Path, revision: str) -> None:
    commit = repositories.git(origin, "rev-parse", "HEAD")
    found = fetcher(tmp_path).fetch(f"git+file://{origin}{revision.format(commit)}")
    assert found.source.locator == f"git+file://{origin}@{commit}"
    assert found.source.name == f"till@{commit[:12]}"
    assert found.texts == {"pyproject.toml": PROJECT["pyproject.toml"]}


def test_a_commit_that_no_branch_ends_with_is_found(tmp_path: Path, origin: Path) -> None:
    first = repositories.git(origin, "rev-parse", "HEAD")
    repositories.commit(origin, {"till.py": "VALUE = 2\n"})
    for revision in (first, first[:9]):
        assert fetcher(tmp_path).fetch(f"git+file://{origin}@{revision}").source.locator.endswith(f"@{first}")


def test_the_files_are_those_of_the_commit_and_a_folder_is_all_there_is_of_it(tmp_path: Path, origin: Path) -> None:
    (origin / "run.sh").write_text("#!/bin/sh\n")
    (origin / "run.sh").chmod(0o755)
    (origin / "link").symlink_to("till.py")
    (origin / "libs/card/LICENSE").symlink_to("../../till.py")
    (origin / "libs/card/lost").symlink_to("../../../etc/passwd")
    repositories.commit(origin, {".gitattributes": "till.py export-ignore\n*.py text eol=crlf\n", "ä b": ""})
    repositories_ = fetcher(tmp_path)
    whole = repositories_.fetch(f"git+file://{origin}@main").source
    with tarfile.open(repositories_.store.path(whole.digest)) as archive:
        modes = {member.name: member.mode for member in archive if member.isfile()}
        assert archive.extractfile("source/till.py").read() == b"VALUE = 1\n"  # type: ignore[union-attr]  # a file
    assert modes["source/run.sh"] == 0o755 and modes["source/ä b"] == 0o644
    part = repositories_.fetch(f"git+file://{origin}@main#subdirectory=libs/card").source
    read = read_sdist(repositories_.store.path(part.digest), spool=tmp_path / "spool")
    assert {each.path for each in read.entries} == {"setup.py", "LICENSE"}
    assert read.text("LICENSE") == "VALUE = 1\n"


def test_everybody_gets_the_same_bytes(tmp_path: Path, origin: Path) -> None:
    repositories.git(tmp_path, "clone", "--quiet", str(origin), "copy")
    (tmp_path / "gitconfig").write_text("[core]\nautocrlf = true\n[fetch]\nrecurseSubmodules = true\n")
    here = fetcher(tmp_path / "a").fetch(f"git+file://{origin}@main").source
    there = fetcher(tmp_path / "b", GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig")).fetch(
        f"git+file://{tmp_path / 'copy'}@main"
    )
    assert (here.digest, here.size) == (there.source.digest, there.source.size)


def test_no_hook_and_no_other_repository_of_the_environment_counts(tmp_path: Path, origin: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[core]\nhooksPath = {hooks}\n")
    fetcher(tmp_path, GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig"), GIT_DIR="/nowhere").fetch(f"git+file://{origin}")
    assert not (tmp_path / "ran").exists()


def test_a_pinned_commit_with_other_files_is_ib883(tmp_path: Path, origin: Path) -> None:
    source = fetcher(tmp_path).fetch(f"git+file://{origin}").source
    fetcher(tmp_path / "other").bring(source)
    forged = type(source)("git", source.name, Digest.of(b"other"), source.size, source.locator)
    with pytest.raises(BuildError, match="not the files") as caught:
        fetcher(tmp_path / "other").bring(forged)
    assert (caught.value.code, caught.value.exit_code) == ("IB883", 6)


def test_submodules_are_ib884(tmp_path: Path, origin: Path) -> None:
    head = repositories.git(origin, "rev-parse", "HEAD")
    repositories.git(origin, "update-index", "--add", "--cacheinfo", f"160000,{head},libs/other")
    repositories.git(origin, "commit", "--quiet", "--message=x")
    with pytest.raises(BuildError, match="libs/other") as caught:
        fetcher(tmp_path).fetch(f"git+file://{origin}")
    assert caught.value.code == "IB884"
    assert fetcher(tmp_path).fetch(f"git+file://{origin}#subdirectory=libs/card")


@pytest.mark.parametrize("where", ["@no-such-branch", f"@{'0' * 40}", "@0000000", "-absent", "#subdirectory=absent"])
def test_what_is_not_there_is_ib880(tmp_path: Path, origin: Path, where: str) -> None:
    with pytest.raises(BuildError) as caught:
        fetcher(tmp_path).fetch(f"git+file://{origin}{where}")
    assert caught.value.code == "IB880" and "git ls-remote" in caught.value.hint


def test_without_git_or_offline_it_is_said(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(BuildError) as caught:
        fetcher(tmp_path, PATH=str(tmp_path)).fetch(f"git+file://{origin}")
    assert caught.value.code == "IB881"
    offline = Repositories(BlobStore(tmp_path), tmp_path, {}, offline=True)
    with pytest.raises(BuildError) as caught:
        offline.fetch(f"git+file://{origin}")
    assert caught.value.code == "IB700"


def test_a_secret_is_named_and_is_in_no_message(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        fetcher(tmp_path, TOKEN="s3cret").fetch("git+http://${TOKEN}@127.0.0.1:9/x.git@main")
    assert "s3cret" not in str((caught.value.message, caught.value.details, caught.value.hint))
    assert caught.value.code == "IB880"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("git+https://example.com/x.git", Address("https://example.com/x.git", "HEAD")),
        ("git+https://example.com/x@v1.0", Address("https://example.com/x", "v1.0")),
        ("git+ssh://git@example.com/a/x.git@feature/y", Address("ssh://git@example.com/a/x.git", "feature/y")),
        ("git@example.com:a/x.git@main", Address("ssh://git@example.com/a/x.git", "main")),
        (
            "git+https://${TOKEN}@example.com/x@v1#egg=x&subdirectory=a/b",
            Address("https://${TOKEN}@example.com/x", "v1", "a/b"),
        ),
    ],
)
def test_an_address_is_read_and_written_in_one_form(text: str, found: Address) -> None:
    assert address.parse(text) == found
    assert address.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("git+http://example.com/x.git", "IB882"),
        ("git+git://example.com/x.git", "IB882"),
        ("git+ext::sh -c touch%20/tmp/x", "IB882"),
        ("git+/srv/x", "IB882"),
        ("git+https://example.com/x@--upload-pack=sh", "IB882"),
        ("git+https://example.com/x@a..b", "IB882"),
        ("git+https://example.com/x@a:b", "IB882"),
        ("git+https://example.com/x#subdirectory=../y", "IB882"),
        ("git+https://user:secret@example.com/x", "IB885"),
        ("git+https://secret@example.com/x", "IB885"),
        ("git+ssh://git:secret@example.com/x", "IB885"),
    ],
)
def test_an_address_that_git_should_not_see_is_refused(text: str, code: str) -> None:
    with pytest.raises(BuildError) as caught:
        address.parse(text)
    assert caught.value.code == code
    assert "secret" not in caught.value.message
