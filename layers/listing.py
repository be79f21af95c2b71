"""Listings: what wheels install, by path, in as few words as it takes to say whether two of them disagree.

A listing is soon written down and read again, where to read the wheel takes its bytes and ten times as long.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing

from layers.content import Reader
from layers.entry import Entry, Kind
from layers.wheel import conflict, sha256_of

# By path, what is there: files are equal if these words are, whatever their modes.
Listing = Mapping[str, str]
_FOLDER = "folder"


def listing(entries: Iterable[Entry]) -> Listing:
    """List files; hashes of a RECORD are believed, contents without one are read."""
    with closing(Reader()) as reader:
        return {entry.path: _words(entry, reader) for entry in entries}


def check(installed: Iterable[tuple[str, Listing]]) -> None:
    """Raise what `layers.wheel.merge` raises, IB512, if two of what is named bring different files for one path."""
    listings = list(installed)
    merged: dict[str, str] = {}
    for owner, files in listings:
        if differing := [path for path in merged.keys() & files.keys() if merged[path] != files[path]]:
            raise conflict(_owner(min(differing), listings), owner, min(differing))
        merged |= files
    folders = _folders(merged)
    if blocking := [path for path in merged.keys() & folders if merged[path] != _FOLDER]:
        below = min(path for path in merged if path.startswith(f"{min(blocking)}/"))
        raise conflict(_owner(min(blocking), listings), _owner(below, listings), min(blocking))


def _words(entry: Entry, reader: Reader) -> str:
    match entry.kind:
        case Kind.FILE:
            return f"{entry.size} {sha256_of(entry.content, reader).hex()}"
        case Kind.DIRECTORY:
            return _FOLDER
        case Kind.SYMLINK | Kind.HARDLINK:
            return f"{entry.kind.name} {entry.target}"


def _owner(path: str, listings: Iterable[tuple[str, Listing]]) -> str:
    return next(owner for owner, files in listings if path in files)


def _folders(paths: Iterable[str]) -> set[str]:
    """Return all folders that files are in, however deep."""
    found: set[str] = set()
    last = {path.rpartition("/")[0] for path in paths}
    while last := {folder for folder in last if folder} - found:
        found |= last
        last = {folder.rpartition("/")[0] for folder in last}
    return found
