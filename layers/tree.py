"""A source tree as entries."""

from collections.abc import Callable
from pathlib import Path


def list_files(root: Path, *, ignored: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the paths of the files under `root` that are not ignored, sorted by their bytes."""
    raise NotImplementedError
