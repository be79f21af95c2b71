"""Programs and libraries: why two ELF files differ, section by section."""

from reproducibility.content import Content
from reproducibility.difference import Difference, Known


def differences(
    path: str, left: Content, right: Content, *, known: Known, views: bool
) -> tuple[Difference, ...] | None:
    """Explain two ELF files; None if one of them is none, or is damaged."""
    raise NotImplementedError
