"""Archives and compressed files: why they differ, and what differs inside them."""

import gzip
import io
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reproducibility.contents import archives, gzips
from reproducibility.difference import Difference, Known
from reproducibility.explain import explain
from tests.reproducibility.pairs import content, mirrored

FILES = {"META-INF/MANIFEST.MF": b"Built-By: me\n", "a/code.txt": b"hello " * 100, "z.txt": b"last\n"}
DAY = (2024, 5, 6, 7, 8, 10)

Explain = Callable[..., tuple[Difference, ...] | None]


def zipped(
    files: Mapping[str, bytes] = FILES,
    *,
    day: tuple[int, ...] = DAY,
    mode: int = 0o644,
    level: int = 6,
    method: int = zipfile.ZIP_DEFLATED,
    prefix: bytes = b"",
) -> bytes:
    file = io.BytesIO(prefix)
    file.seek(len(prefix))
    with zipfile.ZipFile(file, "a" if prefix else "w", method, compresslevel=level) as archive:
        for name, value in files.items():
            member = zipfile.ZipInfo(name, day)  # type: ignore[arg-type]  # it is a tuple of six
            member.external_attr = mode << 16
            member.compress_type = method
            archive.writestr(member, value, method, level)
    return file.getvalue()


def tarred(files: Mapping[str, bytes] = FILES, *, day: int = 0, form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, value in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(value), day
            archive.addfile(member, io.BytesIO(value))
    return file.getvalue()


def run(kind: Explain, left: bytes, right: bytes, *, path: str, views: bool) -> tuple[Difference, ...] | None:
    with content(left) as here, content(right) as there:
        return kind(path, here, there, known=Known(), views=views)


def found(left: bytes, right: bytes, *, path: str = "opt/app.jar", views: bool = False) -> tuple[Difference, ...]:
    differences = run(archives.differences, left, right, path=path, views=views)
    assert differences is not None
    return differences


def summary(differences: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [(one.path.partition("!/")[2], one.cause) for one in differences]


def causes(left: bytes, right: bytes, path: str = "opt/app.jar") -> list[tuple[str, str]]:
    differences = found(left, right, path=path)
    assert mirrored(differences) == found(right, left, path=path)
    return summary(differences)


def test_times_of_members_are_found_and_said() -> None:
    (one,) = found(zipped(), zipped(day=(2025, 1, 2, 3, 4, 6)))
    assert (one.cause, one.left, one.right) == ("zip-time", "2024-05-06 07:08:10", "2025-01-02 03:04:06")
    assert one.note == "time (3), local header (3)"


def test_modes_of_members_are_found() -> None:
    (one,) = found(zipped(), zipped(mode=0o600))
    assert (one.cause, one.note) == ("zip-time", "attributes (3)")


def test_the_order_of_members_is_found() -> None:
    (one,) = found(zipped(), zipped(dict(reversed(FILES.items()))))
    assert (one.cause, one.note) == ("zip-time", "order")


def test_another_compressor_is_found() -> None:
    (one,) = found(zipped(level=1), zipped(level=9))
    assert (one.cause, one.note) == ("compressor", "1 of 3 members are compressed otherwise")


def test_another_method_is_found() -> None:
    assert ("", "compressor") in causes(zipped(), zipped(method=zipfile.ZIP_STORED))


def test_members_that_differ_have_differences_of_their_own() -> None:
    left, right = zipped(), zipped({**FILES, "z.txt": b"first\n", "META-INF/MANIFEST.MF": b"Built-By: you\n"})
    differences = found(left, right)
    assert [one.path for one in differences] == [
        "opt/app.jar", "opt/app.jar!/META-INF/MANIFEST.MF", "opt/app.jar!/z.txt",
    ]  # fmt: skip
    assert (differences[0].cause, differences[0].follows) == ("archive-content", True)
    assert differences[0].note == "META-INF/MANIFEST.MF, z.txt"


def test_members_of_one_side_are_found() -> None:
    left, right = zipped(), zipped({**FILES, "more.txt": b"more", "a/x.pyc": b""})
    differences = found(left, right)
    assert summary(differences)[1:] == [("a/x.pyc", "pyc-presence"), ("more.txt", "file-set")]
    assert (differences[2].aspect, differences[2].left, differences[2].right) == ("presence", "", "4 bytes")


def test_archives_in_archives_are_opened_but_not_endlessly() -> None:
    left, right = b"one\n", b"two\n"
    for name in ("x.txt", "a.zip", "b.zip", "c.zip"):
        left, right = zipped({name: left}), zipped({name: right})
    differences = found(left, right, path="d.zip")
    assert [one.path for one in differences] == ["d.zip", "d.zip!/c.zip", "d.zip!/c.zip!/b.zip"]
    assert differences[-1].note == "it lies inside of 2 archives and is not opened"


def test_compressed_files_in_archives_are_opened_but_not_endlessly() -> None:
    left, right = b"one\n", b"two\n"
    for _ in range(4):
        left, right = (gzip.compress(value, mtime=0) for value in (left, right))
    differences = run(gzips.differences, left, right, path="x.gz", views=False) or ()
    assert [one.path for one in differences] == ["x.gz", "x.gz!/", "x.gz!/!/"]
    assert {one.cause for one in differences} == {"archive-content"}


def test_the_interpreter_in_front_of_an_archive_is_found() -> None:
    left, right = zipped(prefix=b"#!/tmp/one/python\n"), zipped(prefix=b"#!/tmp/other/python\n")
    with content(left) as here, content(right) as there:
        (one,) = explain("app.pyz", here, there, known=Known(), views=False)
    assert (one.cause, one.left, one.right) == ("shebang", "#!/tmp/one/python", "#!/tmp/other/python")


def test_bytes_between_members_are_found() -> None:
    sound = zipped()
    (one,) = found(sound, sound[:-2] + b"\x03\x00end")
    assert one.note == f"bytes between its members, from byte {len(sound) - 2} on"


def test_members_too_large_are_not_unpacked() -> None:
    left, right = (zipped({"big": byte * (9 << 20), "small": byte}) for byte in (b"a", b"b"))
    differences = found(left, right)
    assert ("big", "archive-content") in summary(differences)
    assert "could not be unpacked" in next(one.note for one in differences if one.path.endswith("big"))


def test_what_is_unpacked_is_limited_in_all() -> None:
    left, right = (zipped({f"{place:02}": byte * (1 << 20) for place in range(30)}) for byte in (b"a", b"b"))
    start = time.process_time()
    notes = [one.note for one in found(left, right)[1:]]
    assert len(notes) == 30
    assert sum("could not be unpacked" in note for note in notes) > 20
    assert time.process_time() - start < 5


def test_the_fields_name_members_and_what_differs() -> None:
    differences = found(zipped(), zipped({**FILES, "z.txt": b"x"}, mode=0o600), views=True)
    assert differences[0].view is not None
    assert "z.txt (attributes)\t0x1a40000\t0x1800000" in differences[0].view.lines
    assert all(line.count("\t") == 2 for line in differences[0].view.lines)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tars_are_compared_alike(form: int) -> None:
    (one,) = found(tarred(form=form), tarred(form=form, day=60), path="x.tar")
    assert (one.cause, one.left, one.right, one.note) == (
        "zip-time", "1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z", "time (3)",
    )  # fmt: skip
    assert causes(tarred(), tarred({**FILES, "z.txt": b"first\n"}), "x.tar")[0] == ("", "archive-content")


def test_what_gzip_files_hold_is_compared() -> None:
    left, right = (gzip.compress(value, mtime=0) for value in (b"one\n", b"two\n"))
    differences = run(gzips.differences, left, right, path="x.gz", views=False)
    assert differences is not None
    assert [one.path for one in differences] == ["x.gz", "x.gz!/"]
    assert (differences[0].cause, differences[0].follows) == ("archive-content", True)


def test_what_compressed_tars_hold_is_compared() -> None:
    left, right = (gzip.compress(tarred({"a/b.txt": value}), mtime=0) for value in (b"one\n", b"two\n"))
    differences = run(gzips.differences, left, right, path="x.tar.gz", views=False)
    assert differences is not None
    assert [one.path for one in differences] == ["x.tar.gz", "x.tar.gz!/", "x.tar.gz!/a/b.txt"]


def named(value: bytes, name: str, when: int) -> bytes:
    file = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=file, mtime=when) as stream:
        stream.write(value)
    return file.getvalue()


def test_headers_of_gzip_files_are_compared() -> None:
    left, right = named(b"same", "one", 0), named(b"same", "other", 1_700_000_000)
    differences = run(gzips.differences, left, right, path="x.gz", views=True)
    assert differences is not None
    (one,) = differences
    assert (one.cause, one.left, one.right, one.note) == ("gzip-header", "none", "2023-11-14T22:13:20Z", "time, name")
    assert one.view is not None
    assert "name\tone\tother" in one.view.lines


def test_another_compressor_of_gzip_files_is_found() -> None:
    left, right = (bytes(8) + gzip.compress(b"some text " * 99, level, mtime=0)[8:] for level in (1, 9))
    left, right = (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + one[10:] for one in (left, right))
    differences = run(gzips.differences, left, right, path="x.gz", views=False)
    assert [one.cause for one in differences or ()] == ["compressor"]


def test_members_of_gzip_files_follow_each_other() -> None:
    left, right = (gzip.compress(b"same", mtime=0) + gzip.compress(value, mtime=0) for value in (b"one", b"two"))
    differences = run(gzips.differences, left, right, path="x.gz", views=False)
    assert [one.path for one in differences or ()] == ["x.gz", "x.gz!/"]


def test_bombs_are_not_unpacked() -> None:
    left, right = (gzip.compress(bytes(64 << 20) + byte, mtime=0) for byte in (b"a", b"b"))
    start = time.process_time()
    differences = run(gzips.differences, left, right, path="x.gz", views=False)
    assert [one.note for one in differences or ()] == ["behind what was looked into"]
    assert time.process_time() - start < 2


def bomb(members: int) -> bytes:
    """Return a zip archive whose members all lie over each other."""
    deflated = zlib.compress(bytes(1 << 20), 9)[2:-4]
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, 0, len(deflated), 1 << 20, 1, 0) + b"a"
    central = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 33, 0, len(deflated), 1 << 20, 4, 0, 0, 0, 0, 0, 0)
        + f"{place:04}".encode()
        for place in range(members)
    )
    body = local + deflated
    return body + central + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, members, members, len(central), len(body), 0)


