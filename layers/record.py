"""RECORD: the list of an installed distribution's files with their hashes (PyPA, Recording installed projects)."""

import base64
import csv
import io
from collections.abc import Iterable, Mapping

from layers import digest
from layers.entry import Checksum
from layers.values import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a RECORD: the path relative to site-packages. RECORD itself and signatures have no checksum."""

    path: str
    checksum: Checksum | None = None
    size: int | None = None


def parse(text: str) -> Mapping[str, Row]:
    """Return the rows by path. Raises ValueError, with what is wrong, if it is no RECORD or contradicts itself."""
    rows: dict[str, Row] = {}
    try:
        for fields in csv.reader(io.StringIO(text, newline=""), strict=True):
            if fields:
                row = _parse_row(fields)
                if rows.setdefault(row.path, row) != row:
                    raise ValueError(f"RECORD lists {row.path!r} twice")
    except csv.Error as error:
        raise ValueError(f"RECORD is not a list of comma-separated values: {error}") from error
    return rows


def encode(rows: Iterable[Row]) -> bytes:
    """Write rows sorted by the bytes of their paths."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in sorted(rows, key=lambda row: row.path.encode("utf-8", "surrogateescape")):
        writer.writerow((row.path, _encode_checksum(row.checksum), "" if row.size is None else row.size))
    return text.getvalue().encode("utf-8", "surrogateescape")


def _parse_row(fields: list[str]) -> Row:
    if len(fields) != 3:
        raise ValueError(f"a line of RECORD has {len(fields)} fields instead of 3: {fields[0][:200]!r}")
    path, checksum, size = fields
    if size and not (size.isascii() and size.isdigit()):
        raise ValueError(f"RECORD says {path!r} has {size[:20]!r} bytes")
    return Row(path, _parse_checksum(path, checksum), int(size) if size else None)


def _parse_checksum(path: str, text: str) -> Checksum | None:
    if not text:
        return None
    algorithm, _, encoded = text.partition("=")
    encoded = encoded.rstrip("=")
    try:
        value = base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True)
    except ValueError:
        value = b""
    if len(value) != digest.HASH_SIZES.get(algorithm):
        raise ValueError(f"RECORD has no usable hash for {path!r}: {text[:100]!r}")
    return Checksum(algorithm, value)


def _encode_checksum(checksum: Checksum | None) -> str:
    if checksum is None:
        return ""
    return f"{checksum.algorithm}={base64.urlsafe_b64encode(checksum.value).decode().rstrip('=')}"
