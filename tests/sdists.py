"""Source distributions made on the spot, with a build backend of their own, and a Debian whose Python really runs."""

import gzip
import io
import os
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests import debs, index, mirror, shut_in, world
from tests.debs import Member, Package
from tests.index import Wheel
from tests.world import World

SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSION = f"{SERIES}.{sys.version_info.micro}"
# Of the standard library, what backends of tests import: all modules, these packages, and these extensions.
_PACKAGES = ("collections", "ctypes", "email", "encodings", "importlib", "json", "re", "urllib")
_EXTENSIONS = (
    "_bisect",
    "_blake2",
    "_ctypes",
    "_hashlib",
    "_json",
    "_random",
    "_sha",
    "_socket",
    "_struct",
    "array",
    "binascii",
    "math",
    "select",
    "unicodedata",
    "zlib",
)

# A backend (PEP 517): all modules beside it are packed, and what `make` returns by name.
BACKEND = """
import base64, hashlib, os, pathlib, zipfile

NAME, VERSION, TAG, NEEDS, REQUIRES = {name!r}, {version!r}, {tag!r}, {needs!r}, {requires!r}

def get_requires_for_build_wheel(config_settings=None):
    return NEEDS

def make():
    return {{}}

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    stem = NAME.replace("-", "_") + "-" + VERSION
    files = {{path.name: path.read_bytes() for path in pathlib.Path(".").glob("*.py") if path.name != "backend.py"}}
    files.update(make())
    about = "Metadata-Version: 2.1\\nName: " + NAME + "\\nVersion: " + VERSION + "\\n"
    about += "".join("Requires-Dist: " + one + "\\n" for one in REQUIRES)
    files[stem + ".dist-info/METADATA"] = about.encode()
    files[stem + ".dist-info/WHEEL"] = ("Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: " + TAG + "\\n").encode()
    rows = ""
    for path, content in files.items():
        value = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows += path + ",sha256=" + value + "," + str(len(content)) + "\\n"
    files[stem + ".dist-info/RECORD"] = rows.encode() + (stem + ".dist-info/RECORD,,\\n").encode()
    wheel = stem + "-" + TAG + ".whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel
"""
PYPROJECT = '[build-system]\nrequires = {requires}\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def sdist(
    name: str = "demo",
    version: str = "1.0",
    *,
    files: Mapping[str, str] | None = None,
    code: str = "",
    tag: str = "py3-none-any",
    build_requires: Sequence[str] = (),
    needs: Sequence[str] = (),
    requires: Sequence[str] = (),
) -> Wheel:
    """Make a source distribution. `code` ends the backend's module; `needs` is what it asks for when it is run."""
    backend = BACKEND.format(name=name, version=version, tag=tag, needs=list(needs), requires=list(requires)) + code
    written = {
        "pyproject.toml": PYPROJECT.format(requires=list(build_requires)),
        "backend.py": backend,
        **({f"{name.replace('-', '_')}.py": "VALUE = 1\n"} if files is None else files),
    }
    stem = f"{name.replace('-', '_')}-{version}"
    return Wheel(f"{stem}.tar.gz", packed({f"{stem}/{path}": text for path, text in written.items()}))


def packed(files: Mapping[str, str]) -> bytes:
    """Pack files as Python's own tools do."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, text in files.items():
            header = tarfile.TarInfo(path)
            header.size = len(text.encode())
            header.mtime = 1_700_000_000.5  # type: ignore[assignment]  # as in archives of setuptools
            archive.addfile(header, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


@cache
def python_packages() -> tuple[Package, ...]:
    """Pack the Python that runs the tests, and the C library, as packages of Debian."""
    interpreter = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    place = f"./usr/lib/python{SERIES}"
    members = [debs.file(f"./usr/bin/python{SERIES}", interpreter.read_bytes(), mode=0o755)]
    modules = [*library.glob("*.py"), *(path for name in _PACKAGES for path in (library / name).rglob("*.py"))]
    extensions = [path for name in _EXTENSIONS for path in (library / "lib-dynload").glob(f"{name}*.so")]
    for path in sorted([*modules, *extensions]):
        members.append(debs.file(f"{place}/{path.relative_to(library)}", path.read_bytes()))
    programs = [interpreter, *extensions]
    shared = {found.name: found for program in programs for found in shut_in.libraries(program)}
    libraries = [_library(shared[name]) for name in sorted(shared)]
    return (
        debs.package("libc6", *libraries, version=world.LIBC, compression=""),
        debs.package(f"python{SERIES}", *members, version=f"{VERSION}-1", compression="", depends="libc6"),
    )


def _library(named: Path) -> Member:
    """Put a library where Debian's loader finds it, wherever it is here."""
    folder = "/usr/lib64" if named.name.startswith("ld-") else "/usr/lib/x86_64-linux-gnu"
    return debs.file(f".{folder}/{named.name}", named.read_bytes(), mode=0o755)


@contextmanager
def running(folder: Path, *files: Wheel, packages: tuple[Package, ...] = ()) -> Iterator[World]:
    """Start a world in which sources can be built: with `files` on its index, beside the usual ones."""
    base = tuple(package for package in world.BASE if package.name != "libc6")
    with mirror.running(folder) as debian, index.serve(*world.SHELF, *files) as shelf:
        debian.publish_suite("trixie", (*base, *python_packages(), *packages))
        yield World(folder, debian, shelf)
