"""A source tree as entries.

Only what a checkout would give on any machine comes through: names, contents, links and whether a file is executable.
Bytecode is left out whatever the rules say, because it never is the same twice.
"""

from collections.abc import Callable
from pathlib import Path

from layers.entry import Entry


def list_files(root: Path, *, ignored: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the paths of the files and links under `root` that are not ignored, sorted by their bytes."""
    raise NotImplementedError


def entries(root: Path, *, at: str, ignored: Callable[[str], bool]) -> tuple[Entry, ...]:
    """Return what is under `root`, without `root` itself, as entries under `at`, sorted by path.

    `ignored` is asked for each path (relative to `root`), and for each folder first with a slash at its end: whether
    all that is in it can be left out without looking.

    Raises UsageError IB603 for a link that leaves the tree, IB604 for a device, fifo or socket; StorageError IB605 if
    a folder cannot be read, IB602 if something changes while it is listed.
    """
    raise NotImplementedError
