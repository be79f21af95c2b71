"""Differences of headers, each injected into one tar and found with its cause."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reproducibility.difference import Difference
from tests.reproducibility.subjects import (
    Item,
    causes,
    diff,
    file,
    folder,
    hardlink,
    image,
    layer,
    of,
    symlink,
    tar,
)

APP = (folder("app"), file("app/a.py", "a = 1\n"), file("app/b.py", "b = 1\n"), symlink("app/l", "a.py"))


def changed(**fields: int | str) -> Callable[[tarfile.TarInfo], object]:
    def change(info: tarfile.TarInfo) -> None:
        for name, value in fields.items():
            setattr(info, name, value)

    return change


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (file("a"), file("a", mtime=86400), ("mtime", "mtime", "1970-01-01T00:00:01Z", "1970-01-02T00:00:00Z")),
        (file("a", mode=0o644), file("a", mode=0o755), ("mode", "mode", "0644", "0755")),
        (file("a", mode=0o4755), file("a", mode=0o755), ("mode", "mode", "4755", "0755")),
        (file("a", mode=0o644), file("a", mode=0o600), ("mode", "umask", "0644", "0600")),
        (folder("a", mode=0o755), folder("a", mode=0o775), ("mode", "umask", "0755", "0775")),
        (file("a"), file("a", change=changed(uid=1000)), ("owner", "owner", "0:0", "1000:0")),
        (file("a"), file("a", change=changed(gname="users")), ("owner name", "owner-name", ":", ":users")),
        (file("a"), folder("a"), ("kind", "kind", "file", "folder")),
        (symlink("a", "x"), symlink("a", "/x"), ("link", "link-target", "x", "/x")),
        (
            Item("a", kind=tarfile.CHRTYPE, change=changed(devmajor=1)),
            Item("a", kind=tarfile.CHRTYPE, change=changed(devmajor=2)),
            ("device", "device", "1:0", "2:0"),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_every_field_of_a_header_has_its_cause(
    tmp_path: Path, left: Item, right: Item, expected: tuple[str, str, str, str]
) -> None:
    comparison = diff(tmp_path, image([left]), image([right]))
    (found,) = [each for each in comparison.everything if each.part == "file"]
    assert (found.path, found.layer) == ("a", "0")
    assert (found.aspect, found.cause, found.left, found.right) == expected


def pax(
    tmp_path: Path, left: dict[str, str], right: dict[str, str], mtimes: tuple[int, int] = (1, 1)
) -> list[Difference]:
    sides = [
        image(layer(tar([file("a", pax=records, mtime=mtime)], tarfile.PAX_FORMAT)))
        for records, mtime in zip((left, right), mtimes, strict=True)
    ]
    return [each for each in diff(tmp_path, *sides).everything if each.part in ("file", "layer")]


def test_attributes_are_compared_one_by_one(tmp_path: Path) -> None:
    name = "SCHILY.xattr.security.capability"
    found = pax(tmp_path, {name: "one", "SCHILY.xattr.user.x": "1"}, {name: "other"})
    assert [(each.aspect, each.cause, each.note, each.left, each.right) for each in found] == [
        ("xattr", "xattr", "SCHILY.xattr.user.x", "1", ""),
        ("xattr", "xattr", name, "one", "other"),
    ]


def test_other_times_of_a_file_are_told_with_its_time(tmp_path: Path) -> None:
    (found,) = pax(tmp_path, {"atime": "5", "ctime": "6"}, {"atime": "7", "ctime": "8"}, (1, 2))
    assert (found.cause, found.left, found.note) == ("mtime", "1970-01-01T00:00:01Z", "and atime, ctime")
    (found,) = pax(tmp_path, {"ctime": "6"}, {"ctime": "8"})
    assert (found.cause, found.left, found.right, found.note) == ("mtime", "6", "8", "ctime")


def test_fractions_and_impossible_times_are_shown(tmp_path: Path) -> None:
    (found,) = pax(tmp_path, {"mtime": "1.5"}, {"mtime": "9" * 18})
    assert (found.left, found.right) == ("1970-01-01T00:00:01.5Z", "9" * 18)


def test_the_umask_is_told_where_it_explains_a_folder_and_not_where_one_file_stands_out(tmp_path: Path) -> None:
    names = [f"app/{number}" for number in range(5)]
    usual = [folder("app"), *(file(name) for name in names), file("bin/x", mode=0o755), file("bin/y", mode=0o755)]
    strict = [folder("app", 0o700), *(file(name, mode=0o600) for name in names), file("bin/x", mode=0o700), *usual[-1:]]
    found = causes(diff(tmp_path, image(usual), image(strict)))
    assert found == {"umask": ["app", *names], "mode": ["bin/x"]}


def test_the_mode_that_one_file_was_given_is_no_umask(tmp_path: Path) -> None:
    secret = [*APP[:2], file("app/b.py", "b = 1\n", mode=0o600), *APP[3:]]
    assert causes(diff(tmp_path, image(APP), image(secret))) == {"mode": ["app/b.py"]}


def test_the_order_is_told_once_with_the_first_place(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(APP), image(APP[::-1]))
    (found,) = [each for each in comparison.everything if each.cause == "order"]
    assert (found.part, found.path, found.left, found.right) == ("layer", "", "app", "app/l")
    assert causes(comparison) == {"order": [""]}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_another_form_of_tar_is_told_once(tmp_path: Path, form: int) -> None:
    comparison = diff(
        tmp_path, image(layer(tar(APP, form), compression="gzip")), image(layer(tar(APP), compression="gzip"))
    )
    found = [each for each in comparison.everything if each.part == "layer"]
    if form == tarfile.GNU_FORMAT:
        assert [(each.cause, each.left, each.right) for each in found] == [("tar-format", "gnu", "ustar")]
        assert causes(comparison) == {"tar-format": [""]}
    else:
        assert comparison.same  # tarfile writes plain headers where nothing needs more


def test_headers_that_differ_in_few_places_are_told_by_those(tmp_path: Path) -> None:
    dotted = [Item(f"./{item.path}", item.content, item.kind, item.link, item.mode) for item in APP]
    (found,) = of(diff(tmp_path, image(APP), image(dotted)), "")
    assert (found.cause, found.left, found.right) == ("tar-format", "leading none", "leading ./")
    assert found.note == "4 entries, the first is app"


def test_a_single_header_that_is_written_otherwise_is_named(tmp_path: Path) -> None:
    odd = [*APP[:1], Item("./app/a.py", APP[1].content), *APP[2:]]
    assert causes(diff(tmp_path, image(APP), image(odd))) == {"tar-format": ["app/a.py"]}


def test_a_form_that_only_another_value_needs_is_not_told(tmp_path: Path) -> None:
    left = [file("a", mtime=1), file("b", change=changed(uid=5))]
    right = [file("a", mtime=1.5), file("b", change=changed(uid=1 << 22))]
    sides = [image(layer(tar(items, tarfile.PAX_FORMAT))) for items in (left, right)]
    assert causes(diff(tmp_path, *sides)) == {"mtime": ["a"], "owner": ["b"]}


def test_padding_and_global_records_are_told(tmp_path: Path) -> None:
    plain = tar(APP)
    (padding,) = of(diff(tmp_path, image(layer(plain)), image(layer(plain + bytes(512)))), "")
    assert (padding.cause, padding.note) == ("tar-format", "what follows the last entry")
    sides = [image(layer(tar(APP, tarfile.PAX_FORMAT, {"comment": text}))) for text in ("one", "two")]
    (comment,) = of(diff(tmp_path, *sides), "")
    assert (comment.cause, comment.left, comment.right) == ("tar-format", "one", "two")


def test_bytes_of_a_header_that_no_reader_looks_at_are_not_missed(tmp_path: Path) -> None:
    plain = bytearray(tar([file("a")]))
    plain[2] = 0x78  # behind the zero that ends the name
    plain[148:156] = b"%06o\0 " % (sum(plain[:512]) - sum(plain[148:156]) + 8 * 0x20)
    (found,) = of(diff(tmp_path, image([file("a")]), image(layer(bytes(plain)))), "")
    assert (found.cause, found.aspect) == ("tar-format", "format")


def test_what_is_there_twice_is_told(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image(APP), image([*APP, APP[1]]))
    (found,) = [each for each in comparison.everything if each.cause == "twice"]
    assert (found.path, found.left, found.right) == ("app/a.py", "1 times", "2 times")
    earlier = [image([file("a", text), file("a", "last")]) for text in ("one", "two")]
    assert causes(diff(tmp_path, *earlier)) == {"source": ["a"]}


def test_a_hard_link_against_a_copy_is_told_and_their_contents_are_compared(tmp_path: Path) -> None:
    copy = [file("a", "same"), file("b", "same")]
    link = [file("a", "same"), hardlink("b", "a")]
    assert causes(diff(tmp_path, image(copy), image(link))) == {"hard-link": ["b"]}
    other = [file("a", "same"), file("b", "else")]
    assert causes(diff(tmp_path, image(other), image(link))) == {"hard-link": ["b"], "source": ["b"]}
    moved = [file("a", "same"), file("b", "same"), hardlink("c", "b")]
    assert causes(diff(tmp_path, image([*copy, hardlink("c", "a")]), image(moved))) == {"hard-link": ["c"]}


def test_hard_links_to_nowhere_and_in_circles_are_compared_by_their_targets(tmp_path: Path) -> None:
    circle = [hardlink("a", "b"), hardlink("b", "a"), hardlink("c", "c"), file("d", "x")]
    other = [hardlink("a", "b"), hardlink("b", "nowhere"), file("c", "x"), hardlink("d", "gone")]
    assert causes(diff(tmp_path, image(circle), image(other))) == {"hard-link": ["b", "c", "d"]}


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("app/__pycache__/a.cpython-313.pyc", "pyc-presence"),
        ("app/a.pyc", "pyc-presence"),
        ("var/log/apt/history.log", "log"),
        ("var/cache/ldconfig/aux-cache", "cache-file"),
        ("root/.cache/pip/x", "cache-file"),
        ("app/only.txt", "file-set"),
        ("app/.wh.gone", "file-set"),
    ],
)
def test_what_one_side_lacks_has_the_cause_of_its_place(tmp_path: Path, path: str, cause: str) -> None:
    comparison = diff(tmp_path, image(APP), image([*APP, file(path, "12345")]))
    assert causes(comparison) == {cause: [path]}
    (found,) = of(comparison, path)
    assert (found.aspect, found.left, found.right, found.size) == ("presence", "", "file", 5)


def test_what_is_another_kind_of_file_is_told_once(tmp_path: Path) -> None:
    comparison = diff(tmp_path, image([file("a", "text", mtime=9)]), image([symlink("a", "b")]))
    assert causes(comparison) == {"kind": ["a"]}


def test_closer_looks_are_few(tmp_path: Path) -> None:
    sides = [image([file(f"app/{number}.py", f"x = {side}\n") for number in range(60)]) for side in (1, 2)]
    found = [each for each in diff(tmp_path, *sides).everything if each.cause == "source"]
    assert len(found) == 60
    assert [each.view is not None for each in found] == [True] * 20 + [False] * 40
