"""A source distribution as entries: the files of the one folder that its archive holds, a tar (with gzip) or a zip.

Older ones are not named or built as PEP 625 says, so the name of the folder does not matter. Nothing but names,
contents, links and whether a file is executable comes through.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from layers import entry, gunzip, tarball, tree
from layers.bounded import at_most
from layers.content import Reader
from layers.entry import Entry, Kind, Stored
from layers.errors import IntegrityError
from layers.values import dataclass, replace
from layers.zip import read_zip

_CHUNK = 256 << 10
# Ten times what the largest on the package index unpack to.
_SIZE_MAX = 4 << 30
_TEXT_MAX = 4 << 20
# What the package index refuses of zips, which no honest tar is either.
_RATIO_FROM = 64 << 20
_RATIO = 50


@dataclass(frozen=True, slots=True)
class Sdist:
    """The files of a source distribution, relative to its folder."""

    entries: tuple[Entry, ...]

    def text(self, path: str) -> str | None:
        """Return a text file; None if there is none. IntegrityError IB870 if it is no text, or too large to be one."""
        found = next((each for each in self.entries if each.path == path and each.kind is Kind.FILE), None)
        if found is None:
            return None
        if found.size > _TEXT_MAX:
            raise _damaged(f"its {path} has {found.size} bytes")
        with closing(Reader()) as reader:
            try:
                return b"".join(reader.read(found.content)).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise _damaged(f"its {path} is not UTF-8") from error


def read_sdist(path: Path, *, spool: Path) -> Sdist:
    """Read a source distribution. A tar is decompressed into the file `spool`, which has to outlive the entries.

    Raises IntegrityError IB870 if it is neither kind of archive, damaged, of more than one folder, or has a link that
    leads out of it; IB558 or IB510 for an archive that two tools could understand differently.
    """
    with path.open("rb") as file:
        magic = file.read(2)
    if magic == b"PK":
        found = [entry.file(member.name, member.content(), executable=member.executable) for member in read_zip(path)]
    elif magic == b"\x1f\x8b":
        found = list(_from_tar(path, spool))
    elif _is_tar(path):
        found = list(_members(path))
    else:
        raise _damaged("it is neither a zip nor a tar")
    return Sdist(tuple(_below_top(found)))


def _from_tar(path: Path, spool: Path) -> Iterator[Entry]:
    limit = min(_SIZE_MAX, max(_RATIO_FROM, _RATIO * path.stat().st_size))
    with path.open("rb") as file, spool.open("wb") as plain:
        plain.writelines(at_most(limit, gunzip.plain(iter(lambda: file.read(_CHUNK), b"")), _damaged))
    yield from _members(spool)


def _is_tar(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(263)[257:] == b"ustar\0"


def _members(plain: Path) -> Iterator[Entry]:
    with plain.open("rb") as tar:
        for member in tarball.members(tar):
            match member.kind:
                case Kind.FILE:
                    content = Stored(plain, member.offset, member.size) if member.size else b""
                    yield entry.file(member.path, content, executable=bool(member.mode & 0o111))
                case Kind.DIRECTORY:
                    yield entry.directory(member.path)
                case kind:
                    yield Entry(member.path, kind, 0o777, target=member.target)


def _below_top(found: Iterable[Entry]) -> Iterator[Entry]:
    """Take the paths out of the one folder at the top."""
    top = ""
    for each in found:
        first, _, path = each.path.partition("/")
        top = top or first
        if first != top or not (path or each.kind is Kind.DIRECTORY):
            raise _damaged("its files are not in one folder")
        if each.kind is Kind.SYMLINK and tree.leaves(path, each.target):
            raise _damaged(f"{each.path!r} leads out of it: {each.target!r}")
        target = each.target.removeprefix(f"{top}/") if each.kind is Kind.HARDLINK else each.target
        if path:
            yield replace(each, path=path, target=target)


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(
        f"cannot use the source distribution: {what}",
        hint="it is damaged or hostile; pin another version of it, or bring a wheel",
        code="IB870",
    )
