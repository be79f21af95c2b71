"""Packages: what an image says is installed in it, by the records of pip's and Debian's installers."""

from collections.abc import Iterator
from typing import Literal

from layers.canonical import Json
from layers.expression import expression
from layers.values import dataclass
from reproducibility.listing import Member, Members

_METADATA = ".dist-info/METADATA"
_DPKG = expression(r"var/lib/dpkg/status(?:\.d/[^/]+)?")
_LARGEST = 16 << 20  # dpkg's status of a whole system has 3 MB
_FIELD = expression(r"([A-Za-z-]+):[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class Package:
    """A package, by its own word. `size` is what its record says that its files have, in bytes."""

    kind: Literal["python", "debian"]
    name: str
    version: str
    size: int
    path: str

    def to_json(self) -> dict[str, Json]:
        """Return the package as `--json` shows it."""
        return {"kind": self.kind, "name": self.name, "version": self.version, "size": self.size}


def read(files: Members) -> tuple[Package, ...]:
    """Read the records in a file system, sorted; what is damaged or has no name is none."""
    found = [package for path, member in files.items() for package in _packages(path, member, files)]
    return tuple(sorted(found, key=lambda package: (package.kind, package.name.lower(), package.path)))


def _packages(path: str, member: Member, files: Members) -> Iterator[Package]:
    if member.kind != "file":
        return
    if path.endswith(_METADATA):
        fields = _fields(_text(member).partition("\n\n")[0])
        record = files.get(f"{path.removesuffix('METADATA')}RECORD")
        if fields.get("name"):
            yield Package("python", fields["name"], fields.get("version", ""), _recorded(record), path)
    elif _DPKG.fullmatch(path) and not path.endswith(".md5sums"):
        for paragraph in _text(member).split("\n\n"):
            fields = _fields(paragraph)
            if fields.get("package") and fields.get("status", "installed").split()[-1:] == ["installed"]:
                size = _number(fields.get("installed-size", "")) << 10
                yield Package("debian", fields["package"], fields.get("version", ""), size, path)


def _text(member: Member) -> str:
    return member.content.read(0, _LARGEST).decode("utf-8", "replace").replace("\r\n", "\n")


def _fields(paragraph: str) -> dict[str, str]:
    """Read `Name: value` lines; what continues a line is of no interest here."""
    matches = (_FIELD.fullmatch(line) for line in paragraph.split("\n"))
    return {match[1].lower(): match[2].strip() for match in matches if match}


def _recorded(record: Member | None) -> int:
    """Add up the sizes in a RECORD: the last field of each of its lines."""
    if record is None or record.kind != "file":
        return 0
    return sum(_number(line.rpartition(",")[2].strip()) for line in _text(record).split("\n"))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
