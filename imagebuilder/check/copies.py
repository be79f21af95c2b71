"""Copies of a source tree: contents copied, in an order, with modes and times as wanted; the source is only read."""

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from layers.digest import Digest
from layers.values import dataclass

# Nobody builds from these. `ignored` is asked all the same, as an application may say otherwise.
_NEVER_READ = {
    ".git", ".hg", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__",
    "node_modules", "venv",
}  # fmt: skip
_LAYOUT = "oci-layout"
_OLDER_S = 100 * 86400
_PAGE = 4096  # what the end of a file, or a folder, takes on most file systems

Ignored = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Copying:
    """How a tree is copied. `order` is that in which files are made; `umask` takes the place of the modes they have.

    With `older` all files are some months older than they are. `owner` is a user and group to give them to.
    """

    order: str = ""
    umask: int | None = None
    older: bool = False
    owner: int | None = None

    def mode(self, status: os.stat_result) -> int:
        """Return the mode of a copy: as git would write it under the umask. What we could not read is no use to us."""
        if self.umask is None:
            return stat.S_IMODE(status.st_mode)
        executable = stat.S_ISDIR(status.st_mode) or bool(status.st_mode & 0o111)
        return (0o777 if executable else 0o666) & ~self.umask


def nothing(_path: str) -> bool:
    """Ignore nothing."""
    return False


def copy(source: Path, target: Path, copying: Copying, *, ignored: Ignored = nothing) -> int:
    """Copy a tree to where there is nothing yet, and return the room it takes in bytes. Raises OSError.

    Left out are folders that no build reads, images that builds have written, and files that are ignored and may not
    be read; `ignored` is asked as by `layers.tree`. Devices, pipes and sockets are not copied.
    """
    target.mkdir(parents=True)
    return _copy_folder(source, target, "", copying, ignored)


def _copy_folder(source: Path, target: Path, path: str, copying: Copying, ignored: Ignored) -> int:
    total = 0
    found = dict(_listed(source, path, ignored))
    for name in _ordered(sorted(found, key=os.fsencode), copying.order):
        status = found[name]
        if stat.S_ISDIR(status.st_mode):
            (target / name).mkdir(mode=0o700)
            total += _copy_folder(source / name, target / name, f"{path}{name}/", copying, ignored)
        elif stat.S_ISLNK(status.st_mode):
            (target / name).symlink_to((source / name).readlink())
        else:
            try:
                shutil.copyfile(source / name, target / name)
            except PermissionError:
                if not ignored(path + name):
                    raise
                continue
            total += status.st_size
        total += _PAGE
        _dress(target / name, status, copying)
    if not path:
        _dress(target, source.stat(), copying)
    return total


def _dress(made: Path, status: os.stat_result, copying: Copying) -> None:
    if copying.owner is not None:
        os.chown(made, copying.owner, copying.owner, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return
    made.chmod(copying.mode(status))
    time = status.st_mtime_ns - copying.older * _OLDER_S * 10**9
    os.utime(made, ns=(time, time))


def _listed(folder: Path, path: str, ignored: Ignored) -> list[tuple[str, os.stat_result]]:
    with os.scandir(folder) as items:  # noqa: TID251 copies are made in an order that is chosen
        found = [(item.name, item.stat(follow_symlinks=False)) for item in items]
    return [
        (name, status)
        for name, status in found
        if stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
        and not (stat.S_ISDIR(status.st_mode) and _left_out(folder / name, f"{path}{name}/", ignored))
    ]


def _left_out(folder: Path, path: str, ignored: Ignored) -> bool:
    return (folder.name in _NEVER_READ or (folder / _LAYOUT).is_file()) and ignored(path)


def _ordered(names: Sequence[str], order: str) -> Sequence[str]:
    """Put sorted names into another order; of two names there is only one."""
    backwards = names[::-1]
    match order:
        case "shuffled":
            found: Sequence[str] = sorted(names, key=lambda name: Digest.of(os.fsencode(name)))
        case "rotated":
            found = [*names[len(names) // 2 :], *names[: len(names) // 2]]
        case "reversed":
            found = backwards
        case _:
            return names
    return backwards if list(found) == list(names) else found


def list_order(folder: Path) -> list[str]:
    """Return the names in a folder in the order in which its file system lists them."""
    with os.scandir(folder) as items:  # noqa: TID251 the order is what is asked for
        return [item.name for item in items]


def remove(folder: Path) -> None:
    """Remove a folder, or what is there of it, even where a program took away the right to write."""
    if folder.is_symlink():
        folder.unlink()
        return
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for parent, _, _ in os.walk(folder):  # noqa: TID251 all of it is removed
            with suppress(OSError):
                Path(parent).chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