def test_members_that_lie_over_each_other_are_not_read_forever() -> None:
    assert run(archives.differences, bomb(1), zipped(), path="x.zip", views=False) is not None
    assert run(archives.differences, bomb(5000), zipped(), path="x.zip", views=False) is None


@pytest.mark.parametrize("kind", [archives.differences, gzips.differences])
@pytest.mark.parametrize("other", [b"", b"PK", b"PK\5\6", b"\x1f\x8b", b"\x1f\x8b\x08" + bytes(30), bytes(600)])
def test_other_files_are_none(kind: Explain, other: bytes) -> None:
    for sound in (zipped(), tarred(), gzip.compress(b"x")):
        assert run(kind, sound, other, path="x", views=False) is None
        assert run(kind, other, sound, path="x", views=False) is None


SOUND = (
    (archives.differences, zipped()),
    (archives.differences, tarred()),
    (gzips.differences, named(b"text " * 99, "name", 5)),
)


@settings(max_examples=300, deadline=2000)
@given(st.sampled_from(SOUND), st.data(), st.binary(max_size=30))
def test_no_bytes_are_an_error(sound: tuple[Explain, bytes], data: st.DataObject, damage: bytes) -> None:
    kind, left = sound
    at = data.draw(st.integers(0, len(left)))
    right = left[:at] + damage + left[at + data.draw(st.sampled_from((0, len(damage)))) :]
    differences = run(kind, left, right, path="x", views=True)
    assert differences is None or differences or left == right


def test_many_members_are_compared_in_time() -> None:
    files = {f"package/module_{place}.py": b"x" for place in range(10_000)}
    left, right = zipped(files), zipped(files, day=(2025, 1, 2, 3, 4, 6))
    start = time.process_time()
    assert [one.cause for one in found(left, right)] == ["zip-time"]
    assert time.process_time() - start < 3  # a tenth of that on an idle machine
