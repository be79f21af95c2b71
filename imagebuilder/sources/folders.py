"""Folders of the application that are built: their files as a build sees them, and the hash of these."""

import os
from collections.abc import Iterator
from pathlib import Path

from buildpacks.api import App
from layers import digest, entry, tar, tree
from layers.content import stamp
from layers.digest import Digest
from layers.entry import Entry, Kind, SourceFile
from layers.values import dataclass, field, replace

# What a build of the project left there. At the top of the application they are left out already.
_MADE = ("build", "dist")
_AT = "tree"


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a project, and the hash of the tar that they would be."""

    entries: tuple[Entry, ...]
    digest: Digest


@dataclass(frozen=True)
class Folders:
    """The folders of an application, each listed and hashed once.

    What is ignored is not there. A file that changes after it was hashed is an error when it is read for a build.
    """

    app: App
    _read: dict[str, Tree] = field(default_factory=dict)

    def tree(self, path: str) -> Tree:
        """Read a folder. Raises what `tree.entries` raises, and StorageError IB602 for a file that changes."""
        if path not in self._read:
            entries = tuple(self._entries(path))
            self._read[path] = Tree(entries, tar_digest(entries))
        return self._read[path]

    def _entries(self, path: str) -> Iterator[Entry]:
        # Listed from the application down, because a link may lead from one project to another.
        top = "" if path == "." else f"{path}/"

        def ignored(file: str) -> bool:
            if not file.startswith(top):
                return not (file.endswith("/") and top.startswith(file))
            return file.removeprefix(top).rstrip("/") in _MADE or self.app.ignored(file)

        for each in tree.entries(self.app.root, at=_AT, ignored=ignored):
            file = each.path.removeprefix(f"{_AT}/{top}")
            self.app.on_look(top + file)
            found = replace(each, path=file)
            yield self._followed(found, top + file) if found.kind is Kind.SYMLINK else found

    def _followed(self, link: Entry, file: str) -> Entry:
        """Put a file in the place of a link to it that leads out of the folder: a LICENSE of the whole repository."""
        if not tree.leaves(link.path, link.target):
            return link
        target = Path(os.path.normpath(self.app.root / os.path.dirname(file) / link.target))  # noqa: PTH120 may be ""
        if not self.app.has(str(target.relative_to(os.path.normpath(self.app.root)))) or target.is_symlink():
            return link
        status = target.stat()
        source = SourceFile(target.parent, target.name, status.st_size, stamp(status))
        return entry.file(link.path, source, executable=bool(status.st_mode & 0o111))


def tar_digest(entries: tuple[Entry, ...]) -> Digest:
    """Hash the tar that entries would be."""
    hasher = digest.sha256()
    for chunk in tar.chunks(entries):
        hasher.update(chunk)
    return Digest.from_hasher(hasher)
