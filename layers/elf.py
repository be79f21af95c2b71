"""What the linker asks of a shared library: machine, SONAME, what it needs (System V ABI, chapters 4 and 5)."""

import itertools
import os
import struct

from layers.entry import Stored
from layers.values import dataclass

# More than any real library has.
_SEGMENTS_MAX = 256
_DYNAMIC_MAX = 64 << 10
_NAME_MAX = 255

_SHARED_OBJECT = 3
_LOAD = 1
_DYNAMIC = 2
_STRING_TABLE = 5
_NEEDED = 1
_SONAME = 14


@dataclass(frozen=True, slots=True)
class SharedObject:
    """A 64-bit little-endian shared object. `machine` is ELF's number; `soname` is empty if it has none.

    `needed` are the names of the libraries that it is loaded with.
    """

    machine: int
    soname: str
    needed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def shared_object(content: Stored) -> SharedObject | None:
    """Read a library; None if the bytes are no 64-bit little-endian shared object, or a damaged one."""
    descriptor = os.open(content.file, os.O_RDONLY)
    try:
        return _shared_object(_Bytes(descriptor, content))
    except (struct.error, StopIteration, UnicodeDecodeError):
        return None
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Bytes:
    descriptor: int
    content: Stored

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the library; fewer, or none, behind its end."""
        if not 0 <= offset < self.content.size:
            return b""
        return os.pread(self.descriptor, min(size, self.content.size - offset), self.content.offset + offset)


def _shared_object(library: _Bytes) -> SharedObject | None:
    header = library.read(0, 64)
    if not header.startswith(b"\x7fELF\x02\x01"):
        return None
    kind, machine, _, _, table, _, _, _, entry_size, count = struct.unpack_from("<HHIQQQIHHH", header, 16)
    if kind != _SHARED_OBJECT or entry_size != 56 or count > _SEGMENTS_MAX:
        return None
    segments = [
        _Segment(kind, offset, address, size)
        for kind, _, offset, address, _, size, _, _ in struct.iter_unpack("<IIQQQQQQ", library.read(table, 56 * count))
    ]
    dynamic = next(segment for segment in segments if segment.kind == _DYNAMIC)
    content = library.read(dynamic.offset, min(dynamic.size, _DYNAMIC_MAX))
    pairs = struct.iter_unpack("<QQ", content[: len(content) // 16 * 16])
    listed = list(itertools.takewhile(lambda pair: pair[0], pairs))
    values = dict(listed)
    needed = [value for tag, value in listed if tag == _NEEDED]
    if _SONAME not in values and not needed:
        return SharedObject(machine, "")
    strings = values.get(_STRING_TABLE, 0)
    loaded = next(
        segment
        for segment in segments
        if segment.kind == _LOAD and segment.address <= strings < segment.address + segment.size
    )
    table = loaded.offset + strings - loaded.address
    soname = _name(library, table + values[_SONAME]) if _SONAME in values else ""
    return SharedObject(machine, soname, tuple(_name(library, table + value) for value in needed))


def _name(library: _Bytes, at: int) -> str:
    return library.read(at, _NAME_MAX).partition(b"\0")[0].decode("ascii")
