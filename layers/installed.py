"""Installed distributions as entries: what another installer wrote, in the form in which `layers.wheel` writes it.

Contents are those that the installer left, and each is checked against its RECORD when it is read. What differs from
installer to installer is made alike: no bytecode, no installer's own files, RECORD sorted, scripts of entry points by
our template (docs/decisions/0166-what-is-taken-of-an-installation.md). The tree is not trusted: a file that no RECORD
lists and a link are errors, and nothing is followed.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from layers import record, scripts, tree, wheel
from layers.content import Reader
from layers.digest import Digest
from layers.entry import Checksum, Entry, Kind, SourceFile, Stored, file
from layers.errors import IntegrityError, UsageError
from layers.record import Row
from layers.scripts import Script
from layers.values import dataclass, field, replace
from layers.wheel import Scheme

_TEXT_SIZE = 64 << 20
_MOST_FILES = 1_000_000
# What uv leaves in the environment itself.
_OF_TOOLS = (".lock", "CACHEDIR.TAG", ".gitignore")
_SHEBANG = 256


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution that was installed: `name` is normalised, `version` verbatim; its files as entries."""

    name: str
    version: str
    entries: tuple[Entry, ...]


def read_installed(root: Path, scheme: Scheme, *, at: str, own: frozenset[str]) -> tuple[Installed, ...]:
    """Return the distributions in a virtual environment, sorted by name; `own` are paths in it that are no package's.

    `root` is the folder that will be at the prefix of the scheme, and `at` the path at which the installer saw it.
    Raises IntegrityError IB902 for what is not as RECORD says, and IB513 when the content of such a file is read.
    """
    try:
        files = _files(root, scheme, own)
        with closing(Reader()) as reader:
            found = [
                _Distribution(posixpath.dirname(path), scheme, at, files, reader)
                for path in sorted(files)
                if _is_record(path, scheme)
            ]
            installed = [each.read() for each in found]
    except UsageError as error:  # of listing the tree
        raise _wrong(error.message) from error
    except (ValueError, RecursionError) as error:
        raise _wrong(str(error)) from error
    ours = {f"{scheme.prefix}/{name}" for name in _OF_TOOLS}.union(*(each.claimed for each in found))
    if unlisted := sorted(files.keys() - ours):
        raise _wrong(f"no RECORD lists {unlisted[0][:300]!r}")
    return tuple(sorted(installed, key=lambda each: each.name))


