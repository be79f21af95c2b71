"""Archives of standalone Pythons: files, links and rights come through; what leads elsewhere is refused."""

from pathlib import Path

import pytest

from layers.content import Reader
from layers.entry import Kind
from layers.errors import IntegrityError
from layers.standalone import read_standalone
from tests import debs, standalones
from tests.debs import Member


def wrote(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(content)
    return path


def test_files_links_and_second_names_come_by_their_path(tmp_path: Path) -> None:
    path = wrote(tmp_path, standalones.archive([debs.folder("python"), *standalones.members("3.12")]))
    found = read_standalone(path, spool=tmp_path / "spool")
    assert len(found) == len(standalones.members("3.12"))
    assert found["bin/python3.12"].mode == found["lib/libpython3.12.so.1.0"].mode == 0o755
    assert found["lib/python3.12/os.py"].mode == 0o644
    assert (found["bin/python"].kind, found["bin/python"].target) == (Kind.SYMLINK, "python3.12")
    same = found["lib/python3.12/same.py"]
    assert (same.kind, b"".join(Reader().read(same.content))) == (Kind.FILE, b"# os\n")


@pytest.mark.parametrize(
    ("member", "tells"),
    [
        (debs.file("other/bin/python3.12"), "'other/bin/python3.12' is not in the folder python/"),
        (debs.file("python3.12"), "not in the folder"),
        (debs.symlink("python/bin/python3", "/usr/bin/python3"), "leads out of it: '/usr/bin/python3'"),
        (debs.symlink("python/bin/python3", "../../etc/passwd"), "leads out of it"),
        (debs.symlink("python/bin/python3", "../../pythonic"), "leads out of it"),
    ],
)
def test_what_is_elsewhere_or_leads_there_is_refused(tmp_path: Path, member: Member, tells: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        read_standalone(wrote(tmp_path, standalones.archive([member])), spool=tmp_path / "spool")
    assert (caught.value.code, caught.value.exit_code) == ("IB890", 6)
    assert tells in caught.value.message


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    whole = standalones.archive(standalones.members("3.12"))
    for damaged in (b"", whole[:-20], whole + b"x", b"PK\3\4" + whole, whole[:300] + b"\xff" + whole[301:]):
        with pytest.raises(IntegrityError) as caught:
            read_standalone(wrote(tmp_path, damaged), spool=tmp_path / "spool")
        assert caught.value.code in ("IB557", "IB558")
