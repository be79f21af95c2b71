"""Zip archives: the one strict reader (PKWARE APPNOTE 6.3.10), so that no two tools can see two different archives.

The members must tile the file: from its first byte, each behind the one before, up to the central directory, which
ends at the end record, which ends the file. What the central directory says of a member its local header says too.
Nothing is inflated here; a member is a place in the file and what its content must turn out to be.
"""

import os
import stat
import struct
from pathlib import Path

from layers.entry import Checksum, Content, Deflated, Stored
from layers.errors import IntegrityError
from layers.expression import expression
from layers.values import dataclass

# More than ten times the members of the largest wheels.
_MEMBERS = 250_000
_DIRECTORY_SIZE = 128 << 20
# The package index refuses archives that inflate to more than 64 MiB and 50 times their size.
_RATIO_FROM = 64 << 20
_RATIO = 50
# Headers of small members lie close to each other: so much is read at a time. Each read gives other threads their turn.
_WINDOW = 32 << 10

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")

_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 1 << 0, 1 << 3, 1 << 11
# Bits 1 and 2 tell how hard the compressor tried.
_KNOWN_FLAGS = _DESCRIPTOR | _UTF8 | 0b110
_ZIP64_FIELD = 0x0001
_UNICODE_PATH_FIELD = 0x7075
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF
_CONTROL = expression(r"[\x00-\x1f\x7f-\x9f\\]")
_NO_NAMES = frozenset(("", ".", ".."))


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: its name, whether a Unix packer marked it executable, and where its bytes are."""

    archive: Path
    name: str
    executable: bool
    deflated: bool
    offset: int
    compressed_size: int
    size: int
    crc32: int

    def content(self, checksum: Checksum | None = None) -> Content:
        """Return the content for an entry; `checksum` is checked in addition to the archive's own CRC-32."""
        if self.deflated:
            return Deflated(
                self.archive, self.offset, self.compressed_size, self.size, self.crc32, checksum, name=self.name
            )
        return Stored(self.archive, self.offset, self.size, self.crc32, checksum, name=self.name)


@dataclass(frozen=True, slots=True)
class _Record:
    """What the central directory says of a member."""

    name: bytes
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    mode: int
    offset: int


def read_zip(path: Path) -> tuple[Member, ...]:
    """Return the files of an archive in the order of its central directory, without directories.

    Raises IntegrityError IB510 for everything that could be read in two ways or that no honest wheel has: encryption,
    other methods, duplicates, overlaps, bytes before, between or after, unsafe names, links, devices, bombs.
    """
    with path.open("rb", buffering=0) as file:
        return _Archive(path, file.fileno(), os.fstat(file.fileno()).st_size).members()


