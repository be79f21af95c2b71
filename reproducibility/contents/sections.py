"""Sections of a program or library: what an ELF file is made of (System V ABI, chapters 4 and 5; gABI, 2024).

Both widths and byte orders are read. What lies outside of a file or is too large is not there.
"""

import struct
import zlib  # noqa: TID251 debug information may be compressed
from collections.abc import Mapping

from layers.values import dataclass
from reproducibility.content import Content

# Larger than those of Chromium.
_SECTIONS_MAX = 20_000
_NAMES_MAX = 4 << 20
_DYNAMIC_MAX = 64 << 10
_STRING_MAX = 4096
_NAME_MAX = 200
_PLAIN_MAX = 16 << 20

_NOTE, _NO_BITS, _DYNAMIC = 7, 8, 6
_EXECUTABLE, _COMPRESSED = 0x4, 0x800
_EXTENDED = 0xFFFF
_ZLIB = 1
_TAGS = {15: "RPATH", 29: "RUNPATH"}

_WIDTHS = {1: 32, 2: 64}
_ORDERS = {1: "<", 2: ">"}
_KINDS = {1: "object", 2: "program", 3: "shared object", 4: "core dump"}
_MACHINES = {3: "x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "s390", 40: "ARM", 62: "x86-64", 183: "aarch64",
             243: "RISC-V", 258: "LoongArch"}  # fmt: skip
_DAMAGED = (struct.error, IndexError, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Section:
    """A section. One without bytes in the file (.bss) has an empty `content`; `size` is that in memory."""

    name: str
    kind: int
    flags: int
    size: int
    link: int
    content: Content

    @property
    def executable(self) -> bool:
        """Whether it holds machine code."""
        return bool(self.flags & _EXECUTABLE)


@dataclass(frozen=True, slots=True)
class Elf:
    """A program or library. `head` says for which machine and of which kind it is."""

    width: int
    order: str
    head: str
    sections: tuple[Section, ...]

    def named(self, name: str) -> Section | None:
        """Return the first section of a name."""
        return next((section for section in self.sections if section.name == name), None)


def read(content: Content) -> Elf | None:
    """Return the sections of an ELF file; None if it is none, has none, or is damaged."""
    magic = content.read(0, 6)
    if len(magic) < 6 or not magic.startswith(b"\x7fELF"):
        return None
    width, order = _WIDTHS.get(magic[4], 0), _ORDERS.get(magic[5], "")
    if not width or not order:
        return None
    try:
        return _read(content, width, order)
    except _DAMAGED:
        return None


def _read(content: Content, width: int, order: str) -> Elf | None:
    layout = order + ("HHIQQQIHHHHHH" if width == 64 else "HHIIIIIHHHHHH")
    kind, machine, _, _, _, table, _, _, _, _, entry_size, count, names = struct.unpack(
        layout, content.read(16, struct.calcsize(layout))
    )
    entry = struct.Struct(order + ("IIQQQQIIQQ" if width == 64 else "10I"))
    if not table or entry_size != entry.size:
        return None
    first = entry.unpack(content.read(table, entry.size))
    # More than a 16-bit field can say stands in the first section, which is otherwise empty.
    count = count or first[5]
    names = first[6] if names == _EXTENDED else names
    if count > _SECTIONS_MAX:
        return None
    headers = list(entry.iter_unpack(content.read(table, entry.size * count)))
    strings = _within(content, headers[names][4], min(headers[names][5], _NAMES_MAX)).read()
    sections = tuple(
        Section(
            _string(strings, header[0])[:_NAME_MAX], header[1], header[2], header[5], header[6],
            _within(content, header[4], 0 if header[1] == _NO_BITS else header[5]),
        )
        for header in headers[1:]
    )  # fmt: skip
    # Sections do not overlap; hostile ones may, so that comparing them would take forever.
    if sum(section.content.size for section in sections) > content.size:
        return None
    word = _MACHINES.get(machine, f"machine {machine}")
    ends = "little" if order == "<" else "big"
    return Elf(width, order, f"{word}, {width} bits, {ends}-endian, {_KINDS.get(kind, f'kind {kind}')}", sections)


def _within(content: Content, start: int, size: int) -> Content:
    """Return a part of a content, cut at its end."""
    start = min(start, content.size)
    return Content(content.descriptor, content.offset + start, min(size, content.size - start))


def _string(strings: bytes, start: int) -> str:
    end = strings.find(b"\0", start, start + _STRING_MAX)
    found = strings[start : end if end >= 0 else start + _STRING_MAX]
    return found.decode("utf-8", "surrogateescape")


def search_paths(elf: Elf) -> Mapping[str, str]:
    """Return where the dynamic linker looks for libraries: RPATH and RUNPATH, as far as there are any."""
    section = next((section for section in elf.sections if section.kind == _DYNAMIC), None)
    if section is None or not 0 < section.link <= len(elf.sections):
        return {}
    strings = elf.sections[section.link - 1].content
    entry = struct.Struct(elf.order + ("qQ" if elf.width == 64 else "iI"))
    table = section.content.read(0, _DYNAMIC_MAX)
    found: dict[str, str] = {}
    for tag, value in entry.iter_unpack(table[: len(table) // entry.size * entry.size]):
        if tag in _TAGS and value < strings.size:
            found.setdefault(_TAGS[tag], _string(strings.read(value, _STRING_MAX), 0))
    return found


def note(elf: Elf, name: str) -> str:
    """Return the value of the note in a section, in hexadecimal; empty if there is none."""
    section = elf.named(name)
    if section is None or section.kind != _NOTE:
        return ""
    content = section.content.read(0, _STRING_MAX)
    if len(content) < 12:
        return ""
    name_size, size, _ = struct.unpack_from(f"{elf.order}III", content)
    start = 12 + (name_size + 3) // 4 * 4
    return content[start : start + size].hex()


def plain(elf: Elf, section: Section, most: int = _PLAIN_MAX) -> bytes:
    """Return the bytes of a section, inflated if they are compressed by zlib, and cut if they are too many."""
    content = section.content.read(0, most)
    if not section.flags & _COMPRESSED:
        return content
    head = struct.Struct(elf.order + ("IIQQ" if elf.width == 64 else "III"))
    try:
        if head.unpack_from(content)[0] != _ZLIB:
            return content
        return zlib.decompressobj().decompress(content[head.size :], most)
    except (struct.error, zlib.error):
        return content
