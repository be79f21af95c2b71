"""Inspections: what takes the room in an image, what is wasted, what is installed; and their page."""

import json
from pathlib import Path

import pytest

from imagebuilder import cli, inspection, layout, packages
from imagebuilder.inspection import Inspection
from imagebuilder.reports import image_page
from layers import entry
from layers.blobs import BlobStore
from layers.canonical import encode
from layers.descriptor import INDEX
from layers.entry import Entry
from tests import images
from tests.imagebuilder.test_reports_page import Structure
from tests.reproducibility import subjects
from tests.reproducibility.subjects import Item

METADATA = b"Metadata-Version: 2.4\nName: Flask\nVersion: 3.1.0\nSummary: a\n b: c\n\nVersion: 9\n"
STATUS = b"Package: libc6\nStatus: install ok installed\nInstalled-Size: 100\nVersion: 2.41-12\n\n"
REMOVED = b"Package: gone\nStatus: deinstall ok not-installed\nVersion: 1\n"
SITE = "opt/venv/lib/python3.13/site-packages"


def inspected(folder: Path, *layers: list[Item]) -> Inspection:
    return inspection.inspect(subjects.image(*layers), folder)


def saved(folder: Path, *layers: list[Entry]) -> Path:
    made = images.make(folder / "store", *layers)
    layout.write_layout(made.image, made.store, folder / "shop.oci", names=["latest"])
    return folder / "shop.oci"


def test_files_that_nobody_sees_are_wasted(tmp_path: Path) -> None:
    found = inspected(
        tmp_path,
        [subjects.file("etc/a", b"a" * 100), subjects.file("etc/b", b"b" * 200), subjects.file("var/c", b"c" * 400)],
        [subjects.file("etc/a", b"A" * 50), subjects.file("etc/.wh.b", b"")],
    )
    fates = {(file.layer, file.path): file.fate for file in found.files}
    assert fates == {
        (0, "etc/a"): "overwritten",
        (0, "etc/b"): "deleted",
        (0, "var/c"): "kept",
        (1, "etc/a"): "kept",
    }
    assert found.hidden == 300
    assert found.unpacked == (700, 50)


def test_a_file_that_is_seen_by_its_other_name_is_not_wasted(tmp_path: Path) -> None:
    found = inspected(
        tmp_path,
        [subjects.file("a", b"same" * 100), subjects.hardlink("b", "a")],
        [subjects.file("a", b"other")],
    )
    assert found.hidden == 0


def test_equal_contents_are_found_and_names_of_one_file_are_not(tmp_path: Path) -> None:
    found = inspected(
        tmp_path,
        [subjects.file("a", b"x" * 1000), subjects.file("b", b"x" * 1000), subjects.hardlink("c", "a")],
        [subjects.file("d", b"x" * 1000), subjects.file("e", b"y" * 1000)],
    )
    (copies,) = found.copies
    assert copies.paths == ("a", "b", "d")
    assert found.doubled == 2000


def test_packages_are_those_of_pip_and_dpkg(tmp_path: Path) -> None:
    found = inspected(
        tmp_path,
        [
            subjects.file("var/lib/dpkg/status", STATUS + REMOVED),
            subjects.file("var/lib/dpkg/status.d/tz", b"Package: tzdata\nVersion: 2025b\n"),
        ],
        [
            subjects.file(f"{SITE}/flask-3.1.0.dist-info/METADATA", METADATA),
            subjects.file(f"{SITE}/flask-3.1.0.dist-info/RECORD", b'flask/a.py,sha256=x,40\n"b,c.py",,2\nRECORD,,\n'),
            subjects.file(f"{SITE}/broken-1.dist-info/METADATA", b"\xff\xfe\x00"),
        ],
    )
    listed = [(one.kind, one.name, one.version, one.size) for one in found.packages]
    assert listed == [
        ("debian", "libc6", "2.41-12", 102_400),
        ("debian", "tzdata", "2025b", 0),
        ("python", "Flask", "3.1.0", 42),
    ]


def test_an_image_without_files_has_nothing_in_it() -> None:
    assert packages.read({}) == ()


def test_the_page_of_an_image_is_written_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, [entry.file("etc/a", b"a" * 5000), entry.file("opt/main.py", b"x = 1\n", executable=True)])
    page = tmp_path / "page.html"
    command = ["inspect", str(path), "--html", str(page), "--cache-dir", str(tmp_path / "cache")]
    assert cli.run([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["unpacked_size"] == 5006
    assert [process["type"] for process in document["processes"]] == ["web", "worker"]
    written = page.read_bytes()
    assert cli.run(command) == 0
    assert "unpacked size    5 kB" in capsys.readouterr().out
    assert page.read_bytes() == written
    assert list((tmp_path / "cache" / "scratch").glob("*-*")) == []
    texts = "".join(Structure(written.decode()).texts)
    for expected in ("etc/a", "opt/main.py", "gunicorn app:app", "config.Env"):
        assert expected in texts


def test_a_page_shows_one_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, other = images.small(tmp_path / "1"), images.small(tmp_path / "2", text="other")
    folder = tmp_path / "shop.oci"
    index = layout_of_two(folder, small, other)
    assert cli.run(["inspect", f"{index}", "--html", str(tmp_path / "page.html")]) == 2
    assert "error[IB850]" in capsys.readouterr().err


def layout_of_two(folder: Path, first: images.Made, second: images.Made) -> Path:
    """Write an index that names two images."""
    store = BlobStore(folder)
    for made in (first, second):
        for blob in made.image.blobs:
            store.write(blob.media_type, made.store.open(blob.digest))
    children = [
        {**made.image.manifest.to_json(), "platform": {"os": "linux", "architecture": name}}
        for made, name in ((first, "amd64"), (second, "arm64"))
    ]
    described = store.write_json(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
    (folder / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [described.to_json()]}))
    return folder


def test_names_in_the_page_of_an_image_are_inert(tmp_path: Path) -> None:
    names = ("<img src=x onerror=alert(1)>", "\x1b[2J", "caf\udce9", "</script>", "exe.\u202egpj")
    found = inspected(
        tmp_path, [subjects.file(f"opt/{name}", name.encode("utf-8", "surrogateescape")) for name in names]
    )
    structure = Structure(image_page.html(found).decode())
    assert structure.count("img") == 0
    assert r"opt/exe.\u202egpj" in structure.texts
