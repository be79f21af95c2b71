"""Builds small real Debian packages: an ar archive with compressed tars, the same bytes every time."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import zstandard

COMPRESSORS = {
    "": bytes,
    ".xz": lzma.compress,
    ".gz": lambda plain: gzip.compress(plain, mtime=0),
    ".zst": zstandard.ZstdCompressor().compress,
}


@dataclass(frozen=True)
class Member:
    """A member of a tar; `type` is a constant of tarfile."""

    name: str
    content: bytes = b""
    type: bytes = tarfile.REGTYPE
    mode: int = 0o644
    target: str = ""
    uid: int = 0
    gid: int = 0


def file(name: str, content: bytes = b"", *, mode: int = 0o644) -> Member:
    return Member(name, content, mode=mode)


def folder(name: str, *, mode: int = 0o755) -> Member:
    return Member(name, type=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Member:
    return Member(name, type=tarfile.SYMTYPE, mode=0o777, target=target)


def hardlink(name: str, target: str) -> Member:
    return Member(name, type=tarfile.LNKTYPE, target=target)


def tar(members: Iterable[Member], *, writes: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=writes) as archive:
        for member in members:
            header = tarfile.TarInfo(member.name)
            header.type = member.type
            header.mode = member.mode
            header.uid = member.uid
            header.gid = member.gid
            header.linkname = member.target
            header.size = len(member.content)
            archive.addfile(header, io.BytesIO(member.content))
    return out.getvalue()


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out


@dataclass(frozen=True)
class Package:
    """A package and the fields that describe it in an index."""

    name: str
    content: bytes
    version: str = "1.0-1"
    architecture: str = "amd64"
    depends: str = ""
    provides: str = ""
    files: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version.rpartition(':')[2]}_{self.architecture}.deb"


def package(
    name: str,
    *members: Member,
    version: str = "1.0-1",
    architecture: str = "amd64",
    depends: str = "",
    provides: str = "",
    postinst: str = "",
    compression: str = ".xz",
) -> Package:
    control = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nDescription: a test\n"
    control_files = [file("./control", control.encode()), file("./md5sums", _md5sums(members))]
    if postinst:
        control_files.append(file("./postinst", postinst.encode(), mode=0o755))
    compress = COMPRESSORS[compression]
    content = ar(
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{compression}", compress(tar(control_files))),
            (f"data.tar{compression}", compress(tar([folder("./"), *members]))),
        ]
    )
    files = tuple(member.name.removeprefix("./") for member in members if member.type != tarfile.DIRTYPE)
    return Package(name, content, version, architecture, depends, provides, files)


def _md5sums(members: Iterable[Member]) -> bytes:
    lines = [f"{'0' * 32}  {member.name.removeprefix('./')}\n" for member in members if member.type == tarfile.REGTYPE]
    return "".join(lines).encode()


def shared_object(soname: str, *, machine: int = 62, padding: int = 0, needed: Sequence[str] = ()) -> bytes:
    """A shared library with nothing in it but its name and those it needs (ELF, 64 bits, little endian)."""
    strings = b"\0" + soname.encode() + b"\0"
    asked = []
    for name in needed:
        asked.append((1, len(strings)))
        strings += name.encode() + b"\0"
    table = 64 + 2 * 56
    dynamic_at = table + len(strings) + -len(strings) % 16
    entries = [*asked, (5, table), *([(14, 1)] if soname else []), (0, 0)]
    dynamic = b"".join(tag.to_bytes(8, "little") + value.to_bytes(8, "little") for tag, value in entries)
    size = dynamic_at + len(dynamic)

    def numbers(*pairs: tuple[int, int]) -> bytes:
        return b"".join(value.to_bytes(width, "little") for value, width in pairs)

    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += numbers((3, 2), (machine, 2), (1, 4), (0, 8), (64, 8), (0, 8), (0, 4), (64, 2), (56, 2), (2, 2))
    header += bytes(6)
    load = numbers((1, 4), (5, 4), (0, 8), (0, 8), (0, 8), (size, 8), (size, 8), (4096, 8))
    dynamic_header = numbers((2, 4), (6, 4), *[(dynamic_at, 8)] * 3, *[(len(dynamic), 8)] * 2, (8, 8))
    return (header + load + dynamic_header + strings).ljust(dynamic_at, b"\0") + dynamic + bytes(padding)
