"""Source distributions: read strictly, whichever tool packed them."""

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from layers.entry import Kind
from layers.errors import IntegrityError
from layers.sdist import Sdist, read_sdist
from layers.unpack import unpack
from tests import debs, sdists, wheels


def packed(*members: debs.Member, writes: int = tarfile.GNU_FORMAT) -> bytes:
    return gzip.compress(debs.tar(members, writes=writes), mtime=0)


def read(folder: Path, content: bytes) -> Sdist:
    (folder / "archive").write_bytes(content)
    return read_sdist(folder / "archive", spool=folder / "spool")


TREE = (
    debs.folder("demo-1.0", mode=0o700),
    debs.file("demo-1.0/setup.py", b"x = 1\n", mode=0o600),
    debs.file("demo-1.0/configure", b"#!/bin/sh\n", mode=0o711),
    debs.symlink("demo-1.0/doc/latest", "../setup.py"),
    debs.hardlink("demo-1.0/copy.py", "demo-1.0/setup.py"),
)


@pytest.mark.parametrize("writes", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_a_tar_is_read_below_its_folder_without_owners_and_with_plain_modes(tmp_path: Path, writes: int) -> None:
    found = {entry.path: entry for entry in read(tmp_path, packed(*TREE, writes=writes)).entries}
    assert {path: oct(entry.mode) for path, entry in found.items() if entry.kind is Kind.FILE} == {
        "setup.py": "0o644",
        "configure": "0o755",
    }
    assert found["doc/latest"].target == "../setup.py" and found["copy.py"].target == "setup.py"
    unpack(found.values(), tmp_path / "unpacked", time_s=1)
    assert (tmp_path / "unpacked/copy.py").read_bytes() == b"x = 1\n"


def test_a_zip_is_read_like_a_tar(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        wheels.add(archive, "demo-1.0/setup.py", b"x = 1\n")
        wheels.add(archive, "demo-1.0/configure", b"", mode=stat.S_IFREG | 0o711)
    found = read(tmp_path, out.getvalue())
    assert [(entry.path, oct(entry.mode)) for entry in found.entries] == [
        ("setup.py", "0o644"),
        ("configure", "0o755"),
    ]
    assert found.text("setup.py") == "x = 1\n" and found.text("missing") is None


def test_what_pythons_own_tools_pack_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, sdists.sdist("demo").content)
    assert "[build-system]" in (found.text("pyproject.toml") or "")


DAMAGED = {
    "nothing": b"",
    "another archive": b"BZh9" + bytes(100),
    "two folders": packed(debs.file("a/x"), debs.file("b/x")),
    "no folder": packed(debs.file("setup.py")),
    "a link as its folder": packed(debs.symlink("demo", "x")),
    "a link out": packed(debs.symlink("demo/a", "../../etc/passwd")),
    "an absolute link": packed(debs.symlink("demo/a", "/etc/passwd")),
    "a file outside": packed(debs.file("demo/../../etc/passwd")),
    "a hard link out": packed(debs.hardlink("demo/a", "../etc/passwd")),
    "a file below a link": packed(debs.symlink("demo/a", "b"), debs.file("demo/a/x")),
    "a file twice": packed(debs.file("demo/a"), debs.file("demo/a")),
    "a device": packed(debs.Member("demo/a", type=tarfile.CHRTYPE)),
    "a cut off tar": gzip.compress(debs.tar(TREE)[:700]),
    "a cut off stream": packed(*TREE)[:-9],
    "something behind it": packed(*TREE) + b"more",
    "a damaged zip": b"PK" + bytes(100),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_or_leads_out_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        read(tmp_path, content)
    assert caught.value.code in ("IB870", "IB502", "IB510", "IB557", "IB558")


def test_what_unpacks_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.sdist._SIZE_MAX", 10_000)
    with pytest.raises(IntegrityError, match="unpacks to more than") as caught:
        read(tmp_path, packed(debs.file("demo/a", bytes(1 << 20))))
    assert caught.value.code == "IB870"
    assert (tmp_path / "spool").stat().st_size <= 10_000


@pytest.mark.parametrize("content", [b"\xff", bytes(5 << 20)])
def test_a_text_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    found = read(tmp_path, packed(debs.file("demo/pyproject.toml", content)))
    with pytest.raises(IntegrityError, match=r"pyproject\.toml"):
        found.text("pyproject.toml")
