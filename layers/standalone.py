"""A standalone CPython as entries: the files in the folder `python` of an `install_only` archive, a tar with gzip.

That is what the project python-build-standalone publishes ("Distribution Archives" in its documentation). Nothing but
names, contents, symbolic links and whether a file is executable comes through.
"""

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from layers import entry, gunzip, tarball
from layers.bounded import at_most
from layers.entry import Entry, Kind, Stored
from layers.errors import IntegrityError
from layers.values import replace

_CHUNK = 256 << 10
# Ten times what the largest unpack to.
_SIZE_MAX = 4 << 30
_TOP = "python/"


def read_standalone(path: Path, *, spool: Path) -> Mapping[str, Entry]:
    """Read an archive: its files and links by their path in it. `spool` is written and has to outlive the entries.

    Raises IntegrityError IB890 if a file is elsewhere, or a link leads out of the folder; IB557 or IB558 for an archive
    that is damaged.
    """
    with path.open("rb") as file, spool.open("wb") as plain:
        plain.writelines(at_most(_SIZE_MAX, gunzip.plain(iter(lambda: file.read(_CHUNK), b"")), damaged))
    found: dict[str, Entry] = {}
    with spool.open("rb") as tar:
        for each in _entries(tarball.members(tar), spool):
            # A second name is another file of the same content: it does not matter then which of them are kept.
            found[each.path] = replace(found[each.target], path=each.path) if each.kind is Kind.HARDLINK else each
    return found


def damaged(what: str) -> IntegrityError:
    """Say that an archive is not one of a standalone CPython."""
    return IntegrityError(
        f"cannot use a standalone CPython: {what}",
        hint="the mirror, or the list that names it, has something else; check what UV_PYTHON_DOWNLOADS_JSON_URL says",
        code="IB890",
    )


def _entries(members: Iterator[tarball.Member], spool: Path) -> Iterator[Entry]:
    for member in members:
        if member.kind is Kind.DIRECTORY:
            continue
        if not member.path.startswith(_TOP):
            raise damaged(f"{member.path!r} is not in the folder {_TOP}")
        path = member.path.removeprefix(_TOP)
        match member.kind:
            case Kind.FILE:
                content = Stored(spool, member.offset, member.size, name=path) if member.size else b""
                yield entry.file(path, content, executable=bool(member.mode & 0o111))
            case Kind.SYMLINK:
                target = posixpath.normpath(posixpath.join(posixpath.dirname(member.path), member.target))
                if not target.startswith(_TOP):
                    raise damaged(f"{path!r} leads out of it: {member.target!r}")
                yield entry.symlink(path, member.target)
            case kind:
                yield Entry(path, kind, 0o644, target=member.target.removeprefix(_TOP))
