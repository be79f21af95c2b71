"""All files of a stack of layers: what is left of each other, laid out in a folder, and what is refused."""

import gzip
from pathlib import Path

import pytest

from imagebuilder.base import overlay
from imagebuilder.base.overlay import files
from layers.blobs import BlobStore
from layers.descriptor import LAYER_GZIP
from layers.digest import Digest
from layers.entry import Entry, Kind
from layers.errors import IntegrityError
from layers.layer import Layer
from layers.unpack import unpack
from tests import bases
from tests.bases import Content, Link, Special


def stored(folder: Path, *tars: bytes) -> list[Entry]:
    store = BlobStore(folder / "store")
    spools = folder / "spools"
    spools.mkdir()
    layers = [Layer(store.write(LAYER_GZIP, [gzip.compress(tar, mtime=0)]), Digest.of(tar), "a test") for tar in tars]
    return files(layers, store, spools=spools)


def laid_out(folder: Path, *layers: dict[str, Content]) -> Path:
    unpack(stored(folder, *map(bases.tar, layers)), folder / "root", time_s=1)
    return folder / "root"


def listed(root: Path) -> dict[str, str]:
    """Return the text of each file, where each link leads, and nothing for a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = path.read_text() if path.is_file() else ""
    return found


def test_a_layer_replaces_and_deletes_what_is_below_it(tmp_path: Path) -> None:
    below: dict[str, Content] = {
        "etc/kept": b"kept",
        "etc/changed": b"old",
        "etc/deleted": b"",
        "folder/inside": b"",
        "opaque/below": b"",
        "becomes-link/inside": b"",
        "becomes-folder": b"",
        "link": Link("etc"),
        "empty": None,
        "dev/null": Special(),
    }
    above: dict[str, Content] = {
        "etc/changed": b"new",
        "etc/.wh.deleted": b"",
        ".wh.folder": b"",
        "opaque/.wh..wh..opq": b"",
        "opaque/above": b"above",
        "becomes-link": Link("/etc"),
        "becomes-folder": None,
        "becomes-folder/inside": b"inside",
        "link": None,
    }
    assert listed(laid_out(tmp_path, below, above)) == {
        "becomes-folder": "",
        "becomes-folder/inside": "inside",
        "becomes-link": "-> /etc",
        "empty": "",
        "etc": "",
        "etc/changed": "new",
        "etc/kept": "kept",
        "link": "",
        "opaque": "",
        "opaque/above": "above",
    }


def test_names_of_one_file_stay_names_of_one_file_whichever_of_them_are_left(tmp_path: Path) -> None:
    names: dict[str, Content] = {
        "first": b"content",
        "second": Link("first", hard=True),
        "third": Link("second", hard=True),
        "copy": b"content",
    }
    root = laid_out(tmp_path, names, {"first": b"another"})
    assert listed(root) == {"copy": "content", "first": "another", "second": "content", "third": "content"}
    assert (root / "second").samefile(root / "third") and not (root / "second").samefile(root / "copy")


def test_rights_to_run_as_the_owner_are_taken_and_all_may_read(tmp_path: Path) -> None:
    unpack(stored(tmp_path, bases.tar({"su": b""}, mode=0o4711)), tmp_path / "root", time_s=1)
    assert (tmp_path / "root/su").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    ("layers", "code"),
    [
        (({"../outside": b""},), "IB558"),
        (({"/outside": b""},), "IB558"),
        (({"link": Link("/etc"), "link/outside": b""},), "IB558"),
        (({"name": Link("../outside", hard=True)},), "IB558"),
        (({"link": Link("/etc")}, {"link/outside": b""}), "IB865"),
        (({"file": b""}, {"file/below": b""}), "IB865"),
    ],
)
def test_nothing_is_written_outside_or_through_a_link(
    tmp_path: Path, layers: tuple[dict[str, Content], ...], code: str
) -> None:
    with pytest.raises(IntegrityError) as caught:
        laid_out(tmp_path, *layers)
    assert caught.value.code == code
    assert not (tmp_path / "root").exists() and not (tmp_path / "outside").exists()


def test_layers_may_not_unpack_to_much_more_than_they_are_all_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "_ALWAYS_ALLOWED", 3 << 20)
    zeros = [bases.tar({f"zeros{number}": bytes(2 << 20)}) for number in range(2)]
    with pytest.raises(IntegrityError, match="bytes become over") as caught:
        stored(tmp_path, *zeros)
    assert caught.value.code == "IB256"


def test_more_files_than_any_image_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_ENTRIES_MAX", 3)
    with pytest.raises(IntegrityError, match="over 3 files") as caught:
        stored(tmp_path, bases.tar({"a": b"", "b": b""}), bases.tar({"c": b"", "d": b""}))
    assert caught.value.code == "IB256"


def test_a_layer_that_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    tar = bases.tar({"a": b""})
    store = BlobStore(tmp_path / "store")
    layer = Layer(store.write(LAYER_GZIP, [gzip.compress(tar, mtime=0)]), Digest.of(b"another"), "a test")
    with pytest.raises(IntegrityError) as caught:
        files([layer], store, spools=tmp_path)
    assert caught.value.code == "IB656"


def test_folders_are_there_though_nothing_is_in_them(tmp_path: Path) -> None:
    (found,) = stored(tmp_path, bases.tar({"var/lib/empty": None}))
    assert (found.path, found.kind) == ("var/lib/empty", Kind.DIRECTORY)
