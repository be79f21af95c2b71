"""Conda packages (.conda and .tar.bz2): what they say of themselves and of their files, and the tar of those.

A .conda is a zip of two tars with zstd, one of the files and one of what is said about them; a .tar.bz2 holds both
(conda-build's documentation, "Conda package specification").
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from layers import bunzip, digest, entry, scripts, tarball, unzstd
from layers.bounded import at_most
from layers.canonical import Json
from layers.content import Reader
from layers.entry import Content, Kind
from layers.errors import IntegrityError
from layers.expression import expression
from layers.scripts import Script
from layers.values import dataclass
from layers.zip import read_zip

_CHUNK = 1 << 20
# The largest packages there are unpack to some 5 GB; what they say about 100,000 files has 30 MB.
_SIZE_MAX = 16 << 30
_INFO_MAX = 128 << 20
_INFO = ("info/index.json", "info/paths.json", "info/link.json")
_KINDS = {"hardlink": Kind.FILE, "softlink": Kind.SYMLINK, "directory": Kind.DIRECTORY}
_SAFE = expression(r"[A-Za-z0-9_][A-Za-z0-9_.+!~-]*")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a package says of one of its files. `placeholder` is the prefix it was built for, if that stands in it."""

    kind: Kind
    sha256: bytes = b""
    size: int = 0
    placeholder: str = ""
    binary: bool = False


@dataclass(frozen=True, slots=True)
class CondaPackage:
    """A package on disk: what it says of itself (`index`) and of its files by their path, and its entry points."""

    path: Path
    name: str
    version: str
    build: str
    index: Mapping[str, Json]
    files: Mapping[str, Recorded]
    scripts: tuple[Script, ...]

    @property
    def for_python(self) -> bool:
        """Whether its files go where the environment's Python looks for packages."""
        return self.index.get("noarch") == "python"

    @property
    def hooks(self) -> tuple[str, ...]:
        """The programs that conda would run after it has linked the package; nobody runs them here."""
        names = {f"bin/.{self.name}-{when}-link.sh" for when in ("pre", "post")}
        return tuple(sorted(names & self.files.keys()))


def read_conda(path: Path) -> CondaPackage:
    """Read what a package says of itself; the name of the file does not matter, so it may be a blob of the store.

    Raises IntegrityError IB911 if it is not as it should be, IB510, IB557 or IB558 if its archives are damaged.
    """
    about = _about(path)
    try:
        index, paths = _object(about, "info/index.json"), _object(about, "info/paths.json")
        name, version, build = (_name(index, key) for key in ("name", "version", "build"))
        files = dict(map(_recorded, _list(paths.get("paths"))))
        programs = _entry_points(_object(about, "info/link.json") if "info/link.json" in about else {})
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    return CondaPackage(path, name, version, build, index, files, programs)


def unpack(path: Path, plain: Path) -> None:
    """Write the tar with the files of a package, as plain bytes. Raises as `read_conda` does."""
    with plain.open("wb") as file:
        file.writelines(at_most(_SIZE_MAX, _archive(path, "pkg-"), partial(damaged, path)))


def damaged(path: Path, why: str) -> IntegrityError:
    """Say that a conda package cannot be used."""
    return IntegrityError(
        f"cannot install the conda package {path.name}: {why}",
        hint="it is damaged or hostile; pin another build of it, or report it to its channel",
        code="IB911",
    )


def _about(path: Path) -> dict[str, bytes]:
    """Return the documents of a package; of a .tar.bz2, whose files stand between them, the rest is passed over."""
    archive = tarball.Forward(_archive(path, "info-"))
    found: dict[str, bytes] = {}
    for member in tarball.members(archive):
        if member.path in _INFO and member.kind is Kind.FILE:
            if member.size > _INFO_MAX:
                raise damaged(path, f"{member.path!r} has {member.size} bytes")
            found[member.path] = archive.read(member.size)
    return found


def _archive(path: Path, part: str) -> Iterator[bytes]:
    """Return the plain bytes of the tar that holds a part of a package."""
    with path.open("rb") as file:
        if file.read(3) == b"BZh":
            return bunzip.plain(_chunks(path))
    names = [member for member in read_zip(path) if member.name.startswith(part) and member.name.endswith(".tar.zst")]
    if len(names) != 1:
        raise damaged(path, f"it has {len(names)} archives {part}*.tar.zst")
    return unzstd.plain(_stored(names[0].content()))


def _stored(content: Content) -> Iterator[bytes]:
    with closing(Reader()) as reader:
        yield from reader.read(content)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _recorded(record: Json) -> tuple[str, Recorded]:
    if not isinstance(record, Mapping):
        raise TypeError("an item of info/paths.json is no object")
    path, kind = _text(record, "_path"), _KINDS.get(_text(record, "path_type"))
    if kind is None:
        raise ValueError(f"{path!r} is of no kind that is known")
    entry.check_path(path)
    if kind is not Kind.FILE:
        return path, Recorded(kind)
    sha256, size = bytes.fromhex(_text(record, "sha256")), record.get("size_in_bytes")
    if len(sha256) != digest.HASH_SIZES["sha256"] or not isinstance(size, int):
        raise ValueError(f"{path!r} has no sha256 or no size")
    placeholder, mode = record.get("prefix_placeholder") or "", record.get("file_mode") or "text"
    if not isinstance(placeholder, str) or mode not in ("text", "binary"):
        raise ValueError(f"the prefix in {path!r} is of no kind that is known")
    return path, Recorded(kind, sha256, size, placeholder, mode == "binary")


def _entry_points(link: Mapping[str, Json]) -> tuple[Script, ...]:
    noarch = link.get("noarch")
    listed = _list(noarch.get("entry_points") or []) if isinstance(noarch, Mapping) else []
    return scripts.parse("[console_scripts]\n" + "".join(f"{line}\n" for line in listed))


def _object(about: Mapping[str, bytes], name: str) -> Mapping[str, Json]:
    if name not in about:
        raise ValueError(f"it has no {name}")
    document: Json = json.loads(about[name])
    if not isinstance(document, Mapping):
        raise TypeError(f"{name} is no object")
    return document


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError("a list is of another type")
    return value


def _text(record: Mapping[str, Json], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value or "\n" in value:
        raise ValueError(f"{key!r} is missing or no text")
    return value


def _name(index: Mapping[str, Json], key: str) -> str:
    value = _text(index, key)
    if not _SAFE.fullmatch(value):
        raise ValueError(f"its {key} is {value[:100]!r}")
    return value
