"""Archives: why two zip or tar files differ, and what differs inside them."""

from reproducibility.content import Content
from reproducibility.difference import Difference, Known


def differences(
    path: str, left: Content, right: Content, *, known: Known, views: bool
) -> tuple[Difference, ...] | None:
    """Explain two zip or tar archives; None if one of them is none, or is damaged."""
    raise NotImplementedError
