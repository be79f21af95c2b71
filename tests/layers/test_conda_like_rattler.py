"""Our installation of conda packages beside rattler's: the same files with the same bytes, and a record it can read."""

import asyncio
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
import rattler

from layers.conda import read_conda
from layers.conda_install import conda_entries
from layers.content import Reader
from layers.entry import Entry, Kind
from layers.wheel import Scheme
from tests import condas
from tests.condas import LIB, PREFIX, TOOL, Conda, other, python

SCHEME = Scheme(PREFIX, "3.13", f"/{PREFIX}/bin/python")
PACKAGES = (python(), LIB, TOOL)
# What each installer writes in its own words: its records, and scripts of entry points.
OWN = ("conda-meta/", ".", "CACHEDIR", "bin/tool")


def ours(packages: Iterable[Conda], folder: Path) -> list[Entry]:
    found: list[Entry] = []
    for package in packages:
        place = folder / package.name
        place.mkdir()
        (place / package.file_name).write_bytes(package.content)
        origin = {
            "channel": "forge",
            "fn": package.file_name,
            "url": f"conda:forge/{package.subdir}/{package.file_name}",
        }
        found += conda_entries(read_conda(place / package.file_name), SCHEME, folder=place, origin=origin)
    return found


def content(entry: Entry) -> bytes | str:
    with closing(Reader()) as reader:
        return entry.target if entry.kind is Kind.SYMLINK else b"".join(reader.read(entry.content))


def theirs(packages: Iterable[Conda], folder: Path) -> Path:
    async def install() -> None:
        files = []
        for package in packages:
            files.append(folder / package.file_name)
            files[-1].write_bytes(package.content)
        records = [await rattler.RepoDataRecord.from_package_archive(path) for path in files]
        await rattler.install(
            records, folder / "prefix", cache_dir=folder / "cache", alternative_target_prefix=f"/{PREFIX}"
        )

    asyncio.run(install())
    return folder / "prefix"


def test_the_same_files_are_installed_as_by_rattler(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    found = {
        entry.path.removeprefix(f"{PREFIX}/"): content(entry)
        for entry in ours(PACKAGES, tmp_path / "ours")
        if not entry.path.removeprefix(f"{PREFIX}/").startswith(OWN)
    }
    prefix = theirs(PACKAGES, tmp_path)
    wanted = {
        path.relative_to(prefix).as_posix(): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in prefix.rglob("*")
        if path.is_symlink() or path.is_file()
    }
    left_out = (".pyc", "-post-link.sh")
    assert found == {
        path: bytes_ for path, bytes_ in wanted.items() if not path.startswith(OWN) and not path.endswith(left_out)
    }


@pytest.mark.parametrize("package", [*PACKAGES, other(LIB, form=".conda")], ids=lambda package: package.file_name)
def test_rattler_reads_the_record(package: Conda, tmp_path: Path) -> None:
    (entry,) = [entry for entry in ours([package], tmp_path) if "/conda-meta/" in entry.path]
    path = tmp_path / entry.path.rpartition("/")[2]
    path.write_bytes(entry.content if isinstance(entry.content, bytes) else b"")
    record = rattler.PrefixRecord.from_path(path)
    assert (record.name.normalized, str(record.version), record.file_name) == (
        package.name,
        package.version,
        package.file_name,
    )
    assert record.files
    assert condas.PREFIX not in str(record.files)
