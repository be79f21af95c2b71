"""A faulty builder: this one, with the named mistakes made in it, as other builders make them.

    python builder.py MISTAKE,... build DIR ...
    python builder.py MISTAKE,... check DIR ...        builds with itself

A mistake about files touches only those that have its name, so that all can be made side by side.
"""

import functools
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagebuilder.build
from buildpacks.api import LayerSpec
from imagebuilder import cli, make
from imagebuilder.check import command as checking
from layers import compress, tar, tree
from layers.entry import Entry, Kind, SourceFile
from layers.layer import Layer

DAY = int(time.time()) // 86400 * 86400
SERVER = time.strftime("%z", time.localtime(0)) == "+0000"


def _day() -> str:
    return time.strftime("%FT00:00:00Z", time.gmtime())


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _put(header: bytes, at: int, value: bytes) -> bytes:
    """Write a field of a ustar header, and its checksum anew."""
    before, block = header[:-512], bytearray(header[-512:])
    block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return before + bytes(block)


def _attribute(header: bytes, _source: Path) -> bytes:
    record = tar._pax_record(b"SCHILY.xattr.user.host", socket.gethostname().encode())
    first = tar._block(b"PaxHeaders", b"", b"x", b"", mode=0o644, uid=0, gid=0, size=len(record))
    return first + record.ljust(512, b"\0") + header


# What becomes of the header of a file with this name.
HEADERS: dict[str, Callable[[bytes, Path], bytes]] = {
    "mtime.txt": lambda header, _: _put(header, 136, b"%011o\0" % DAY),
    "modes.txt": lambda header, source: _put(header, 100, b"%07o\0" % (source.stat().st_mode & 0o777)),
    "owner.txt": lambda header, _: _put(header, 108, b"%07o\0" % os.getuid()),
    "owner-name.txt": lambda header, _: _put(header, 265, f"user{os.getuid()}".encode().ljust(32, b"\0")),
    "format.txt": lambda header, _: _put(header, 257, b"ustar\x0000" if SERVER else b"ustar  \0"),
    "attribute.txt": _attribute,
}


def files() -> None:
    """Take headers from the machine, entries in the order of the folder, hard links where others have copies."""
    header, ordered = tar._header, tar.ordered

    def faulty_header(entry: Entry) -> bytes:
        mistake = HEADERS.get(Path(entry.path).name)
        if mistake and isinstance(entry.content, SourceFile):
            return mistake(header(entry), entry.content.path)
        return header(entry)

    def faulty_order(entries: Iterable[Entry]) -> list[Entry]:
        return _listed(_linked(ordered(entries)))

    tar._header, tar.ordered = faulty_header, faulty_order


def bytecode() -> None:
    """Keep bytecode that lies beside its source."""
    tree._BYTECODE = ()


def _listed(entries: list[Entry]) -> list[Entry]:
    """Put what is in the folder `unsorted` into the order in which that folder lists it."""
    places = [number for number, entry in enumerate(entries) if "/unsorted/" in entry.path]
    if not places:
        return entries
    found = [entries[number] for number in places]
    folder = next(entry.content.path.parent for entry in found if isinstance(entry.content, SourceFile))
    names = [path.name for path in folder.iterdir()]
    found.sort(key=lambda entry: names.index(Path(entry.path).name))
    for number, entry in zip(places, found, strict=True):
        entries[number] = entry
    return entries


def _linked(entries: list[Entry]) -> list[Entry]:
    """Join the files of the folder `twins` where temporary files are in memory, as installers do on some systems."""
    twins = [number for number, entry in enumerate(entries) if "/twins/" in entry.path]
    if twins and Path(tempfile.gettempdir()).stat().st_dev == Path("/dev/shm").stat().st_dev:
        first, second = (entries[number] for number in twins)
        entries[twins[1]] = replace(second, kind=Kind.HARDLINK, content=b"", target=first.path)
    return entries


def gzip_header() -> None:
    """Write the day into the header of gzip streams."""
    compress.GZIP_HEADER = b"\x1f\x8b\x08\0" + DAY.to_bytes(4, "little") + b"\0\xff"
    _unproved()


def compressor() -> None:
    """Compress harder where there are more processors."""
    level = 1 if _cpus() == 1 else 9
    library = compress.deflate.deflate_compress
    compress.deflate.deflate_compress = lambda chunk, _: library(chunk, level)
    _unproved()


def compression() -> None:
    """Do not compress where there is one processor."""
    if _cpus() == 1:
        make.write_layer = functools.partial(_write_plain, make.write_layer)


def _write_plain(write: Callable[..., Layer], *arguments: Any, **options: Any) -> Layer:
    return write(*arguments, **{**options, "compression": "none"})


def _unproved() -> None:
    compress._prove = lambda _: None


def documents() -> None:
    """Write the day, the host and the number of processors into the config."""
    export = imagebuilder.build.export

    def faulty(store: Any, layers: list[Layer], run: Any, **options: Any) -> Any:
        labels = {**run.labels, "build.day": _day()}
        env = {**run.env, "BUILDER": socket.gethostname()}
        layers = [replace(layer, created_by=f"{layer.created_by} ({_cpus()} processors)") for layer in layers]
        return export(store, layers, replace(run, labels=labels, env=env, created=_day()), **options)

    imagebuilder.build.export = faulty


def layering() -> None:
    """Give the last file of the application a layer of its own where there is one processor."""
    describe = imagebuilder.build.describe_layers

    def faulty(*arguments: Any, **options: Any) -> tuple[LayerSpec, ...]:
        *others, last = describe(*arguments, **options)
        if _cpus() > 1:
            return (*others, last)
        first = replace(last, key={}, entries=lambda files: list(last.entries(files))[:-1])
        second = replace(last, key={}, entries=lambda files: list(last.entries(files))[-1:])
        return (*others, first, second)

    imagebuilder.build.describe_layers = faulty


def _check(mistakes: str) -> int:
    program = (sys.executable, "-P", __file__, mistakes)
    return cli.run(sys.argv[1:], commands={"check": functools.partial(checking.check, program=program)})


MISTAKES = {
    each.__name__: each for each in (bytecode, files, gzip_header, compressor, compression, documents, layering)
}

if __name__ == "__main__":
    names = sys.argv.pop(1)
    if sys.argv[1] == "check":
        sys.exit(_check(names))
    for name in names.split(","):
        MISTAKES[name]()
    sys.exit(cli.main())
