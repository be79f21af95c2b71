"""Archives that outsiders wrote to deceive readers: all of accept is read, and nothing else without a stated reason."""

import json
import os
import re
import tomllib
import zlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import zstandard

from imagebuilder.base import overlay
from imagebuilder.base.root import Root
from layers import decompress, tarball, unpack, unzstd
from layers.content import Reader
from layers.descriptor import LAYER_ZSTD, Descriptor
from layers.digest import Digest
from layers.entry import Deflated, Entry, Kind, Stored
from layers.errors import IntegrityError
from layers.layer import Layer
from layers.zip import read_zip
from reproducibility import tars
from tests import debs

CORPORA = Path(__file__).parent / "corpora"
DECIDED = tomllib.loads((CORPORA / "decided.toml").read_text())["decided"]
BREAKOUTS = tomllib.loads((CORPORA / "containerd" / "breakouts.toml").read_text())["case"]
ARCHIVES = sorted(
    path
    for path in CORPORA.rglob("*")
    if path.parent.name in ("accept", "iffy", "malicious", "reject") and path.suffix != ".json"
)

# Contents by name: bytes of a file, None of a folder, the text of a link.
Seen = dict[str, bytes | str | None]


def from_members(path: Path, *, layer: bool) -> Seen:
    content = path.read_bytes()
    with path.open("rb") as file:
        return {
            member.path: _seen(member.kind, member.target, content[member.offset : member.offset + member.size])
            for member in tarball.members(file, layer=layer)
        }


def _seen(kind: Kind, target: str, content: bytes) -> bytes | str | None:
    return {Kind.FILE: content, Kind.DIRECTORY: None}.get(kind, target)


def compared(path: Path) -> Seen:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        listing = tars.read(descriptor, path.stat().st_size)
        found = list(listing.members.values())
        return {
            member.path: os.pread(descriptor, member.size, member.offset)
            if member.meta.kind == "file"
            else member.link or None
            for member in found
        }
    finally:
        os.close(descriptor)


def unzipped(path: Path) -> Seen:
    reader = Reader()
    try:
        return {member.name: b"".join(reader.read(member.content())) for member in read_zip(path)}
    finally:
        reader.close()


def as_layer(path: Path) -> Seen:
    stored = path.read_bytes()
    try:
        plain = zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True).read()
    except zstandard.ZstdError:
        plain = b""
    layer = Layer(Descriptor(LAYER_ZSTD, Digest.of(stored), len(stored)), Digest.of(plain), "tests")
    return {"": b"".join(decompress.tar(layer, [stored]))}


def inflated(path: Path) -> Seen:
    compressed = path.read_bytes()
    try:
        plain = zlib.decompressobj(-15).decompress(compressed)
    except zlib.error:
        plain = b""
    content = Deflated(path, 0, len(compressed), len(plain), zlib.crc32(plain))
    reader = Reader()
    try:
        return {"": b"".join(plain for _, plain in reader.inflate(content))}
    finally:
        reader.close()


READERS: dict[str, tuple[str, Callable[[Path], Seen]]] = {
    "archive": ("tar", lambda path: from_members(path, layer=False)),
    "layer": ("tar", lambda path: from_members(path, layer=True)),
    "comparison": ("tar", compared),
    "zip": ("zip whl", unzipped),
    "zstd": ("zst", lambda path: {"": b"".join(unzstd.plain([path.read_bytes()]))}),
    "zstd-layer": ("zst", as_layer),
    "deflate": ("deflate", inflated),
}
CASES = [
    (reader, str(path.relative_to(CORPORA)))
    for reader, (suffixes, _) in READERS.items()
    for path in ARCHIVES
    if path.suffix[1:] in suffixes.split()
]
# Its .json forbids what accept/pax_extended_header.tar is an example of.
OUR_READING = ("malo/tar/iffy/pax_path_nonzero_fixed.tar",)
BY_FOLDER = {"accept": "read", "malicious": "refused", "reject": "refused"}


def decisions(reader: str, name: str) -> list[str]:
    return [
        one["outcome"]
        for one in DECIDED
        if reader in one["readers"] and any(fnmatchcase(name, pattern) for pattern in one["files"])
    ]


def test_the_corpora_are_whole() -> None:
    counts = {folder: sum(folder in str(path) for path in ARCHIVES) for folder in ("/tar/", "/zip/", "/zstd/")}
    assert counts == {"/tar/": 52 + 49, "/zip/": 79, "/zstd/": 67}
    assert len([path for path in ARCHIVES if "warehouse" in path.parts]) == 45
    assert len([path for path in ARCHIVES if path.suffix == ".deflate"]) == 23
    assert len(BREAKOUTS) == 34


