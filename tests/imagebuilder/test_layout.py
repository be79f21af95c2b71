"""OCI layouts as outputs: whole, added to what is there, and written again only where something changed."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from imagebuilder import layout
from imagebuilder.image import open_image
from layers.blobs import PARTIAL
from layers.errors import IntegrityError, StorageError, UsageError
from tests import images, oci_schemas


def write(made: images.Made, folder: Path, *names: str) -> None:
    layout.write_layout(made.image, made.store, folder, names=names or ("latest",))


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_layout_holds_the_image_and_nothing_else(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    made.store.write("other", [b"not of this image"])
    write(made, tmp_path / "a" / "shop.oci")
    files = {str(path.relative_to(tmp_path / "a/shop.oci")) for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert files == {"index.json", "oci-layout"} | {f"blobs/sha256/{blob.digest.hex}" for blob in made.image.blobs}
    assert open_image(f"oci:{tmp_path}/a/shop.oci:latest").image == made.image
    oci_schemas.check("image-index", (tmp_path / "a/shop.oci/index.json").read_bytes())
    oci_schemas.check("image-layout", (tmp_path / "a/shop.oci/oci-layout").read_bytes())


def test_a_layout_is_as_readable_as_the_umask_says_and_shares_no_file_with_the_cache(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    write(made, tmp_path / "out")
    assert (tmp_path / "out/blobs/sha256").stat().st_mode & 0o777 == 0o777 & ~umask()
    blob = (tmp_path / "out/blobs/sha256" / made.image.config.digest.hex).stat()
    assert blob.st_mode & 0o777 == 0o444
    assert blob.st_nlink == 1


def umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def test_an_unchanged_image_is_not_written_again(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    write(made, tmp_path / "out")
    before = state(tmp_path / "out")
    write(made, tmp_path / "out")
    assert state(tmp_path / "out") == before


def test_all_blobs_have_their_names_for_good_before_the_index_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced = []

    def fsync(descriptor: int) -> None:
        forced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(f"{tmp_path}/out"))

    made = images.small(tmp_path / "store")
    monkeypatch.setattr(os, "fsync", fsync)
    write(made, tmp_path / "out")
    at = forced.index("/blobs/sha256")
    named_as_they_are_written = "/blobs/sha256/" + PARTIAL
    assert sum(path.startswith(named_as_they_are_written) for path in forced[:at]) == len(
        {blob.digest for blob in made.image.blobs}
    )
    assert len(forced[at:]) == len(["the folder of blobs", "index.json", "its folder"])


def test_another_image_is_added_and_one_of_the_same_name_replaced(tmp_path: Path) -> None:
    one, two, three = (images.small(tmp_path / "store", text=text) for text in ("1", "2", "3"))
    write(one, tmp_path / "out", "a", "b")
    write(two, tmp_path / "out", "c")
    write(three, tmp_path / "out", "b")
    found = {name: open_image(f"oci:{tmp_path}/out:{name}").image for name in "abc"}
    assert found == {"a": one.image, "b": three.image, "c": two.image}


def test_what_others_wrote_into_the_index_stays(tmp_path: Path) -> None:
    write(images.small(tmp_path / "store"), tmp_path / "out", "a")
    path = tmp_path / "out" / "index.json"
    index = json.loads(path.read_text())
    foreign = {**index["manifests"][0], "annotations": {"com.example": "x"}, "artifactType": "text/plain"}
    path.write_text(json.dumps({**index, "manifests": [foreign, *index["manifests"]]}, indent=2))
    write(images.small(tmp_path / "store", text="new"), tmp_path / "out", "a")
    after = json.loads(path.read_text())["manifests"]
    assert after[0] == foreign
    assert len(after) == 2


@pytest.mark.parametrize("name", ["notes.txt", ".git", "manifest.json"])
def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    made = images.small(tmp_path / "store")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UsageError, match="is not an OCI layout") as caught:
        write(made, tmp_path / "out")
    assert caught.value.code == "IB653"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    with pytest.raises(UsageError, match="it is a file"):
        write(made, tmp_path / "out" / name)


def test_what_a_killed_build_left_is_finished_or_deleted(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    (tmp_path / "out/blobs/sha256").mkdir(parents=True)
    (tmp_path / "out/.partial-1-0").write_bytes(b"{")
    (tmp_path / "out/blobs/sha256/.partial-1-1").write_bytes(b"half")
    (tmp_path / "out/blobs/sha256" / made.image.config.digest.hex).write_bytes(b"cut")
    write(made, tmp_path / "out")
    assert open_image(str(tmp_path / "out")).image == made.image
    assert not list((tmp_path / "out").rglob(".partial-*"))


def test_a_damaged_blob_of_the_store_is_named_and_nothing_is_announced(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    blob = made.store.path(made.image.layers[0].descriptor.digest)
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="is damaged") as caught:
        write(made, tmp_path / "out")
    assert caught.value.code == "IB503"
    assert not (tmp_path / "out/index.json").exists()


def test_an_index_that_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    write(made, tmp_path / "out")
    (tmp_path / "out/index.json").write_text("{")
    with pytest.raises(IntegrityError) as caught:
        write(made, tmp_path / "out")
    assert caught.value.code == "IB654"
    assert (tmp_path / "out/index.json").read_text() == "{"


def test_builds_that_write_to_one_layout_at_once_lose_nothing(tmp_path: Path) -> None:
    made = [images.small(tmp_path / "store", text=str(number)) for number in range(8)]
    threads = [threading.Thread(target=write, args=(one, tmp_path / "out", f"n{i}")) for i, one in enumerate(made)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [open_image(f"oci:{tmp_path}/out:n{i}").image for i in range(8)] == [one.image for one in made]


def test_a_place_that_cannot_be_written_is_an_error_of_storage(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        write(made, tmp_path / "file" / "out")
    assert caught.value.code == "IB601"


@pytest.mark.tools
def test_skopeo_and_umoci_read_a_layout_with_several_names(tmp_path: Path) -> None:
    made = images.small(tmp_path / "store")
    write(made, tmp_path / "out", "a", "b")
    inspected = subprocess.run(["skopeo", "inspect", f"oci:{tmp_path}/out:b"], capture_output=True, check=True).stdout
    assert json.loads(inspected)["Digest"] == made.image.manifest.digest.value
    listed = subprocess.run(["umoci", "list", "--layout", tmp_path / "out"], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["a", "b"]
