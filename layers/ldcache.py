"""The cache of the dynamic linker, /etc/ld.so.cache, as ldconfig writes it (glibc, sysdeps/generic/dl-cache.h).

The linker finds libraries of Debian's own folders without it; Python's `ctypes.util.find_library` does not.
"""

import struct
from collections.abc import Iterable

from layers.expression import expression
from layers.values import dataclass

_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
# FLAG_ELF_LIBC6 with FLAG_X8664_LIB64 or FLAG_AARCH64_LIB64, by the machine of ELF.
_FLAGS = {62: 0x0303, 183: 0x0A03}
_TOKEN = expression(r"(\d+)|\D")


@dataclass(frozen=True, slots=True)
class Library:
    """A library: the name programs ask for, and its path in the image with a leading slash."""

    name: str
    path: str
    machine: int


def cache(libraries: Iterable[Library]) -> bytes:
    """Write the cache. Of libraries with one name the first is found first; unknown machines are left out."""
    known = [library for library in libraries if library.machine in _FLAGS]
    known.sort(key=lambda library: _order(library.name), reverse=True)
    strings = bytearray()
    entries = bytearray()
    start = _HEADER.size + _ENTRY.size * len(known)
    for library in known:
        path = library.path.encode()
        value = start + len(strings)
        key = value + len(path) - len(library.name) if library.path.endswith(f"/{library.name}") else 0
        strings += path + b"\0"
        if not key:
            key = start + len(strings)
            strings += library.name.encode() + b"\0"
        entries += _ENTRY.pack(_FLAGS[library.machine], key, value, 0, 0)
    return _HEADER.pack(_MAGIC, len(known), len(strings), _LITTLE_ENDIAN, 0) + entries + strings


def _order(name: str) -> list[tuple[int, int]]:
    """Order names as the linker does when it searches: numbers by value, and after all other characters."""
    return [(1, int(token[0])) if token[1] else (0, ord(token[0])) for token in _TOKEN.finditer(name)]
