"""Headers of gzip streams: what they say besides the bytes they compress (RFC 1952, section 2.3)."""

_MAGIC = b"\x1f\x8b\x08"
_FIXED = 10
_CRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
# Those that a compressor sets on its own; the others are told to it.
COMPRESSOR_FIELDS = frozenset(("extra flags", "system"))


def length(stream: bytes) -> int:
    """Return how long the header at the start of a stream is; 0 if there is none that is whole."""
    if not stream.startswith(_MAGIC) or len(stream) < _FIXED:
        return 0
    flags, end = stream[3], _FIXED
    if flags & _EXTRA:
        end += 2 + int.from_bytes(stream[end : end + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = stream.find(b"\0", end) + 1 or len(stream) + 1
    end += 2 if flags & _CRC else 0
    return end if end <= len(stream) else 0


def fields(header: bytes) -> dict[str, str]:
    """Return the fields of a whole header, as text."""
    rest = header[_FIXED:]
    found = {
        "flags": f"{header[3]:#04x}",
        "mtime": str(int.from_bytes(header[4:8], "little")),
        "extra flags": str(header[8]),
        "system": str(header[9]),
    }
    if header[3] & _EXTRA:
        size = int.from_bytes(rest[:2], "little")
        found["extra"] = rest[2 : 2 + size].hex()
        rest = rest[2 + size :]
    for flag, name in ((_NAME, "name"), (_COMMENT, "comment")):
        if header[3] & flag:
            text, _, rest = rest.partition(b"\0")
            found[name] = text.decode("utf-8", "surrogateescape")
    return found
