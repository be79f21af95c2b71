"""Tar streams: the one way entries become tar bytes (POSIX.1-2017 pax, ustar Interchange Format)."""

from collections.abc import Iterable, Iterator

from layers.entry import Content, Entry

# 1980-01-01T00:00:01Z: the first second that zip files and Python tools accept (docs/decisions/0001-layer-tars.md).
MTIME = 315532801


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries by the bytes of their path and add the parents that are missing (0755, root)."""
    raise NotImplementedError


def pieces(entries: Iterable[Entry]) -> Iterator[bytes | Content]:
    """Yield a tar as headers, contents that are still to be read, and padding. Entries are written as they come."""
    raise NotImplementedError


def chunks(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the bytes of an uncompressed tar of these entries, in the order given: how archives are written."""
    raise NotImplementedError
