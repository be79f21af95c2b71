"""Wheels as entries: what an installer would write, straight from the archive (PyPA binary distribution format).

Every file of a wheel must be in its RECORD with a hash, which is checked when the file is read. Nothing of the wheel
is executed. What differs from pip is what docs/format.md normalises: no bytecode, no installer's own files, RECORD
sorted, scripts of entry points written by one template (docs/decisions/0003-wheels.md).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from layers import digest, record, scripts
from layers.content import Reader
from layers.digest import Digest
from layers.entry import Checksum, Content, Deflated, Entry, Kind, Stored, file
from layers.errors import IntegrityError
from layers.record import Row
from layers.scripts import Script
from layers.values import dataclass
from layers.zip import Member, read_zip

_TEXT_SIZE = 64 << 20
# Written by installers about themselves and the machine they ran on.
_INSTALLER_FILES = ("INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json")
# RECORD cannot list its own hash; signatures are made after it.
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on disk whose archive, metadata and RECORD were checked. `name` is normalised, `version` is verbatim.

    `members` are its files by name and `rows` what its RECORD says of them.
    """

    path: Path
    name: str
    version: str
    dist_info: str
    tags: tuple[str, ...]
    root_is_purelib: bool
    members: Mapping[str, Member]
    rows: Mapping[str, Row]
    scripts: tuple[Script, ...]

    def content(self, name: str) -> Content:
        """Return a file of the wheel, to be checked against RECORD when it is read."""
        row = self.rows.get(name)
        return self.members[name].content(row.checksum if row else None)


@dataclass(frozen=True, slots=True)
class Scheme:
    """Where a wheel goes in the image: a virtual environment at `prefix`, for `series` (`3.13`), run by `python`."""

    prefix: str = "layers/site-packages"
    series: str = "3.13"
    python: str = "/layers/site-packages/bin/python"

    @property
    def site_packages(self) -> str:
        """The folder of importable packages."""
        return f"{self.prefix}/lib/python{self.series}/site-packages"

    def folder(self, key: str, project: str) -> str | None:
        """Return where files under `*.data/key` go: the install paths of a virtual environment. None: no such key."""
        return {
            "purelib": self.site_packages,
            "platlib": self.site_packages,
            "scripts": f"{self.prefix}/bin",
            "data": self.prefix,
            "headers": f"{self.prefix}/include/site/python{self.series}/{project}",
        }.get(key)

    def relative(self, path: str) -> str:
        """Return a path of the image as RECORD names it: relative to site-packages."""
        inside = path.removeprefix(f"{self.site_packages}/")
        return inside if inside != path else "../../../" + path.removeprefix(f"{self.prefix}/")


def read_wheel(path: Path) -> Wheel:
    """Check a wheel and return what it is. The name of the file does not matter, so it may be a blob of the store.

    Raises IntegrityError IB510 if the archive, IB511 if the wheel in it is not as the specification wants, for
    example with a file that RECORD does not list; IB513 if its metadata is not what RECORD promises.
    """
    members = {member.name: member for member in read_zip(path)}
    dist_info = _find_dist_info(path, members)
    try:
        rows = record.parse(_text(members, f"{dist_info}/RECORD"))
        _check_rows(members, rows, dist_info)
        about = fields(_text(members, f"{dist_info}/WHEEL", rows))
        project = fields(_text(members, f"{dist_info}/METADATA", rows))
        _check_about(about, project, dist_info)
        entry_points = f"{dist_info}/entry_points.txt"
        programs = scripts.parse(_text(members, entry_points, rows)) if entry_points in members else ()
    except ValueError as error:
        raise _malformed(dist_info.removesuffix(".dist-info"), str(error)) from error
    return Wheel(
        path=path,
        name=normalised(project["name"][0]),
        version=project["version"][0],
        dist_info=dist_info,
        tags=tuple(about.get("tag", ())),
        root_is_purelib=about.get("root-is-purelib") == ["true"],
        members=members,
        rows=rows,
        scripts=programs,
    )