def like_wheel(installed: Iterable[Entry], wheel_entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the installed files; those that are just as in the wheel with the content of the wheel.

    Its bytes are the same, and compressed as its author did, which is how they get into a layer.
    """
    known = {entry.path: entry for entry in wheel_entries}
    with closing(Reader()) as reader:
        return tuple(_like(entry, known.get(entry.path), reader) for entry in installed)


def _like(entry: Entry, known: Entry | None, reader: Reader) -> Entry:
    if known is None or known.mode != entry.mode:
        return entry
    # What RECORD says of a file that was installed is not what the file is.
    read = replace(entry.content, checksum=None) if isinstance(entry.content, Stored) else entry.content
    return known if wheel.same(replace(entry, content=read), known, reader) else entry


def _files(root: Path, scheme: Scheme, own: frozenset[str]) -> Mapping[str, Entry]:
    found = tree.entries(root, at=scheme.prefix, ignored=own.__contains__)
    if len(found) > _MOST_FILES:
        raise ValueError(f"there are {len(found)} files")
    for item in found:
        if item.kind is Kind.SYMLINK:
            raise ValueError(f"{item.path[:300]!r} is a link")
    return {item.path: item for item in found if item.kind is Kind.FILE}


def _is_record(path: str, scheme: Scheme) -> bool:
    folder, name = posixpath.split(path)
    return name == "RECORD" and folder.endswith(".dist-info") and posixpath.dirname(folder) == scheme.site_packages


@dataclass(frozen=True, slots=True)
class _Distribution:
    """One of those in the tree: `folder` is its *.dist-info, `claimed` what its RECORD lists."""

    folder: str
    scheme: Scheme
    at: str
    files: Mapping[str, Entry]
    reader: Reader
    claimed: set[str] = field(default_factory=set)

    def read(self) -> Installed:
        """Return it as entries. Raises ValueError for what is not as it should be."""
        about = wheel.fields(self._text("METADATA"))
        if any(len(about.get(key, ())) != 1 for key in ("name", "version")):
            raise ValueError(f"{self.folder} does not say which project and version it is")
        programs: tuple[Script, ...] = ()
        if f"{self.folder}/entry_points.txt" in self.files:
            programs = scripts.parse(self._text("entry_points.txt"))
        own_record = f"{self.folder}/RECORD"
        entries, rows = [], [Row(self.scheme.relative(own_record))]
        for entry, row in self._installed(programs):
            entries.append(entry)
            rows.append(row)
        entries.append(file(own_record, record.encode(rows)))
        return Installed(wheel.normalised(about["name"][0]), about["version"][0], tuple(entries))

    def _installed(self, programs: tuple[Script, ...]) -> Iterator[tuple[Entry, Row]]:
        generated = {f"{self.scheme.prefix}/bin/{script.name}": script for script in programs}
        for row in record.parse(self._text("RECORD")).values():
            path = self._place(row.path)
            if path in self.claimed:
                raise ValueError(f"RECORD of {self.folder} lists {path!r} twice")
            self.claimed.add(path)
            if self._is_dropped(path, programs):
                continue
            if path not in self.files:
                raise ValueError(f"{path[:300]!r} is in RECORD of {self.folder}, and not there")
            if path in generated:
                yield self._program(path, generated[path].encode(self.scheme.python))
            else:
                yield self._file(self.files[path], row.checksum)
        if missing := sorted(generated.keys() - self.claimed):
            raise ValueError(f"the script {missing[0]!r} is not there")

    def _place(self, path: str) -> str:
        """Return the path in the image of what RECORD lists, relative to site-packages."""
        place = posixpath.normpath(posixpath.join(self.scheme.site_packages, path))
        if not place.startswith(f"{self.scheme.prefix}/"):
            raise ValueError(f"RECORD of {self.folder} lists {path[:300]!r}, which is elsewhere")
        return place

    def _is_dropped(self, path: str, programs: tuple[Script, ...]) -> bool:
        """Say whether a file is left out; bytecode that is listed need not be there."""
        folder, name = posixpath.split(path)
        if folder != f"{self.scheme.prefix}/bin":
            return wheel.is_dropped(path, self.folder)
        # pip and uv invent a script for pip that its entry points do not have.
        invented = scripts.is_wrapper(name, programs) or name == f"pip{self.scheme.series}"
        return invented and name not in {each.name for each in programs}

    def _file(self, found: Entry, checksum: Checksum | None) -> tuple[Entry, Row]:
        content = _content(found, checksum)
        if posixpath.dirname(found.path) == f"{self.scheme.prefix}/bin" and self._is_ours(content):
            _, _, rest = b"".join(self.reader.read(content)).partition(b"\n")
            return self._program(found.path, f"#!{self.scheme.python}\n".encode() + rest)
        entry = file(found.path, content, executable=bool(found.mode & 0o111))
        return entry, Row(self.scheme.relative(found.path), checksum, found.size if checksum else None)

    def _is_ours(self, content: Stored) -> bool:
        """Say whether a script is run by the interpreter of the environment, under whichever of its names."""
        head = b"".join(self.reader.read(Stored(content.file, 0, min(content.size, _SHEBANG)))).partition(b"\n")[0]
        ours = re.escape(f"{self.at}/bin/python".encode())
        return re.fullmatch(b"#!" + ours + rb"[0-9.]*\s*", head) is not None

    def _program(self, path: str, program: bytes) -> tuple[Entry, Row]:
        checksum = Checksum("sha256", bytes.fromhex(Digest.of(program).hex))
        return file(path, program, executable=True), Row(self.scheme.relative(path), checksum, len(program))

    def _text(self, name: str) -> str:
        found = self.files.get(f"{self.folder}/{name}")
        if found is None or found.size > _TEXT_SIZE:
            raise ValueError(f"{self.folder}/{name} is {'too large' if found else 'missing'}")
        return b"".join(self.reader.read(found.content)).decode("utf-8-sig")


def _content(found: Entry, checksum: Checksum | None) -> Stored:
    if not isinstance(found.content, SourceFile):
        raise TypeError("a tree has files")
    return Stored(found.content.path, 0, found.content.size, checksum=checksum, name=found.path)


def _wrong(reason: str) -> IntegrityError:
    return IntegrityError(
        f"cannot use what was installed: {reason}",
        hint='build with engine = "direct", and report the package and the tool',
        code="IB902",
    )
