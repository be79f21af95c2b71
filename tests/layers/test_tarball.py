"""The strict tar reader: what real writers write is read, what could mislead is refused."""

import io
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import tarball
from layers.entry import Kind
from layers.errors import IntegrityError
from tests import debs
from tests.debs import Member, file, folder, hardlink, symlink

FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}


def read(content: bytes) -> list[tarball.Member]:
    return list(tarball.members(io.BytesIO(content)))


def refused(content: bytes) -> str:
    with pytest.raises(IntegrityError) as caught:
        read(content)
    assert caught.value.code == "IB558"
    return caught.value.message


def with_header(content: bytes, start: int, field: bytes, *, at: int = 0) -> bytes:
    """Change bytes of a header and make its checksum right again."""
    block = bytearray(content[at : at + 512])
    block[start : start + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return content[:at] + bytes(block) + content[at + 512 :]


def pax(*records: tuple[str, str], kind: bytes = b"x") -> bytes:
    """An extended header as another writer could make it."""
    text = b""
    for key, value in records:
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 2
        text += f"{length}".encode() + rest
        assert length < 100
    header = tarfile.TarInfo("pax")
    header.type = kind
    header.size = len(text)
    return header.tobuf(tarfile.USTAR_FORMAT) + text.ljust(-(-len(text) // 512) * 512, b"\0")


@pytest.mark.parametrize("writes", FORMATS.values(), ids=FORMATS)
def test_members_are_read_with_their_facts_and_places(writes: int) -> None:
    content = debs.tar(
        [
            folder("./"),
            folder("./usr/", mode=0o751),
            file("./usr/tool", b"tool", mode=0o755),
            hardlink("./usr/again", "./usr/tool"),
            symlink("./usr/link", "../elsewhere"),
            Member("./home", type=tarfile.DIRTYPE, mode=0o700, uid=65532, gid=7),
        ],
        writes=writes,
    )
    members = {member.path: member for member in read(content)}
    assert list(members) == ["usr", "usr/tool", "usr/again", "usr/link", "home"]
    assert (members["usr"].kind, members["usr"].mode) == (Kind.DIRECTORY, 0o751)
    tool = members["usr/tool"]
    assert (tool.kind, tool.mode, content[tool.offset : tool.offset + tool.size]) == (Kind.FILE, 0o755, b"tool")
    assert (members["usr/again"].kind, members["usr/again"].target) == (Kind.HARDLINK, "usr/tool")
    assert (members["usr/link"].kind, members["usr/link"].target) == (Kind.SYMLINK, "../elsewhere")
    assert (members["home"].uid, members["home"].gid) == (65532, 7)


@pytest.mark.parametrize("writes", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@pytest.mark.parametrize("name", ["a" * 200, "ä" * 90, "folder/" * 40 + "file", "\udcff" + "b" * 120])
def test_long_and_strange_names_come_through(writes: int, name: str) -> None:
    (member, link) = read(debs.tar([file(name, b"x"), symlink("link", name)], writes=writes))
    assert (member.path, link.target) == (name, name)


def test_a_large_user_id_is_read_from_base_256() -> None:
    (member,) = read(debs.tar([Member("file", uid=3_000_000)]))
    assert member.uid == 3_000_000


@given(st.lists(st.binary(max_size=1500), max_size=6), st.integers(1, 2000))
def test_a_stream_that_only_goes_forward_gives_the_same(contents: list[bytes], step: int) -> None:
    packed = debs.tar(file(f"file{number}", content) for number, content in enumerate(contents))
    stream = tarball.Forward(packed[at : at + step] for at in range(0, len(packed), step))
    found = [(member, stream.read(member.size)) for member in tarball.members(stream)]
    assert [content for _, content in found] == contents
    assert [member for member, _ in found] == read(packed)


@given(st.binary(max_size=1200))
def test_garbage_is_refused_and_nothing_else_happens(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        read(content)


@given(st.data())
def test_a_changed_header_is_refused(data: st.DataObject) -> None:
    content = bytearray(debs.tar([file("name", b"content")]))
    at = data.draw(st.integers(0, 511))
    content[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        read(bytes(content))


HOSTILE = {
    "an absolute path": [file("/etc/passwd")],
    "a path that goes up": [file("./../etc/passwd")],
    "a path that goes up in the middle": [file("usr/../../etc/passwd")],
    "an empty part": [file("usr//passwd")],
    "a hard link out": [file("a"), hardlink("b", "../a")],
    "a hard link to an absolute path": [file("a"), hardlink("b", "/etc/shadow")],
    "a hard link to nothing": [hardlink("b", "a"), file("a")],
    "a hard link to a link": [symlink("a", "/etc/shadow"), hardlink("b", "a")],
    "a file below a link": [symlink("a", "/etc"), file("a/passwd")],
    "a folder below a link": [symlink("a", "/etc"), folder("a/cron.d")],
    "a link over a folder": [file("a/b"), symlink("a", "/etc")],
    "a folder over a link": [symlink("a", "/etc"), folder("a")],
    "a file below a file": [file("a"), file("a/b")],
    "a name twice": [file("a", b"1"), file("a", b"2")],
    "a name twice in two spellings": [file("a", b"1"), file("./a", b"2")],
    "a folder twice": [folder("a"), folder("a", mode=0o777)],
    "a character device": [Member("null", type=tarfile.CHRTYPE)],
    "a block device": [Member("disk", type=tarfile.BLKTYPE)],
    "a pipe": [Member("pipe", type=tarfile.FIFOTYPE)],
    "a contiguous file": [Member("old", type=tarfile.CONTTYPE)],
    "a link with a content": [Member("a", b"content", type=tarfile.SYMTYPE, target="b")],
    "a file with the name of a folder": [file("a/")],
    "a name longer than Linux takes": [file("a" * 300)],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_members_are_refused(members: list[Member]) -> None:
    assert refused(debs.tar(members))


GOOD = debs.tar([file("name", b"content")])
FORGED = {
    "cut off in a header": GOOD[:100],
    "cut off in a content": GOOD[:515],
    "cut off before its end": GOOD[:1024],
    "one block of zeros": GOOD[:1024] + bytes(512),
    "something behind the end": GOOD + b"more",
    "something hidden in the padding": GOOD[:2048] + GOOD,
    "nothing at all": b"",
    "a wrong checksum": b"m" + GOOD[1:],
    "a magic of neither kind": with_header(GOOD, 257, b"\0" * 8),
    "a size that is no number": with_header(GOOD, 124, b"0000000000x"),
    "a negative size": with_header(GOOD, 124, b"\xff" * 12),
    "an absurd size": with_header(GOOD, 124, b"\x80" + b"\x7f" * 11),
    "a sparse file": with_header(GOOD, 156, b"S"),
    "a PAX path twice": pax(("path", "a"), ("path", "b")) + GOOD,
    "two PAX headers": pax(("path", "a")) + pax(("path", "b")) + GOOD,
    "a PAX path and a GNU long name": pax(("path", "a")) + debs.tar([file("b" * 150)]),
    "a PAX key that is not understood": pax(("GNU.sparse.map", "0,1")) + GOOD,
    "a PAX size that is no number": pax(("size", "-1")) + GOOD,
    "a PAX size of no length": pax(("size", "")) + GOOD,
    "a PAX path with a NUL": pax(("path", "a\0b")) + GOOD,
    "a PAX path that goes up": pax(("path", "../a")) + GOOD,
    "a PAX record of a wrong length": pax(("path", "a")).replace(b"10 path", b"99 path") + GOOD,
    "a PAX header at the end": pax(("path", "a")) + bytes(1024),
    "a global PAX path": pax(("path", "a"), kind=b"g") + GOOD,
    "a huge extended header": with_header(pax(("path", "a")), 124, b"77777777777\0") + GOOD,
}


@pytest.mark.parametrize("content", FORGED.values(), ids=FORGED)
def test_forged_archives_are_refused(content: bytes) -> None:
    assert refused(content)


def test_the_refusal_names_the_member() -> None:
    assert "'null' is a device" in refused(debs.tar([Member("null", type=tarfile.CHRTYPE)]))


def test_facts_of_the_machine_in_extended_headers_are_passed_over() -> None:
    records = pax(("mtime", "1.5"), ("uname", "me"), ("SCHILY.xattr.user.x", "1"))
    comment = pax(("comment", "of git archive"), kind=b"g")
    assert read(comment + records + GOOD)[0].path == "name"


def test_an_archive_with_endless_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "_MEMBERS_MAX", 3)

    def endless() -> Iterator[bytes]:
        for number in range(10):
            yield debs.tar([file(str(number))])[:512]

    with pytest.raises(IntegrityError, match="more than 3 members"):
        list(tarball.members(tarball.Forward(endless())))
