"""Conda packages as entries: what an installer would write, straight from the archive.

Every file must be in info/paths.json with a sha256, which is checked. Nothing of the package is executed; links and
prefixes are conda's, the rest is normalised as wheels are: no bytecode, scripts of entry points written by one template
(docs/decisions/0168-conda-packages-as-layers.md).
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from layers import canonical, digest, entry, prefix, tarball
from layers.canonical import Json
from layers.conda import CondaPackage, Recorded, damaged, unpack
from layers.content import Reader
from layers.entry import Checksum, Entry, Kind, Stored
from layers.values import dataclass, replace
from layers.wheel import Scheme

# Files that name their prefix are rewritten in memory.
_PATCHED_MAX = 1 << 30
# What of info/index.json an environment keeps: no times, and nothing of the machine it was built on.
_KEPT = (
    *("arch", "build", "build_number", "constrains", "depends", "license", "license_family", "name", "noarch"),
    *("platform", "subdir", "track_features", "version"),
)


def promised(package: CondaPackage, scheme: Scheme) -> tuple[Entry, ...]:
    """List what a package would install, without unpacking it: for comparison only, the contents cannot be read.

    Where links lead is not known then, so two links of one place are taken to be the same.
    """
    found = [
        entry.symlink(_place(package, path, scheme), "?")
        if one.kind is Kind.SYMLINK
        else entry.file(_place(package, path, scheme), _promise(package, path, one))
        for path, one in package.files.items()
        if one.kind is not Kind.DIRECTORY and _wanted(path)
    ]
    return (*found, *_programs(package, scheme))


def conda_entries(
    package: CondaPackage, scheme: Scheme, *, folder: Path, origin: Mapping[str, Json]
) -> tuple[Entry, ...]:
    """Return what conda would install, and its record in `conda-meta`, where `origin` says what file it was.

    The package is unpacked in `folder`, which has to outlive the entries. Raises as `read_conda` does, and IB911 if its
    files are not those that it lists.
    """
    plain = folder / "plain.tar"
    unpack(package.path, plain)
    with plain.open("rb") as file:
        members = {
            member.path: member
            for member in tarball.members(file)
            if not member.path.startswith("info/") and member.path != "info"
        }
    listed = {path for path, member in members.items() if member.kind is not Kind.DIRECTORY}
    if wrong := sorted(listed ^ {path for path, one in package.files.items() if one.kind is not Kind.DIRECTORY}):
        raise damaged(package.path, f"{wrong[0]!r} is in its files or in its list of files, but not in both")
    with closing(Reader()) as reader, (folder / "patched").open("wb") as patched:
        unpacked = _Unpacked(package, members, plain, scheme, reader, patched, folder / "patched")
        found = [one for path in sorted(package.files) if _wanted(path) for one in unpacked.entries(path)]
    found += _programs(package, scheme)
    _check_once(package, found)
    return (*found, _record(package, found, scheme, origin))


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """A package whose files are in `plain`; those that name its prefix are rewritten into `patched`."""

    package: CondaPackage
    members: Mapping[str, tarball.Member]
    plain: Path
    scheme: Scheme
    reader: Reader
    patched: BinaryIO
    patched_path: Path

    def entries(self, path: str) -> Iterator[Entry]:
        one, place = self.package.files[path], _place(self.package, path, self.scheme)
        member = self.members.get(path)
        if member is None or one.kind is Kind.DIRECTORY:
            yield entry.directory(place)
        elif (member.kind is Kind.SYMLINK) != (one.kind is Kind.SYMLINK):
            raise damaged(self.package.path, f"{path!r} is a link and a file")
        elif member.kind is Kind.SYMLINK:
            yield entry.symlink(place, member.target)
        else:
            yield self._file(path, place, one, member)

    def _file(self, path: str, place: str, one: Recorded, member: tarball.Member) -> Entry:
        # A second name is another file of the same content: it does not matter then which of them are kept.
        first = self.members[member.target] if member.kind is Kind.HARDLINK else member
        while first.kind is Kind.HARDLINK:
            first = self.members[first.target]
        if first.size != one.size:
            raise damaged(self.package.path, f"{path!r} has {first.size} bytes, its list of files says {one.size}")
        content = Stored(self.plain, first.offset, first.size, checksum=Checksum("sha256", one.sha256), name=path)
        executable = bool(first.mode & 0o111)
        if not one.placeholder:
            return entry.file(place, content, executable=executable)
        return entry.file(place, self._patch(path, one, content), executable=executable)

    def _patch(self, path: str, one: Recorded, content: Stored) -> Stored:
        if content.size > _PATCHED_MAX:
            raise damaged(self.package.path, f"{path!r} has {content.size} bytes and names its prefix")
        change = prefix.replace_binary if one.binary else prefix.replace_text
        try:
            new = change(
                b"".join(self.reader.read(content)), one.placeholder.encode(), f"/{self.scheme.prefix}".encode()
            )
        except ValueError as error:
            raise damaged(self.package.path, f"{path!r} cannot be installed: {error}") from error
        offset = self.patched.tell()
        self.patched.write(new)
        self.patched.flush()
        checksum = Checksum("sha256", bytes.fromhex(digest.Digest.of(new).hex))
        return Stored(self.patched_path, offset, len(new), checksum=checksum, name=path)


def _place(package: CondaPackage, path: str, scheme: Scheme) -> str:
    """Return where a file goes in the image."""
    top, _, rest = path.partition("/")
    if package.for_python and top == "site-packages":
        return f"{scheme.site_packages}/{rest}"
    if package.for_python and top == "python-scripts":
        return f"{scheme.prefix}/bin/{rest}"
    return f"{scheme.prefix}/{path}"


def _wanted(path: str) -> bool:
    folder, _, last = path.rpartition("/")
    hook = folder == "bin" and last.startswith(".") and last.endswith(("-link.sh", "-unlink.sh"))
    return not (hook or last.endswith((".pyc", ".pyo")) or "__pycache__" in folder.split("/"))


def _programs(package: CondaPackage, scheme: Scheme) -> list[Entry]:
    python = f"/{scheme.prefix}/bin/python"
    return [
        entry.file(f"{scheme.prefix}/bin/{script.name}", script.encode(python), executable=True)
        for script in package.scripts
    ]


def _promise(package: CondaPackage, path: str, one: Recorded) -> Stored:
    return Stored(package.path, 0, one.size, checksum=Checksum("sha256", one.sha256), name=path)


def _check_once(package: CondaPackage, found: list[Entry]) -> None:
    seen: set[str] = set()
    for each in found:
        if each.path in seen:
            raise damaged(package.path, f"two of its files become {each.path!r}")
        seen.add(each.path)


def _record(package: CondaPackage, found: list[Entry], scheme: Scheme, origin: Mapping[str, Json]) -> Entry:
    """Write what `conda list` reads, without addresses, times and paths of any machine."""
    inside = [replace(each, path=each.path.removeprefix(f"{scheme.prefix}/")) for each in found]
    document: dict[str, Json] = {
        **{key: package.index[key] for key in _KEPT if key in package.index},
        **origin,
        "files": sorted(each.path for each in inside if each.kind is not Kind.DIRECTORY),
        "paths_data": {"paths": [_path_record(each) for each in sorted(inside, key=_by_path)], "paths_version": 1},
    }
    name = f"{package.name}-{package.version}-{package.build}.json"
    return entry.file(f"{scheme.prefix}/conda-meta/{name}", canonical.encode(document) + b"\n")


def _by_path(each: Entry) -> bytes:
    return each.path_bytes


def _path_record(each: Entry) -> Json:
    names = {Kind.SYMLINK: "softlink", Kind.DIRECTORY: "directory"}
    said: dict[str, Json] = {"_path": each.path, "path_type": names.get(each.kind, "hardlink")}
    if each.kind is not Kind.FILE:
        return said
    content = each.content
    known = content.checksum.value.hex() if isinstance(content, Stored) and content.checksum else ""
    if isinstance(content, bytes):
        known = digest.Digest.of(content).hex
    return {**said, "sha256_in_prefix": known, "size_in_bytes": each.size}
