"""Folders of the host that a sandboxed command writes to: what they hold, and whose they are meanwhile."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imagebuilder.sandbox.box import UID

_BLOCK = 4096
# A folder that is closed to its owner, or is deeper in others than a path can say.
_HIDDEN = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)


def size(folders: Iterable[Path]) -> int:
    """Count the bytes that folders take on disk; more than any limit if one of them cannot be looked into.

    A file takes a block at least, also if it is empty: what it takes is its name. What disappears meanwhile counts
    nothing.
    """
    try:
        return sum(max(status.st_blocks * 512, _BLOCK) for folder in folders for _, status in _inside(folder))
    except OSError as error:
        if error.errno not in _HIDDEN:
            raise
        return sys.maxsize


@contextmanager
def lent(folders: Iterable[Path]) -> Iterator[None]:
    """Give folders to the user inside, if root builds; then give them back with all that was written.

    For any other user there is nothing to do: in the namespace of users both are the same.
    """
    owners = {folder: folder.stat() for folder in folders} if os.geteuid() == 0 else {}
    try:
        for folder in owners:
            _give(folder, UID, UID)
        yield
    finally:
        for folder, status in owners.items():
            try:
                _give(folder, status.st_uid, status.st_gid)
            except OSError as error:
                if error.errno not in _HIDDEN:  # of which `size` has said that it is too much
                    raise


def _give(folder: Path, user: int, group: int) -> None:
    """Change the owner. Nothing runs at this time that could put a link in the place of a file."""
    for path, _ in _inside(folder):
        os.chown(path, user, group, follow_symlinks=False)


def _inside(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield a folder and all that is in it, without following a link."""
    yield str(folder), folder.stat()
    waiting = [str(folder)]
    while waiting:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as found:  # noqa: TID251 a sum
            for each in found:
                with suppress(FileNotFoundError):
                    yield each.path, each.stat(follow_symlinks=False)
                    if each.is_dir(follow_symlinks=False):
                        waiting.append(each.path)
