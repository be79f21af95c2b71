"""Contents: what an entry refers to, read in chunks and checked while it is read."""

import os

Stamp = tuple[int, int, int, int]


def stamp(status: os.stat_result) -> Stamp:
    """Return what changes when a file changes: (device, inode, size, mtime_ns), as a SourceFile holds it."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
