"""A root file system in the making: what its tiers hold so far, and where a file of a package has its place in it."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

from layers.content import Reader
from layers.deb import Deb
from layers.entry import Entry, Kind
from layers.expression import expression
from layers.values import dataclass, field, replace

# What a container never reads. Of the documentation the copyright files stay, as their licences ask.
_DROPPED = expression(
    r"usr/share/doc/[^/]+/(?!copyright$)"
    r"|usr/share/(man|info|locale|lintian|bug|menu|linda|bash-completion)/"
    r"|usr/share/zoneinfo/(right|posix)/"
    r"|usr/lib/[^/]+/gconv/"
    r"|.*/__pycache__(/|$)|.*\.pyc$"
    r"|usr/lib/python3[^/]*/EXTERNALLY-MANAGED$"
)
_LINKS_MAX = 40


@dataclass
class Root:
    """Entries by path. A folder keeps the mode and owner it was first given, whichever package names it again."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def add(self, entry: Entry) -> Entry:
        """Take in an entry and return what stands at its path now."""
        there = self.entries.get(entry.path)
        if there and entry.kind is Kind.DIRECTORY:
            return there
        self.entries[entry.path] = entry
        return entry

    def place(self, path: str) -> str:
        """Follow links in the folders of a path, as dpkg does: `lib/x` goes to `usr/lib/x`."""
        folder, _, name = path.rpartition("/")
        return f"{self.follow(folder)}/{name}".lstrip("/")

    def follow(self, path: str) -> str:
        """Follow the links of a path to its end, which need not exist. A loop ends where it was entered."""
        done: list[str] = []
        parts = [*reversed(path.split("/"))]
        links = 0
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            entry = self.entries.get("/".join([*done, part]))
            if entry is None or entry.kind is not Kind.SYMLINK or links == _LINKS_MAX:
                done.append(part)
                continue
            links += 1
            if entry.target.startswith("/"):
                done = []
            parts += reversed(entry.target.split("/"))
        return "/".join(done)

    def is_link(self, path: str) -> bool:
        """Say whether a symbolic link stands at a path."""
        return path in self.entries and self.entries[path].kind is Kind.SYMLINK

    def parents(self, path: str) -> Iterator[Entry]:
        """Yield the folders above a path that are known, the nearest first."""
        while path := posixpath.dirname(path):
            if path in self.entries:
                yield self.entries[path]


def unpack(root: Root, deb: Deb, warn: Callable[[str], None]) -> Iterator[Entry]:
    """Yield the files of a package at their places in the root, without those that no container reads.

    Files lose the rights to run as their owner or group (set-user-ID); `warn` is told.
    """
    contents = {entry.path: entry for entry in deb.entries}
    for entry in deb.entries:
        path = root.place(entry.path)
        if _dropped(path, entry.kind) or (entry.kind is Kind.DIRECTORY and root.is_link(path)):
            continue  # a link to a folder stays one, as it does for dpkg
        moved = replace(_linked(root, entry, contents), path=path)
        if moved.kind is Kind.FILE and moved.mode & 0o6000:
            moved = replace(moved, mode=moved.mode & 0o1777)
            warn(f"/{path} runs as whoever calls it: its set-user-ID right was taken away")
        yield root.add(moved)


def _linked(root: Root, entry: Entry, contents: Mapping[str, Entry]) -> Entry:
    """Give a hard link the place of its file; if that is left out, the link becomes the file."""
    file = entry
    while file.kind is Kind.HARDLINK:
        file = contents[file.target]
    target = root.place(file.path)
    return replace(entry, target=target) if file is not entry and not _dropped(target, Kind.FILE) else file


def _dropped(path: str, kind: Kind) -> bool:
    return _DROPPED.match(f"{path}/" if kind is Kind.DIRECTORY else path) is not None


def content(entry: Entry) -> bytes:
    """Read a small file."""
    with closing(Reader()) as reader:
        return b"".join(reader.read(entry.content))