class _Archive:
    """An open archive of `size` bytes."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self._descriptor = descriptor
        self._window = (0, b"")

    def members(self) -> tuple[Member, ...]:
        count, start, size = self._find_directory()
        records = self._read_directory(count, start, size)
        names = {record.name.rstrip(b"/") for record in records}
        self.require(len(names) == len(records), "it has two members of the same name")
        total = sum(record.size for record in records)
        self.require(total <= max(_RATIO_FROM, _RATIO * self.size), "it would inflate to {} bytes", total)
        data = self._check_tiles(records, start)
        return tuple(
            Member(
                self.path,
                record.name.decode(),
                stat.S_ISREG(record.mode) and bool(record.mode & 0o111),
                record.method == _DEFLATED,
                offset,
                record.compressed_size,
                record.size,
                record.crc32,
            )
            for record, offset in zip(records, data, strict=True)
            if not record.name.endswith(b"/")
        )

    def require(self, condition: bool, what: str, *values: object) -> None:  # noqa: FBT001 it reads as a sentence
        if not condition:
            raise IntegrityError(
                f"cannot use the archive {self.path.name}: {what.format(*values)}",
                hint="it is damaged or hostile; download it again or report it to its project",
                code="IB510",
            )

    def _read(self, offset: int, size: int) -> bytes:
        begin, window = self._window
        if not begin <= offset <= begin + len(window) - size:
            begin, window = offset, os.pread(self._descriptor, max(size, _WINDOW), offset) if offset >= 0 else b""
            self._window = begin, window
        content = window[offset - begin : offset - begin + size]
        self.require(len(content) == size, "it ends too early")
        return content

    def _find_end(self) -> int:
        """Return where the end record is: at the end, or before a comment in which no other one can hide."""
        size = min(self.size, _END.size)
        tail = self._read(self.size - size, size)
        if not tail.startswith(b"PK\5\6"):
            size = min(self.size, _END.size + _MAX16)
            tail = self._read(self.size - size, size)
        found = tail.rfind(b"PK\5\6")
        comment = tail[found + _END.size :]
        self.require(
            0 <= found <= size - _END.size
            and tail[found + _END.size - 2 :].startswith(struct.pack("<H", len(comment)))
            and all(0x20 <= byte < 0x7F for byte in comment),
            "it does not end with the end record of a zip archive",
        )
        return self.size - size + found

    def _find_directory(self) -> tuple[int, int, int]:
        """Return how many members there are, and where the central directory starts and how long it is."""
        end = self._find_end()
        _, disk, first_disk, here, count, size, start, _ = _END.unpack(self._read(end, _END.size))
        if start + size != end:
            count, start, size, here, end = self._find_directory64(end, (count, start, size, here))
        self.require(disk == first_disk == 0 and here == count, "it has several parts")
        self.require(start + size == end, "its central directory is not where the end record says")
        self.require(count <= _MEMBERS and size <= _DIRECTORY_SIZE, "it has {} members", count)
        return count, start, size

    def _find_directory64(self, end: int, small: tuple[int, int, int, int]) -> tuple[int, int, int, int, int]:
        locator = end - _LOCATOR.size
        signature, disk, end, disks = _LOCATOR.unpack(self._read(locator, _LOCATOR.size))
        self.require(
            signature == b"PK\6\7" and disk == 0 and disks == 1 and end == locator - _END64.size,
            "its central directory is not where the end record says",
        )
        signature, length, _, _, disk, first_disk, here, count, size, start = _END64.unpack(
            self._read(end, _END64.size)
        )
        self.require(
            signature == b"PK\6\6" and length == _END64.size - 12 and disk == first_disk == 0,
            "its zip64 end record is damaged",
        )
        for large, field, limit in zip(
            (count, start, size, here), small, (_MAX16, _MAX32, _MAX32, _MAX16), strict=True
        ):
            self.require(field in (large, limit), "its two end records contradict each other")
        return count, start, size, here, end

    def _read_directory(self, count: int, start: int, size: int) -> list[_Record]:
        directory = self._read(start, size)
        records = []
        position = 0
        for _ in range(count):
            self.require(position + _CENTRAL.size <= size, "its central directory ends too early")
            (
                signature, _, _, flags, method, _, _, crc32, compressed_size, plain_size,
                name_size, extra_size, comment_size, disk, _, attributes, offset,
            ) = _CENTRAL.unpack_from(directory, position)  # fmt: skip
            position += _CENTRAL.size
            name = directory[position : position + name_size]
            extra = directory[position + name_size : position + name_size + extra_size]
            position += name_size + extra_size + comment_size
            self.require(signature == b"PK\1\2" and position <= size and disk == 0, "its central directory is damaged")
            plain_size, compressed_size, offset = self._zip64(extra, (plain_size, compressed_size, offset))
            record = _Record(name, flags, method, crc32, compressed_size, plain_size, attributes >> 16, offset)
            self._check(record)
            records.append(record)
        self.require(position == size, "its central directory has bytes that belong to no member")
        return records

    def _check(self, record: _Record) -> None:
        name = self._check_name(record)
        self.require(not record.flags & _ENCRYPTED, "{!r} is encrypted", name)
        self.require(not record.flags & ~_KNOWN_FLAGS, "{!r} has flags {:#x}", name, record.flags)
        self.require(record.method in (_STORED, _DEFLATED), "{!r} is compressed by method {}", name, record.method)
        self.require(
            record.method == _DEFLATED or record.compressed_size == record.size, "{!r} is stored with two sizes", name
        )
        kind = stat.S_IFMT(record.mode)
        if name.endswith("/"):
            self.require(kind in (0, stat.S_IFDIR) and record.size == 0, "the folder {!r} is none", name)
        else:
            self.require(kind in (0, stat.S_IFREG), "{!r} is a link or a device", name)

    def _check_name(self, record: _Record) -> str:
        try:
            name = record.name.decode("utf-8" if record.flags & _UTF8 else "ascii")
        except UnicodeDecodeError:
            name = ""
        safe = not _CONTROL.search(name) and _NO_NAMES.isdisjoint(name.removesuffix("/").split("/"))
        self.require(safe, "a member has the unsafe name {!r}", record.name[:200])
        return name

    def _zip64(self, extra: bytes, fields: tuple[int, ...]) -> tuple[int, ...]:
        """Replace those of `fields` that are at their limit by the 64-bit values of the extra field."""
        if not extra:
            return fields
        position = 0
        large = b""
        while position < len(extra):
            self.require(position + 4 <= len(extra), "an extra field is damaged")
            kind, length = struct.unpack_from("<HH", extra, position)
            position += 4 + length
            self.require(position <= len(extra) and kind != _UNICODE_PATH_FIELD, "an extra field is damaged")
            if kind == _ZIP64_FIELD:
                self.require(not large, "a member has two zip64 fields")
                large = extra[position - length : position]
        self.require(len(large) % 8 == 0, "a zip64 field does not fit")
        values = struct.unpack(f"<{len(large) // 8}Q", large)
        wanted = [index for index, field in enumerate(fields) if field == _MAX32]
        if len(values) == len(wanted):
            known = dict(zip(wanted, values, strict=True))
        else:  # Bazel repeats small sizes in a zip64 field
            known = dict(enumerate(values))
            repeats = all(field == known.get(index, field) for index, field in enumerate(fields) if field != _MAX32)
            self.require(repeats and known.keys() >= set(wanted), "a zip64 field does not fit")
        return tuple(known.get(index, field) for index, field in enumerate(fields))

    def _check_tiles(self, records: list[_Record], end: int) -> list[int]:
        """Check the local headers and that members lie one behind the other; return where the bytes of each start."""
        order = sorted(range(len(records)), key=lambda index: records[index].offset)
        data = [0] * len(records)
        position = 0
        for place, index in enumerate(order):
            record = records[index]
            self.require(record.offset == position, "it has bytes that belong to no member, or members that overlap")
            data[index] = self._check_local(record)
            position = data[index] + record.compressed_size
            if record.flags & _DESCRIPTOR:
                following = records[order[place + 1]].offset if place + 1 < len(order) else end
                self._check_descriptor(record, position, following - position)
                position = following
        self.require(position == end, "it has bytes that belong to no member, or members that overlap")
        return data

    def _check_local(self, record: _Record) -> int:
        start = record.offset + _LOCAL.size
        signature, _, flags, method, _, _, crc32, compressed_size, size, name_size, extra_size = _LOCAL.unpack(
            self._read(record.offset, _LOCAL.size)
        )
        rest = self._read(start, name_size + extra_size)
        size, compressed_size = self._zip64(rest[name_size:], (size, compressed_size))
        said = (crc32, compressed_size, size)
        # With a data descriptor, which follows the bytes, the packer may leave these at zero.
        same = said == (record.crc32, record.compressed_size, record.size) or (
            said == (0, 0, 0) and bool(record.flags & _DESCRIPTOR)
        )
        same = same and (rest[:name_size], flags, method) == (record.name, record.flags, record.method)
        self.require(
            same and signature == b"PK\3\4", "its two descriptions of {!r} contradict each other", record.name[:200]
        )
        return start + len(rest)

    def _check_descriptor(self, record: _Record, position: int, size: int) -> None:
        accepted = [
            signature + struct.pack(sizes, record.crc32, record.compressed_size, record.size)
            for sizes in ("<LLL", "<LQQ")
            if sizes == "<LQQ" or max(record.compressed_size, record.size) <= _MAX32
            for signature in (b"PK\7\x08", b"")
        ]
        self.require(
            0 <= size <= 24 and self._read(position, size) in accepted,
            "its two descriptions of {!r} contradict each other",
            record.name[:200],
        )
