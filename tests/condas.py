"""Builds small real conda packages, .conda and .tar.bz2, the same bytes every time, and channels that offer them."""

import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import zstandard

from tests import debs
from tests.debs import Member

# As long as those of real packages, of which a binary keeps the length.
PLACEHOLDER = "/home/builder/work/" + "placehold_" * 22
PREFIX = "layers/conda-environment"


@dataclass(frozen=True)
class Conda:
    """A package on offer. `placeholders` says of which files, and how, the prefix is replaced."""

    name: str
    version: str = "1.0"
    build: str = "0"
    subdir: str = "linux-64"
    members: tuple[Member, ...] = ()
    depends: tuple[str, ...] = ()
    placeholders: Mapping[str, str] = field(default_factory=dict)
    noarch: str = ""
    entry_points: tuple[str, ...] = ()
    form: str = ".conda"
    paths: Sequence[Mapping[str, object]] | None = None
    record: Mapping[str, object] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.build}{self.form}"

    @property
    def index(self) -> dict[str, object]:
        return {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "depends": list(self.depends),
            "subdir": self.subdir,
            "timestamp": 1700000000000,
            **({"noarch": self.noarch} if self.noarch else {}),
        }

    @property
    def content(self) -> bytes:
        about = [
            debs.file("info/index.json", json.dumps(self.index).encode()),
            debs.file("info/paths.json", json.dumps({"paths": self.listed(), "paths_version": 1}).encode()),
        ]
        if self.noarch == "python":
            link = {
                "noarch": {"type": "python", "entry_points": list(self.entry_points)},
                "package_metadata_version": 1,
            }
            about.append(debs.file("info/link.json", json.dumps(link).encode()))
        if self.form == ".tar.bz2":
            return bz2.compress(debs.tar([*self.members, *about], writes=tarfile.PAX_FORMAT))
        return archive(self.file_name.removesuffix(".conda"), debs.tar(self.members), debs.tar(about))

    @property
    def repodata(self) -> dict[str, object]:
        content = self.content
        return {
            **self.index,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "md5": hashlib.md5(content).hexdigest(),
            **self.record,
        }

    def listed(self) -> list[Mapping[str, object]]:
        """Describe the members as info/paths.json does."""
        return list(self.paths) if self.paths is not None else [self._listed(one) for one in self.members]

    def _listed(self, member: Member) -> dict[str, object]:
        content = next((one.content for one in self.members if one.name == member.target), member.content)
        said: dict[str, object] = {
            "_path": member.name,
            "path_type": "softlink" if member.type == tarfile.SYMTYPE else "hardlink",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        if member.name in self.placeholders:
            said |= {"prefix_placeholder": PLACEHOLDER, "file_mode": self.placeholders[member.name]}
        return said


def archive(stem: str, files: bytes, about: bytes) -> bytes:
    """Put the two tars of a .conda together."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, content in (
            ("metadata.json", b'{"conda_pkg_format_version": 2}'),
            (f"pkg-{stem}.tar.zst", zstandard.compress(files)),
            (f"info-{stem}.tar.zst", zstandard.compress(about)),
        ):
            packed.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def channel(packages: Iterable[Conda]) -> dict[str, bytes]:
    """Return the files of a channel by their path: packages, and what there is for each architecture."""
    found = tuple(packages)
    files = {f"{each.subdir}/{each.file_name}": each.content for each in found}
    for subdir in ("linux-64", "noarch"):
        here = [each for each in found if each.subdir == subdir]
        files[f"{subdir}/repodata.json"] = json.dumps(
            {
                "info": {"subdir": subdir},
                "packages": {each.file_name: each.repodata for each in here if each.form == ".tar.bz2"},
                "packages.conda": {each.file_name: each.repodata for each in here if each.form == ".conda"},
                "repodata_version": 1,
            }
        ).encode()
    return files


def python(version: str = "3.13.5", members: tuple[Member, ...] = ()) -> Conda:
    """Return a Python that is one in name only, unless it is given real files."""
    series = version.rpartition(".")[0]
    fake = (
        debs.file(f"bin/python{series}", b"\x7fELF" + PLACEHOLDER.encode() + b"/lib\0rest", mode=0o755),
        debs.symlink("bin/python", f"python{series}"),
        debs.file(f"lib/python{series}/os.py", b"# os\n"),
        debs.file(f"lib/python{series}/__pycache__/os.cpython.pyc", b"\0"),
    )
    return Conda(
        "python",
        version,
        "h1_0_cpython",
        members=members or fake,
        placeholders={} if members else {f"bin/python{series}": "binary"},
    )


TOOL = Conda(
    "tool",
    "2.0",
    "pyh1_0",
    "noarch",
    members=(
        debs.file("site-packages/tool/__init__.py", b"def main():\n    print('tool')\n"),
        debs.file("python-scripts/tool-check", b"#!/bin/sh\n", mode=0o755),
    ),
    depends=("python >=3.9", "lib >=1"),
    noarch="python",
    entry_points=("tool = tool:main",),
)
LIB = Conda(
    "lib",
    "1.3",
    "h2_1",
    members=(
        debs.file("lib/liblib.so.1", b"\x7fELF " + PLACEHOLDER.encode() + b"/share:" + PLACEHOLDER.encode() + b"\0end"),
        debs.symlink("lib/liblib.so", "liblib.so.1"),
        debs.file("share/lib.conf", f"prefix={PLACEHOLDER}\n".encode()),
        debs.hardlink("share/same.conf", "share/lib.conf"),
        debs.file("bin/.lib-post-link.sh", b"#!/bin/sh\n", mode=0o755),
    ),
    depends=("__glibc >=2.17",),
    placeholders={"lib/liblib.so.1": "binary", "share/lib.conf": "text", "share/same.conf": "text"},
    form=".tar.bz2",
)


def other(package: Conda, **changes: object) -> Conda:
    """Return a package with some fields changed."""
    return replace(package, **changes)
