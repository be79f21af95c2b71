"""Scratch folders: where archives lie unpacked while layers are made of them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from layers.blobs import storage_error

_serial = count()


@contextmanager
def folder(root: Path) -> Iterator[Path]:
    """Make a folder under `root` that is deleted when the block ends; what a killed process left is deleted first.

    Its name is of no consequence: no path of a scratch file is part of any layer. Raises StorageError IB601 if it
    cannot be made.
    """
    with ExitStack() as cleanup:
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(root / "lock", fcntl.LOCK_EX):
                _sweep(root)
                made = root / f"{os.getpid()}-{next(_serial)}"
                made.mkdir(mode=0o700)
                cleanup.enter_context(_locked(made / "lock", fcntl.LOCK_EX))
                cleanup.callback(_try_to_delete, made)
        except OSError as error:
            raise storage_error(error, root) from error
        yield made


def _sweep(root: Path) -> None:
    for left in sorted(root.glob("*-*")):
        # What cannot be deleted must not keep anybody from working.
        with suppress(OSError), _locked(left / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
            delete(left)


def _try_to_delete(made: Path) -> None:
    with suppress(OSError):
        delete(made)


def delete(folder: Path) -> int:
    """Delete a folder, whoever filled it, and return how many bytes its files had.

    A command of strangers may leave folders that are closed to their owner, or lie deeper in each other than a path can
    say: each is opened, and what is in it moves up until nothing lies deep.
    """
    freed = 0
    names = count()
    folders = [folder]
    folder.chmod(0o700)
    while folders:
        inner = folders.pop()
        with os.scandir(inner) as found:  # noqa: TID251 all of it is deleted; order cannot matter
            for each in found:
                if not each.is_dir(follow_symlinks=False):
                    freed += each.stat(follow_symlinks=False).st_size
                    os.unlink(each)  # noqa: PTH108 it is no Path
                    continue
                os.chmod(each, 0o700)  # noqa: PTH101 as above
                folders.append(Path(each) if inner == folder else _moved(each, folder, names))
        if inner != folder:
            inner.rmdir()
    folder.rmdir()
    return freed


def _moved(inner: os.DirEntry[str], folder: Path, names: Iterator[int]) -> Path:
    """Move a folder up, to a name that nothing else has."""
    while True:
        place = folder / f"deleted-{next(names)}"
        if not os.path.lexists(place):
            return Path(inner).rename(place)


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
