"""Compressed files: why two .gz files differ, by their headers and by what is inside."""

from reproducibility.content import Content
from reproducibility.difference import Difference, Known


def differences(
    path: str, left: Content, right: Content, *, known: Known, views: bool
) -> tuple[Difference, ...] | None:
    """Explain two gzip files; None if one of them is none, or is damaged."""
    raise NotImplementedError
