"""A source tree as entries.

Only what a checkout would give on any machine comes through: names, contents, links and whether a file is executable.
Bytecode is left out whatever the rules say, because it is never the same twice.
"""

import errno
import os
import stat
import time  # noqa: TID251 is compared with the times of files, and reaches no image
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from layers import content, entry
from layers.entry import Entry, Kind, SourceFile
from layers.errors import IntegrityError, StorageError, UsageError
from layers.values import dataclass

# A folder is opened relative to the one it is in, so that no part of a path can turn into a link on the way.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BYTECODE = (".pyc", ".pyo")
# Folders in each other. Each of them stays open while what is in it is listed.
_DEEPEST = 500
_SHOWN = 100

# What the system says of a name that was listed and then removed, or replaced by something of another kind.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Listing:
    """What was in a folder: entries under `at`. What has changed since `began_ns` may have done so before or after."""

    entries: tuple[Entry, ...]
    at: str
    began_ns: int

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the files and links in the folder, sorted by their bytes."""
        return tuple(item.path[len(self.at) + 1 :] for item in self.entries if item.kind is not Kind.DIRECTORY)


def listing(root: Path, *, at: str, ignored: Callable[[str], bool]) -> Listing:
    """List what is under `root`, as `entries` does."""
    began_ns = time.time_ns()
    return Listing(entries(root, at=at, ignored=ignored), at, began_ns)


def list_files(root: Path, *, ignored: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the paths of the files and links under `root` that are not ignored, sorted by their bytes."""
    return listing(root, at="root", ignored=ignored).files


def entries(root: Path, *, at: str, ignored: Callable[[str], bool]) -> tuple[Entry, ...]:
    """Return what is under `root`, without `root` itself, as entries under `at`, sorted by the bytes of their paths.

    `ignored` is asked for each path (relative to `root`), and for a folder first with a slash at its end: whether all
    that is in it can be left out without looking.

    Raises UsageError IB603 for a link that leaves the tree, IB604 for a device, fifo or socket, IB946 for a path that
    no image can hold; StorageError IB605 for a folder that cannot be listed and IB602 for something that changes
    meanwhile; UsageError IB606 if `root` is no folder.
    """
    found = _walk(_Folder(_open_root(root), root, ""), at, ignored)
    return tuple(sorted(found, key=lambda item: item.path_bytes))


def _open_root(root: Path) -> int:
    try:
        return os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"no such folder: {str(root)!r}", hint="give the folder that holds the application", code="IB606"
        ) from error
    except OSError as error:
        raise _unlistable(str(root), error) from error


@dataclass(frozen=True, slots=True)
class _Folder:
    """An open folder of the tree. `path` is relative to the root and ends in a slash, or is empty for the root."""

    descriptor: int
    place: Path
    path: str


def _walk(folder: _Folder, at: str, ignored: Callable[[str], bool]) -> Iterator[Entry]:
    try:
        for name, status in _listed(folder):
            # The image's paths are UTF-8 whatever the locale of the builder is.
            path = folder.path + os.fsencode(name).decode("utf-8", "surrogateescape")
            if not stat.S_ISDIR(status.st_mode):
                if not path.endswith(_BYTECODE) and not ignored(path):
                    yield _entry(folder, name, status, path=path, at=at)
            elif name != "__pycache__" and not ignored(path + "/"):
                _check(path, at)
                if not ignored(path):
                    yield entry.directory(f"{at}/{path}")
                with _reported(path):
                    descriptor = os.open(name, _FOLDER, dir_fd=folder.descriptor)
                yield from _walk(_Folder(descriptor, folder.place / name, path + "/"), at, ignored)
    finally:
        os.close(folder.descriptor)


def _listed(folder: _Folder) -> list[tuple[str, os.stat_result]]:
    with (
        _reported(folder.path or "."),
        os.scandir(folder.descriptor) as items,  # noqa: TID251 the one listing of a source tree; entries are sorted
    ):
        return [(item.name, item.stat(follow_symlinks=False)) for item in items]


def _entry(folder: _Folder, name: str, status: os.stat_result, *, path: str, at: str) -> Entry:
    _check(path, at)
    if stat.S_ISREG(status.st_mode):
        source = SourceFile(folder.place, name, status.st_size, content.stamp(status))
        return entry.file(f"{at}/{path}", source, executable=bool(status.st_mode & 0o111))
    if not stat.S_ISLNK(status.st_mode):
        raise UsageError(
            f"neither a file, a folder nor a link: {path!r}",
            hint="remove it, or name it in .imagebuilderignore",
            code="IB604",
        )
    with _reported(path):
        text = os.readlink(name, dir_fd=folder.descriptor)
    target = os.fsencode(text).decode("utf-8", "surrogateescape")
    if leaves(path, target):
        raise leads_out(path, target)
    return entry.symlink(f"{at}/{path}", target)


def leaves(path: str, target: str) -> bool:
    """Say whether a link's text leads above the root. The link is stored, never followed, so its text is enough."""
    depth = path.count("/")
    for part in target.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return target.startswith("/")


def leads_out(path: str, target: str) -> UsageError:
    """Make the error for a link that leads out of the application."""
    return UsageError(
        f"the link {path!r} leads out of the application: {target!r}",
        hint="make it relative to a file of the application, or name it in .imagebuilderignore",
        code="IB603",
    )


def _check(path: str, at: str) -> None:
    """Refuse a path that no image can hold, in words for the author of the application."""
    try:
        entry.check_path(f"{at}/{path}")
    except IntegrityError as error:
        raise _unnameable(path, "its name begins with `.wh.`" if "/.wh." in f"/{path}" else "it is too long") from error
    if path.count("/") > _DEEPEST:
        raise _unnameable(path, f"it is more than {_DEEPEST} folders deep")


def _unnameable(path: str, reason: str) -> UsageError:
    shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
    return UsageError(
        f"no image can hold {shown!r}: {reason}", hint="rename it, or name it in .imagebuilderignore", code="IB946"
    )


@contextmanager
def _reported(path: str) -> Iterator[None]:
    """Turn an error of the operating system into one that says what happened to the tree."""
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise _unlistable(path, error) from error
        raise StorageError(
            f"the source changed while it was listed: {path!r} is gone or has become something else",
            hint="build again when nothing writes to the folder, or name it in .imagebuilderignore",
            code="IB602",
        ) from error


def _unlistable(path: str, error: OSError) -> StorageError:
    return StorageError(
        f"cannot list {path!r}: {error.strerror}",
        hint="make it readable, or name it in .imagebuilderignore",
        code="IB605",
    )
