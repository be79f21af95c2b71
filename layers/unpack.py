"""Files in a folder, made of entries: for what has to run before there is an image.

Owners are those of whoever unpacks, times are the same everywhere. Rights are as in the entries, but all may read, and
only the owner may write. The folder is new, so what stands in it is known: nothing is ever written through a link.
"""

import os
import posixpath
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from layers.content import Reader
from layers.entry import Entry, Kind
from layers.errors import IntegrityError
from layers.on_disk import on_disk


def unpack(entries: Iterable[Entry], folder: Path, *, time_s: int) -> None:
    """Write entries, in any order, into a folder that is made; all times become `time_s`, in seconds since 1970.

    Raises IntegrityError IB865 for a path that comes twice or leads through a link or a file, and for a hard link whose
    target is no file; then nothing is written. OSError comes as it is.
    """
    placed = _placed(entries)
    folders = sorted(_folders(placed))
    ns = time_s * 1_000_000_000
    folder.mkdir()
    for path in folders:
        (folder / on_disk(path)).mkdir()
    with closing(Reader()) as reader:
        for entry in _of(Kind.FILE, placed):
            _write(folder / on_disk(entry.path), entry, reader, ns)
    for entry in _of(Kind.SYMLINK, placed):
        link = folder / on_disk(entry.path)
        link.symlink_to(on_disk(entry.target))
        os.utime(link, ns=(ns, ns), follow_symlinks=False)
    for entry in _of(Kind.HARDLINK, placed):
        (folder / on_disk(entry.path)).hardlink_to(folder / on_disk(entry.target))
    for path in (*reversed(folders), ""):  # the content of a folder changes its time, so the innermost come first
        made = folder / on_disk(path)
        made.chmod(0o755)
        os.utime(made, ns=(ns, ns))


def _placed(entries: Iterable[Entry]) -> Mapping[str, Entry]:
    placed: dict[str, Entry] = {}
    for entry in entries:
        before = placed.setdefault(entry.path, entry)
        if before is not entry and not before.kind is entry.kind is Kind.DIRECTORY:
            raise _refused(entry.path, "the path comes twice")
    for entry in _of(Kind.HARDLINK, placed):
        if entry.target not in placed or placed[entry.target].kind is not Kind.FILE:
            raise _refused(entry.path, f"its target {entry.target} is no file")
    return placed


def _folders(placed: Mapping[str, Entry]) -> set[str]:
    """Find all folders, also those that no entry names."""
    folders = {entry.path for entry in _of(Kind.DIRECTORY, placed)}
    for path in placed:
        above = posixpath.dirname(path)
        while above and above not in folders:
            if above in placed:
                raise _refused(path, f"{above} is no folder")
            folders.add(above)
            above = posixpath.dirname(above)
    return folders


def _of(kind: Kind, placed: Mapping[str, Entry]) -> list[Entry]:
    return [entry for entry in placed.values() if entry.kind is kind]


def _write(path: Path, entry: Entry, reader: Reader, ns: int) -> None:
    with path.open("xb", buffering=0) as file:
        for chunk in reader.read(entry.content):
            file.write(chunk)
        os.fchmod(file.fileno(), entry.mode & 0o755 | 0o444)
        os.utime(file.fileno(), ns=(ns, ns))


def _refused(path: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"cannot unpack {path[:200]}: {why}",
        hint="the package or image it comes from is damaged or hostile; do not use it",
        code="IB865",
    )
