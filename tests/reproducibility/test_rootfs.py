"""Final file systems are compared whatever the layers they are made of."""

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from reproducibility.images import StoredImage
from tests.reproducibility.subjects import causes, diff, file, folder, hardlink, image, layer, symlink, tar

LINKED = hardlink("etc/c", "etc/a")
BASE = (folder("etc"), file("etc/a", "a"), file("etc/b", "b"), folder("opt"), file("opt/x", "x"), file("opt/y", "y"))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (image(BASE), image(BASE[:3], BASE[3:])),
        (image(BASE), image(BASE[3:], BASE[:3])),
        (image(BASE), image(BASE[::-1])),
        (image(BASE), image([file("etc/a", "old", mode=0o600)], BASE)),
        (image(BASE[:3]), image(BASE, [file(".wh.opt")])),
        (image(BASE[:4]), image(BASE, [folder("opt"), file("opt/.wh..wh..opq")])),
        (image([*BASE[:4], file("opt/z")]), image(BASE, [folder("opt"), file("opt/z"), file("opt/.wh..wh..opq")])),
        (image(BASE[:5]), image(BASE, [file("opt/.wh.y")])),
        (image(BASE), image(BASE, [file("opt/.wh.y")], [file("opt/y", "y")])),
        (image([*BASE[:3], file("opt", "f")]), image(BASE, [file("opt", "f")])),
        (image([*BASE[:3], symlink("opt", "etc")]), image(BASE, [symlink("opt", "etc")])),
        (image(BASE[:4]), image([file("opt", "f")], BASE[:4])),
        (image([*BASE, folder("d"), file("d/z")]), image([file("d", "f")], BASE, [folder("d")], [file("d/z")])),
        (image(BASE[:1]), image([file("z")], [*BASE[:1], file(".wh.z")], [file(".wh..wh..opq"), *BASE[:1]])),
        (image([*BASE, LINKED]), image(BASE, [LINKED])),
        (image([*BASE, LINKED]), image([file("etc/c", "a"), hardlink("etc/a", "etc/c")], BASE[:1], BASE[2:])),
        (image([file("c", "a")]), image([file("a", "a")], [hardlink("c", "a")], [file(".wh.a")])),
        (image(BASE), image(layer(tar([replace(item, path=f"./{item.path}") for item in BASE], tarfile.GNU_FORMAT)))),
    ],
    ids=[
        "cut", "layers swapped", "order", "overlaid", "whiteout of a folder", "opaque", "opaque with a new file",
        "whiteout of a file", "deleted and made again", "file over a folder", "link over a folder",
        "folder over a file", "below a replaced file", "opaque root", "hard link across layers",
        "hard link the other way", "hard link that outlives its file", "form of the tar",
    ],
)  # fmt: skip
def test_equal_file_systems_are_the_same_however_they_came_to_be(
    tmp_path: Path, left: StoredImage, right: StoredImage
) -> None:
    assert not diff(tmp_path, left, right).same
    assert causes(diff(tmp_path, left, right, rootfs=True)) == {}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (image(BASE), image(BASE, [file("opt/y", "other")]), {"source": ["opt/y"]}),
        (image(BASE), image(BASE, [file("opt/.wh.y")]), {"file-set": ["opt/y"]}),
        (image(BASE), image(BASE, [folder("opt", mtime=9), file("opt/.wh..wh..opq")]),
         {"mtime": ["opt"], "file-set": ["opt/x", "opt/y"]}),
        (image(BASE), image(BASE, [file("opt")]), {"kind": ["opt"], "file-set": ["opt/x", "opt/y"]}),
        (image([*BASE, hardlink("z", "etc/a")]), image([*BASE, file("z", "a")]), {"hard-link": ["z"]}),
        (image([hardlink("z", "gone")]), image([hardlink("z", "away")]), {"hard-link": ["z"]}),
        (image([hardlink("z", "y"), hardlink("y", "z")]), image([hardlink("z", "y")]), {"file-set": ["y"]}),
    ],
)  # fmt: skip
def test_what_differs_in_the_end_is_told(
    tmp_path: Path, left: StoredImage, right: StoredImage, expected: dict[str, list[str]]
) -> None:
    comparison = diff(tmp_path, left, right, rootfs=True)
    assert causes(comparison) == expected
    assert {(each.part, each.layer) for each in comparison.everything} == {("file", "")}
