"""Debian's Python of a suite that is not the default one, as the files of a Python that is at home anywhere."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from imagebuilder.base import debian
from imagebuilder.fetch import Downloader
from layers.blobs import BlobStore
from layers.content import Reader
from layers.deb import read_deb
from layers.entry import Entry, Kind
from tests import debs
from tests.debs import Member

SUITE, SERIES = "bookworm", "3.11"
# Some of its packages are not merged into /usr yet.
LIBRARY = re.compile(r"(?:usr/)?lib/x86_64-linux-gnu/(lib[^/]+)")
# Debian's pyconfig.h includes that of the architecture by this path.
HEADERS = f"usr/include/python{SERIES}/"
MACHINE_HEADERS = f"usr/include/x86_64-linux-gnu/python{SERIES}/"


def place_of(path: str) -> str:
    """Return where such a Python has a file of Debian's packages; empty if it has none."""
    if path.startswith((f"usr/bin/python{SERIES}", f"usr/lib/python{SERIES}/")):
        return path.removeprefix("usr/")
    if path.startswith((HEADERS, MACHINE_HEADERS)):
        return f"include/python{SERIES}/" + path.removeprefix(HEADERS).removeprefix("usr/include/")
    library = LIBRARY.fullmatch(path)
    return f"lib/{library[1]}" if library else ""


def member(found: Entry, reader: Reader) -> Member:
    if found.kind is Kind.SYMLINK:
        return debs.symlink(place_of(found.path), found.target)
    return debs.file(place_of(found.path), b"".join(reader.read(found.content)), mode=found.mode)


def members(folder: Path) -> tuple[str, list[Member]]:
    """Fetch it, with the libraries it needs; return its version and its files below bin, lib and include."""
    mirrors = debian.find_mirrors()
    downloader = Downloader()
    index = debian.load_index(SUITE, "amd64", mirrors=mirrors, download=downloader.get)
    (python,) = [each for each in debian.interpreters(index) if each.series == SERIES]
    pins = debian.pin(index, interpreter=python, packages=(f"lib{python.packages[0]}-dev",))
    finder = replace(
        downloader, locate=lambda source: debian.candidates(source, mirrors=mirrors, snapshot=pins.snapshot)
    )
    files = finder.fetch_all(
        [deb.source for deb in (*pins.tiers[1], *pins.tiers[2]) if "python" in deb.name or deb in pins.tiers[1]],
        BlobStore(folder / "store"),
    )
    found: dict[str, Member] = {}
    with closing(Reader()) as reader:
        for number, path in enumerate(files.values()):
            for each in read_deb(path, spool=folder / f"{number}.tar").entries:
                leads_out = each.target.startswith(("/", "../"))
                if place_of(each.path) and each.kind is not Kind.DIRECTORY and not leads_out:
                    found[each.path] = member(each, reader)
    return python.version, [found[path] for path in sorted(found)]
