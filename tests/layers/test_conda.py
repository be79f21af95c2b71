"""Conda packages: what is installed of them, and what is refused."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from layers.conda import CondaPackage, read_conda
from layers.conda_install import conda_entries, promised
from layers.content import Reader
from layers.entry import Entry
from layers.errors import IntegrityError
from layers.wheel import Scheme
from tests import condas, debs
from tests.condas import LIB, PLACEHOLDER, PREFIX, TOOL, Conda, other, python

SCHEME = Scheme(PREFIX, "3.13", f"/{PREFIX}/bin/python")
SITE = f"{PREFIX}/lib/python3.13/site-packages"
ORIGIN = {"channel": "forge", "fn": "x.conda"}


def read(package: Conda, folder: Path) -> CondaPackage:
    (folder / "blob").write_bytes(package.content)
    return read_conda(folder / "blob")


def install(package: Conda, folder: Path) -> dict[str, Entry]:
    entries = conda_entries(read(package, folder), SCHEME, folder=folder, origin=ORIGIN)
    return {entry.path: entry for entry in entries}


def content(entry: Entry) -> bytes:
    with closing(Reader()) as reader:
        return b"".join(reader.read(entry.content))


@pytest.mark.parametrize("form", [".conda", ".tar.bz2"])
def test_both_forms_of_a_package_install_the_same(form: str, tmp_path: Path) -> None:
    found = install(other(LIB, form=form), tmp_path)
    assert list(found) == [
        f"{PREFIX}/{path}"
        for path in (
            *("lib/liblib.so", "lib/liblib.so.1", "share/lib.conf", "share/same.conf"),
            "conda-meta/lib-1.3-h2_1.json",
        )
    ]
    assert content(found[f"{PREFIX}/share/lib.conf"]) == f"prefix=/{PREFIX}\n".encode()
    assert content(found[f"{PREFIX}/share/same.conf"]) == f"prefix=/{PREFIX}\n".encode()
    assert found[f"{PREFIX}/lib/liblib.so"].target == "liblib.so.1"


def test_a_string_in_a_binary_keeps_its_length(tmp_path: Path) -> None:
    library = content(install(LIB, tmp_path)[f"{PREFIX}/lib/liblib.so.1"])
    spare = 2 * (len(PLACEHOLDER) - len(f"/{PREFIX}"))
    assert library == f"\x7fELF /{PREFIX}/share:/{PREFIX}".encode() + bytes(spare + 1) + b"end"


def test_files_for_python_go_where_the_python_of_the_environment_looks(tmp_path: Path) -> None:
    found = install(TOOL, tmp_path)
    assert content(found[f"{SITE}/tool/__init__.py"]).startswith(b"def main")
    assert found[f"{PREFIX}/bin/tool-check"].mode == 0o755
    assert content(found[f"{PREFIX}/bin/tool"]).startswith(f"#!/{PREFIX}/bin/python\nimport sys\n".encode())


def test_neither_bytecode_nor_the_programs_of_conda_are_installed(tmp_path: Path) -> None:
    assert not [path for path in install(python(), tmp_path) if "pyc" in path]
    assert not [path for path in install(LIB, tmp_path) if "post-link" in path]
    assert read(LIB, tmp_path).hooks == ("bin/.lib-post-link.sh",)


def test_the_record_names_every_file_and_no_time(tmp_path: Path) -> None:
    found = install(TOOL, tmp_path)
    record = json.loads(content(found.pop(f"{PREFIX}/conda-meta/tool-2.0-pyh1_0.json")))
    assert record["files"] == sorted(path.removeprefix(f"{PREFIX}/") for path in found)
    assert (record["name"], record["channel"], record["noarch"]) == ("tool", "forge", "python")
    assert "timestamp" not in record
    sizes = {each["_path"]: each["size_in_bytes"] for each in record["paths_data"]["paths"]}
    assert sizes == {path.removeprefix(f"{PREFIX}/"): entry.size for path, entry in found.items()}


def test_what_is_promised_is_what_is_installed(tmp_path: Path) -> None:
    for package in (TOOL, LIB, python()):
        wanted = install(package, tmp_path)
        found = {entry.path for entry in promised(read(package, tmp_path), SCHEME)}
        assert found == {path for path in wanted if "/conda-meta/" not in path}


FILE = debs.file("share/file", b"content")
LISTED = Conda("x", members=(FILE,)).listed()
BAD = {
    "a file that is not listed": Conda("x", members=(FILE, debs.file("share/more")), paths=LISTED),
    "a listed file that is not there": Conda("x", paths=LISTED),
    "a file of another size": Conda("x", members=(FILE,), paths=[{**LISTED[0], "size_in_bytes": 1}]),
    "a file without a hash": Conda("x", members=(FILE,), paths=[{**LISTED[0], "sha256": None}]),
    "a link that is listed as a file": Conda("x", members=(debs.symlink("share/file", "a"),), paths=LISTED),
    "an unknown kind of file": Conda("x", members=(FILE,), paths=[{**LISTED[0], "path_type": "device"}]),
    "an unknown mode": Conda(
        "x", members=(FILE,), paths=[{**LISTED[0], "prefix_placeholder": PLACEHOLDER, "file_mode": "guess"}]
    ),
    "a prefix that is too short": Conda("x", members=(FILE,), paths=[{**LISTED[0], "prefix_placeholder": "/opt"}]),
    "a name that is a path": Conda("../x"),
    "a version that is a path": Conda("x", "1/2"),
    "an entry point that is none": other(TOOL, entry_points=("tool = os; evil",)),
    "two files of one place": other(
        TOOL, members=(debs.file("site-packages/a", b"1"), debs.file("lib/python3.13/site-packages/a", b"2"))
    ),
}


@pytest.mark.parametrize("package", BAD.values(), ids=BAD.keys())
def test_a_package_that_is_not_as_it_says_is_refused(package: Conda, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as raised:
        install(package, tmp_path)
    assert raised.value.code == "IB911"


def test_a_file_that_would_leave_the_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        install(Conda("x", members=(debs.file("../evil"),)), tmp_path)


def test_a_file_with_other_bytes_is_found_when_it_is_read(tmp_path: Path) -> None:
    found = install(Conda("x", members=(FILE,), paths=[{**LISTED[0], "sha256": "0" * 64}]), tmp_path)
    with pytest.raises(IntegrityError) as raised:
        content(found[f"{PREFIX}/share/file"])
    assert raised.value.code == "IB513"


@pytest.mark.parametrize("cut", [10, 200, -1])
@pytest.mark.parametrize("form", [".conda", ".tar.bz2"])
def test_what_is_cut_off_is_refused(form: str, cut: int, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(other(LIB, form=form).content[:cut])
    with pytest.raises(IntegrityError):
        conda_entries(read_conda(tmp_path / "blob"), SCHEME, folder=tmp_path, origin=ORIGIN)


def test_several_streams_of_bzip2_are_one_archive(tmp_path: Path) -> None:
    import bz2

    plain = bz2.decompress(LIB.content)
    (tmp_path / "blob").write_bytes(bz2.compress(plain[:5000]) + bz2.compress(plain[5000:]))
    assert read_conda(tmp_path / "blob").name == "lib"


def test_a_conda_archive_needs_both_of_its_tars(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(condas.archive("x", b"", b"").replace(b"info-x", b"inf0-x"))
    with pytest.raises(IntegrityError) as raised:
        read_conda(tmp_path / "blob")
    assert raised.value.code == "IB911"
