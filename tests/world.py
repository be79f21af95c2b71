"""A whole world on loopback: a Debian mirror and a package index with all that an image needs, and a home of its own.

The command line runs in a process of its own, as a user runs it, and reaches nothing else.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import debs, index, mirror
from tests.debs import Package
from tests.index import Index, Wheel
from tests.mirror import Mirror

ROOT = Path(__file__).parent.parent
LIBC = "2.41-12"

BASE = (
    debs.package("libc6", debs.file("./usr/lib/x86_64-linux-gnu/libc.so.6", b"c"), version=LIBC),
    debs.package("base-files", debs.file("./etc/debian_version", b"13.8\n"), depends=f"libc6 (>= {LIBC})"),
    debs.package("tzdata", debs.file("./usr/share/zoneinfo/Europe/Lisbon", b"TZif")),
    *(debs.package(name) for name in ("ca-certificates", "libc-bin", "libgcc-s1", "libstdc++6", "netbase", "zlib1g")),
)
PYTHON = (
    debs.package(
        "python3.13", debs.file("./usr/bin/python3.13", b"\x7fELF", mode=0o755), version="3.13.5-2", depends="libexpat1"
    ),
    debs.package("libexpat1", version="2.7.1-2"),
)
EXTRAS = (debs.package("libpq5", debs.file("./usr/lib/libpq.so.5", b"pq")), debs.package("dash"))
SHELF = (
    index.wheel(
        "flask", "3.1.2", requires=["click>=8"], python=">=3.9", files={"flask/__init__.py": b"import click\n"}
    ),
    index.wheel("click", "8.2.0", files={"click.py": b"# command line\n"}),
    index.wheel("click", "8.3.0", files={"click.py": b"# newer command line\n"}),
    index.wheel("windows-only", "1.0", tag="cp313-cp313-win_amd64"),
    index.wheel("future", "1.0", python=">=3.99"),
)


@dataclass
class World:
    """The servers, and a folder for applications, caches and images."""

    folder: Path
    mirror: Mirror
    index: Index

    def app(self, files: Mapping[str, str], name: str = "app") -> Path:
        """Write an application."""
        for path, text in files.items():
            place = self.folder / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    @property
    def environment(self) -> dict[str, str]:
        """What leads the command line to the servers."""
        return {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index.url,
            "IMAGEBUILDER_CACHE_DIR": str(self.folder / "cache"),
            "IMAGEBUILDER_PYTHON_MIRROR": f"{self.mirror.address}/python",
            "IMAGEBUILDER_DEBIAN_MIRROR": f"{self.mirror.address}/debian",
            "IMAGEBUILDER_DEBIAN_SNAPSHOT": f"{self.mirror.address}/snapshot",
            "IMAGEBUILDER_DEBIAN_KEYRING": str(self.mirror.keyring),
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder and return what it printed."""
        return subprocess.run(
            [sys.executable, "-m", "imagebuilder", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@contextmanager
def running(folder: Path, *wheels: Wheel, packages: tuple[Package, ...] = ()) -> Iterator[World]:
    """Start both servers; `wheels` and `packages` are on offer beside the usual ones."""
    with mirror.running(folder) as debian, index.serve(*SHELF, *wheels) as shelf:
        debian.publish_suite("trixie", (*BASE, *PYTHON, *EXTRAS, *packages))
        yield World(folder, debian, shelf)
