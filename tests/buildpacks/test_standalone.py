"""The layer of a standalone Python: what runs and nothing else, with what it says of its build corrected."""

from pathlib import Path

import pytest

from buildpacks import standalone
from buildpacks.api import Interpreter, Source
from layers.content import Reader
from layers.digest import Digest
from layers.entry import Entry, Kind
from layers.errors import IntegrityError
from tests import apps, standalones

LIB = "layers/cpython/lib/python3.12"
CONFIG = f"{LIB}/_sysconfigdata__linux_x86_64-linux-gnu.py"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(standalones.archive(standalones.members("3.12")))
    return path


def interpreter(archive: Path, version: str = "3.12.9") -> Interpreter:
    source = Source("python", archive.name, Digest.of(archive.read_bytes()), None, f"1/{archive.name}")
    return Interpreter(version, "/layers/cpython/bin/python3.12", "standalone", archive=source)


def by_path(archive: Path, tmp_path: Path, *, building: bool = False) -> dict[str, Entry]:
    found = standalone.entries(interpreter(archive), archive, scratch=tmp_path, building=building)
    return {each.path: each for each in found}


def content(found: Entry) -> bytes:
    return b"".join(Reader().read(found.content))


def test_an_image_gets_what_runs(archive: Path, tmp_path: Path) -> None:
    found = by_path(archive, tmp_path)
    assert sorted(found) == [
        "layers/cpython/bin/python",
        "layers/cpython/bin/python3",
        "layers/cpython/bin/python3.12",
        "layers/cpython/lib/libpython3.12.so.1.0",
        f"{LIB}/EXTERNALLY-MANAGED",
        CONFIG,
        f"{LIB}/lib-dynload/_ssl.so",
        f"{LIB}/os.py",
        f"{LIB}/same.py",
        f"{LIB}/unittest/case.py",
    ]
    assert content(found["layers/cpython/bin/python3.12"]) == b"\x7fELF $ORIGIN/../lib"
    assert {each.mode for each in found.values() if each.kind is Kind.FILE} == {0o644, 0o755}


def test_a_root_for_builds_gets_headers_and_makefile_and_may_be_installed_into(archive: Path, tmp_path: Path) -> None:
    more = by_path(archive, tmp_path, building=True).keys() - by_path(archive, tmp_path).keys()
    assert sorted(more) == [
        "layers/cpython/bin/python3.12-config",
        "layers/cpython/include/python3.12/Python.h",
        "layers/cpython/lib/pkgconfig/python-3.12.pc",
        f"{LIB}/config-3.12-x86_64-linux-gnu/Makefile",
    ]
    assert f"{LIB}/EXTERNALLY-MANAGED" not in by_path(archive, tmp_path, building=True)


def test_what_it_says_of_its_build_is_true_of_where_it_is(archive: Path, tmp_path: Path) -> None:
    found = by_path(archive, tmp_path, building=True)
    assert content(found[CONFIG]) == standalones.CORRECTED
    assert content(found["layers/cpython/lib/pkgconfig/python-3.12.pc"]) == b"prefix=/layers/cpython\n"
    assert content(found["layers/cpython/bin/python3.12-config"]) == b"#!/bin/sh\nprefix=/layers/cpython\n"
    assert content(found[f"{LIB}/config-3.12-x86_64-linux-gnu/Makefile"]) == b"CC=\t\tcc\n"


def test_an_archive_of_another_series_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        standalone.entries(interpreter(archive, "3.11.9"), archive, scratch=tmp_path)
    assert caught.value.code == "IB890"
    assert caught.value.message.endswith("Python 3.11.9 should have 'bin/python3.11'")


def test_the_layer_is_known_by_its_archive(archive: Path, tmp_path: Path) -> None:
    chosen = interpreter(archive)
    layer = standalone.layer(chosen, tmp_path)
    assert layer.sources == (chosen.archive,)
    assert chosen.archive
    assert layer.key["archive"] == chosen.archive.digest.value
    found = layer.entries({chosen.archive.digest: archive})
    assert {each.path for each in found} == by_path(archive, tmp_path).keys()
    with pytest.raises(RuntimeError):
        standalone.layer(apps.interpreter("3.13.5"), tmp_path)