def wheel_entries(wheel: Wheel, scheme: Scheme) -> tuple[Entry, ...]:
    """Return what pip would install, without bytecode and installer state.

    Contents are read and checked when the layer is written; only scripts are looked at here.
    """
    installed: dict[str, Entry] = {}
    rows: list[Row] = []
    with closing(Reader()) as reader:
        for entry, row in _installed(wheel, scheme, reader):
            if installed.setdefault(entry.path, entry) is not entry:
                raise _malformed(f"{wheel.name} {wheel.version}", f"two of its files become {entry.path!r}")
            rows.append(row)
    path = f"{scheme.site_packages}/{wheel.dist_info}/RECORD"
    installed[path] = file(path, record.encode([*rows, Row(scheme.relative(path))]))
    return tuple(installed.values())


def merge(installed: Iterable[tuple[str, Iterable[Entry]]]) -> tuple[Entry, ...]:
    """Merge what several named wheels (or other sources) install; equal files are kept once.

    Raises IntegrityError IB512, naming both and the path, if two bring different bytes for one path. It reads no
    archive but for hashes of different kinds.
    """
    merged: dict[str, Entry] = {}
    owners: dict[str, str] = {}
    with closing(Reader()) as reader:
        for owner, entries in installed:
            for entry in entries:
                present = merged.setdefault(entry.path, entry)
                if not same(present, entry, reader):
                    raise conflict(owners[entry.path], owner, entry.path)
                if entry.mode > present.mode:  # executable if one of them says so, whatever their order
                    merged[entry.path] = entry
                owners.setdefault(entry.path, owner)
    folders: set[str] = set()
    for path in merged:
        for parent in _parents(path):
            if parent in folders:
                break  # so are those above it
            folders.add(parent)
            if parent in merged and merged[parent].kind is not Kind.DIRECTORY:
                raise conflict(owners[parent], owners[path], parent)
    return tuple(merged.values())


def _installed(wheel: Wheel, scheme: Scheme, reader: Reader) -> Iterator[tuple[Entry, Row]]:
    for name in wheel.members:
        if not is_dropped(name, wheel.dist_info):
            yield from _install(wheel, name, scheme, reader=reader)
    for script in wheel.scripts:
        yield _generated(f"{scheme.prefix}/bin/{script.name}", script.encode(scheme.python), scheme)


def _install(wheel: Wheel, name: str, scheme: Scheme, *, reader: Reader) -> Iterator[tuple[Entry, Row]]:
    member = wheel.members[name]
    path, key = _destination(wheel, name, scheme)
    if key == "scripts":
        if scripts.is_wrapper(path.rpartition("/")[2], wheel.scripts):
            return
        if _starts_with(reader.read(wheel.content(name)), b"#!python"):
            text = b"".join(reader.read(wheel.content(name)))
            yield _generated(path, scripts.set_interpreter(text, scheme.python), scheme)
            return
    entry = file(path, wheel.content(name), executable=member.executable or key == "scripts")
    row = wheel.rows.get(name)
    yield entry, Row(scheme.relative(path), row.checksum, member.size) if row else Row(scheme.relative(path))


def _generated(path: str, program: bytes, scheme: Scheme) -> tuple[Entry, Row]:
    checksum = Checksum("sha256", bytes.fromhex(Digest.of(program).hex))
    return file(path, program, executable=True), Row(scheme.relative(path), checksum, len(program))


def _destination(wheel: Wheel, name: str, scheme: Scheme) -> tuple[str, str]:
    """Return a file's path in the image and the key of its scheme; pip takes every top folder `*.data` for one."""
    top, _, rest = name.partition("/")
    if not (rest and top.endswith(".data")):
        return f"{scheme.site_packages}/{name}", "purelib"
    key, _, inside = rest.partition("/")
    folder = scheme.folder(key, wheel.name)
    if folder is None or not inside:
        raise _malformed(f"{wheel.name} {wheel.version}", f"{name!r} belongs to no install scheme")
    return f"{folder}/{inside}", key


def is_dropped(name: str, dist_info: str) -> bool:
    """Say whether a file is of the machine it was installed on: bytecode, and what installers say of themselves."""
    folder, _, last = name.rpartition("/")
    return (
        last.endswith(".pyc")
        or "__pycache__" in folder.split("/")
        or (folder == dist_info and (last in _INSTALLER_FILES or last == "RECORD"))
    )


