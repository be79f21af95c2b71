"""Scratch folders: where archives lie unpacked while layers are made of them."""

import fcntl
import os
import shutil
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
                cleanup.callback(shutil.rmtree, made, ignore_errors=True)
        except OSError as error:
            raise storage_error(error, root) from error
        yield made


def _sweep(root: Path) -> None:
    for left in sorted(root.glob("*-*")):
        with suppress(BlockingIOError), _locked(left / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(left)


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