def test_every_decision_has_a_reason_and_decides_something() -> None:
    for one in DECIDED:
        assert len(one["why"]) > 20
        for reader in one["readers"]:
            for pattern in one["files"]:
                found = [name for of, name in CASES if of == reader and fnmatchcase(name, pattern)]
                assert found, f"{pattern} is no file for {reader}"
                assert all(BY_FOLDER.get(name.split("/")[-2]) != one["outcome"] for name in found), pattern


def test_what_one_corpus_accepts_is_refused_only_where_another_one_refuses_the_same() -> None:
    refused = {_undated(path) for path in ARCHIVES if path.parent.name in ("malicious", "reject")}
    ours = [(reader, name) for reader, name in CASES if "/accept/" in name and "refused" in decisions(reader, name)]
    assert len(ours) == 4
    assert [name for _, name in ours if _undated(CORPORA / name) not in refused] == []


def _undated(path: Path) -> bytes:
    """A zip without the date of its members, 1980-01-01 or none."""
    return path.read_bytes().replace(b"\x00\x00\x21\x00", bytes(4))


@pytest.mark.parametrize(("reader", "name"), CASES)
def test_an_archive_is_read_or_refused_as_decided(
    reader: str, name: str, record_property: Callable[[str, object], None]
) -> None:
    path = CORPORA / name
    expected = decisions(reader, name) or [BY_FOLDER[path.parent.name]]
    assert len(set(expected)) == 1
    record_property("decided", expected[0])
    try:
        seen = READERS[reader][1](path)
    except IntegrityError:
        assert expected[0] == "refused"
        return
    assert expected[0] == "read"
    if name not in OUR_READING:
        _check_against_its_authors(path.with_suffix(".json"), seen)


def _check_against_its_authors(path: Path, seen: Seen) -> None:
    """What a reader that reads the archive at all has to see, and what it must not see."""
    said = json.loads(path.read_text()) if path.exists() else {}
    sizes: dict[str, list[int | None]] = {}
    for member in said.get("expected", []) + said.get("vulnerable_when_not", []):
        sizes.setdefault(member["member"].rstrip("/"), []).append(member.get("size"))
    for name, possible in sizes.items():
        content = seen[name]
        assert possible[0] is None or (isinstance(content, bytes) and len(content) in possible)
    assert {member["member"] for member in said.get("vulnerable_when", [])} & seen.keys() == set()


def _members(lines: list[str]) -> Iterator[debs.Member]:
    for line in lines:
        kind, _, rest = line.partition(" ")
        name, _, value = rest.partition(" = " if kind == "file" else " -> ")
        match kind:
            case "dir":
                yield debs.folder(name)
            case "file":
                yield debs.file(name.removesuffix(" ="), value.encode())
            case "symlink":
                yield debs.symlink(name, value)
            case _:
                yield debs.hardlink(name, value)


def _relative(lines: list[str]) -> list[str]:
    """The same without the slashes before names, for which alone a layer is refused; the texts of symlinks stay."""
    stripped = (re.sub(r"^(\w+) /", r"\1 ", line) for line in lines)
    return [line.replace("-> /", "-> ") if line.startswith("link ") else line for line in stripped]


@pytest.mark.parametrize("case", BREAKOUTS, ids=lambda case: case["name"])
def test_no_layer_breaks_out(case: dict[str, Any], tmp_path: Path) -> None:
    below, layer = case.get("below", []), case["layer"]
    if layer != _relative(layer):
        with pytest.raises(IntegrityError):
            overlay.lay(Root(), [debs.tar(_members(layer))], lambda _: bytes)
    root = Root()
    overlay.lay(root, [debs.tar(_members(_relative(below)))], lambda _: bytes)
    tar = debs.tar(_members(_relative(layer)))
    if case["outcome"] == "refused":
        with pytest.raises(IntegrityError) as caught:
            overlay.lay(root, [tar], lambda _: bytes)
        assert caught.value.code == "IB558"
        return
    overlay.lay(root, [tar], lambda _: bytes)
    files = {path: entry.content for path, entry in root.entries.items() if entry.kind is Kind.FILE}
    assert files == {path: content.encode() for path, content in case["files"].items()}
    _unpacks_only_below(tar, tmp_path)


def _unpacks_only_below(tar: bytes, folder: Path) -> None:
    """Links that lead to the root of this machine lead to `outside` instead, should anything follow them."""
    spool = folder / "spool"
    spool.write_bytes(tar)
    outside = folder / "outside"
    (outside / "etc").mkdir(parents=True)
    entries = []
    for member in tarball.members(tarball.Forward([tar]), layer=True):
        target = f"{outside}{member.target}" if member.target.startswith("/") else member.target
        content = Stored(spool, member.offset, member.size) if member.size else b""
        if ".wh." not in member.path:
            entries.append(Entry(member.path, member.kind, 0o644, content=content, target=target))
    unpack.unpack(entries, folder / "inside", time_s=0)
    assert sorted(path.name for path in folder.iterdir()) == ["inside", "outside", "spool"]
    assert [path.name for path in outside.rglob("*")] == ["etc"]