def _find_dist_info(path: Path, members: Mapping[str, Member]) -> str:
    folders = {name.partition("/")[0] for name in members}
    found = [name for name in folders if name.endswith(".dist-info") and f"{name}/WHEEL" in members]
    if len(found) != 1:
        raise _malformed(path.name, f"it has {len(found)} folders `*.dist-info` with a file WHEEL")
    return found[0]


def _text(members: Mapping[str, Member], name: str, rows: Mapping[str, Row] | None = None) -> str:
    """Return a metadata file. Raises ValueError if it is missing, too large or not UTF-8."""
    member = members.get(name)
    if member is None or member.size > _TEXT_SIZE:
        raise ValueError(f"{name} is {'missing' if member is None else 'too large'}")
    row = rows.get(name) if rows else None
    with closing(Reader()) as reader:
        return b"".join(reader.read(member.content(row.checksum if row else None))).decode("utf-8-sig")


def fields(text: str) -> Mapping[str, list[str]]:
    """Return the header fields of WHEEL or METADATA, in lower case, up to the first empty line."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        if not line[0].isspace():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip().lower(), []).append(value.strip())
    return fields


def _check_rows(members: Mapping[str, Member], rows: Mapping[str, Row], dist_info: str) -> None:
    unrecorded = {f"{dist_info}/{name}" for name in _UNRECORDED}
    for name, member in members.items():
        row = rows.get(name)
        if name in unrecorded:
            continue
        if row is None or row.checksum is None:
            raise ValueError(f"RECORD has no hash for {name!r}")
        if row.size not in (None, member.size):
            raise ValueError(f"RECORD says {name!r} has {row.size} bytes, the archive {member.size}")
    if missing := sorted(rows.keys() - members.keys() - unrecorded):
        raise ValueError(f"RECORD lists {missing[0]!r}, which is not in the archive")


def _check_about(about: Mapping[str, list[str]], project: Mapping[str, list[str]], dist_info: str) -> None:
    version = ", ".join(about.get("wheel-version", ["missing"]))
    if not re.fullmatch(r"1\.\d+", version):
        raise ValueError(f"its Wheel-Version is {version[:100]}; only 1.x is understood")
    for field in ("name", "version"):
        if len(project.get(field, ())) != 1:
            raise ValueError(f"METADATA does not have one field {field.title()}")
    if not normalised(dist_info).startswith(normalised(project["name"][0]) + "-"):
        raise ValueError(f"METADATA says it is {project['name'][0][:100]!r}")


def normalised(name: str) -> str:
    """Return the normalised form of a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _starts_with(chunks: Iterable[bytes], start: bytes) -> bool:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(start):
            break
    return head.startswith(start)


def same(left: Entry, right: Entry, reader: Reader) -> bool:
    """Say whether two entries are the same file; hashes of a RECORD are believed, contents without one are read."""
    if left is right:
        return True
    if (left.kind, left.target, left.size) != (right.kind, right.target, right.size):
        return False
    return left.content == right.content or sha256_of(left.content, reader) == sha256_of(right.content, reader)


def sha256_of(content: Content, reader: Reader) -> bytes:
    """Return the hash of a content; that of a RECORD is believed, a content without one is read."""
    if isinstance(content, (Stored, Deflated)) and content.checksum and content.checksum.algorithm == "sha256":
        return content.checksum.value
    hasher = digest.sha256()
    for chunk in reader.read(content):
        hasher.update(chunk)
    return hasher.digest()


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _malformed(what: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"cannot install the wheel {what}: {why}",
        hint="it is not built as the wheel specification wants; report it to its project or pin another version",
        code="IB511",
    )


def conflict(left: str, right: str, path: str) -> IntegrityError:
    """Say that two of what is installed disagree about a path."""
    return IntegrityError(
        f"{left} and {right} both install {path}, each with other bytes",
        hint="remove one of the two from the requirements; which file would win is otherwise chance",
        code="IB512",
    )
