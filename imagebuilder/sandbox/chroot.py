"""The last rung: a copy of the root in which folders lie where they would be mounted.

Made where nothing can be mounted: in containers without rights of their own. The copy is of hard links; the command is
not the owner of what they lead to, and cannot change it.
"""

import os
import posixpath
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from imagebuilder.sandbox import box
from imagebuilder.sandbox.box import OWN, SCRATCH, Sandbox
from layers import scratch
from layers.blobs import storage_error

# Minor numbers of the devices with the major number 1 (Linux, admin-guide/devices.txt).
_DEVICES = {"full": 7, "null": 3, "random": 8, "urandom": 9, "zero": 5}
_OTHERS_MAY_WRITE = 0o022


@contextmanager
def staged(sandbox: Sandbox) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Yield such a copy, and its folders that can be written to. At the end the content of those moves back.

    The copy lies beside the root, since hard links do not lead from one file system to another.
    Raises StorageError IB601 if it cannot be made.
    """
    with scratch.folder(sandbox.root.parent / "chroots") as made, ExitStack() as moved_back:
        try:
            stage = made / "root"
            _link_tree(sandbox.root, stage)
            for name in OWN:
                _folder(stage, name)
            writable = [_folder(stage, place) for place in SCRATCH]
            _make_devices(stage / "dev")
            places = box.places(sandbox)
            for place, host, _ in [each for each in places if not each[2]]:
                _copy(Path(host), stage, place)
            for place, host, _ in [each for each in places if each[2]]:
                writable.append(_folder(stage, place))
                moved_back.callback(_move, writable[-1], Path(host))
                _move(Path(host), writable[-1])
        except OSError as error:
            raise storage_error(error, sandbox.root) from error
        yield stage, tuple(writable)


def _link_tree(source: Path, target: Path, *, without: tuple[str, ...] = OWN) -> None:
    """Copy folders and links, and link files, but those that others than their owner could write to."""
    target.mkdir()
    target.chmod(0o755)  # whatever the umask
    with os.scandir(source) as found:  # noqa: TID251 all of it is copied; order cannot matter
        for each in found:
            copy = target / each.name
            if each.name in without:
                continue
            if each.is_symlink():
                copy.symlink_to(os.readlink(each))  # noqa: PTH115 it is no Path
            elif each.is_dir():
                _link_tree(Path(each), copy, without=())
            elif each.stat().st_mode & _OTHERS_MAY_WRITE:
                shutil.copy(each, copy)
            else:
                os.link(each, copy)


def _folder(stage: Path, place: str) -> Path:
    """Make a folder and those above it."""
    folder = stage
    for part in place.strip("/").split("/"):
        folder /= part
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)
    return folder


def _make_devices(folder: Path) -> None:
    for name, minor in _DEVICES.items():
        with suppress(PermissionError):  # of an engine's container without that right; few builds need one
            os.mknod(folder / name, stat.S_IFCHR, os.makedev(1, minor))
            (folder / name).chmod(0o666)


def _copy(host: Path, stage: Path, place: str) -> None:
    if host.is_dir():
        shutil.copytree(host, _folder(stage, place), symlinks=True, dirs_exist_ok=True)
    else:
        target = _folder(stage, posixpath.dirname(place)) / posixpath.basename(place)
        target.unlink(missing_ok=True)  # it is another name of a file of the root
        shutil.copy(host, target)


def _move(source: Path, target: Path) -> None:
    for each in sorted(source.iterdir()):
        shutil.move(each, target / each.name)
