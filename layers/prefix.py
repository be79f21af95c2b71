"""Prefixes: the path a conda package was built for, replaced by the one it has in an image (conda-build, "prefix")."""

import re


def replace_text(content: bytes, placeholder: bytes, prefix: bytes) -> bytes:
    """Replace the placeholder wherever it stands; ValueError if the prefix is longer, as `replace_binary` raises it."""
    _spare(placeholder, prefix)
    return content.replace(placeholder, prefix)


def replace_binary(content: bytes, placeholder: bytes, prefix: bytes) -> bytes:
    """Replace the placeholder in C strings, each of which keeps its length: what it lost is padded with NULs.

    Raises ValueError if the prefix is longer than the placeholder.
    """
    spare = _spare(placeholder, prefix)

    def shortened(match: re.Match[bytes]) -> bytes:
        text = match[0]
        return text[:-1].replace(placeholder, prefix) + bytes(spare * text.count(placeholder) + 1)

    return re.sub(re.escape(placeholder) + rb"[^\0]*\0", shortened, content)


def _spare(placeholder: bytes, prefix: bytes) -> int:
    if len(placeholder) < len(prefix):
        raise ValueError(f"{prefix.decode()} is longer than the path it was built for")
    return len(placeholder) - len(prefix)
