"""Small files that stand for very much: refused, or read, in at most 256 MiB of memory and 5 seconds of one core."""

import gzip
import lzma
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import debs
from tests.layers.test_tarball import pax

MEMORY_KIB = 256 << 10
SECONDS = 5
ZEROS = bytes(1 << 20)


def zipped(*, size: int, count: int = 1) -> bytes:
    """A zip whose one local member is described many times, as one that inflates to `size`."""
    packed = zlib.compress(ZEROS, 9)[2:-4]
    fixed = (20, 0, 8, 0, 33, zlib.crc32(ZEROS), len(packed), size, 1)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", *fixed, 0) + b"a" + packed
    central = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, *fixed, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(central) * count, len(local), 0)
    return local + central * count + end


def zstd_of(blocks: int, *, window: int = 0) -> bytes:
    """A frame of blocks of 128 KiB, each of which repeats one byte; `window` is the exponent over 1 KiB."""
    header = b"\x28\xb5\x2f\xfd\x00" + bytes([(window or 7) << 3])
    block = (1 << 1) | ((128 << 10) << 3)
    return header + (block.to_bytes(3, "little") + b"\0") * (blocks - 1) + (block | 1).to_bytes(3, "little") + b"\0"


def members(count: int) -> bytes:
    block = bytearray(tarfile.TarInfo("0000000").tobuf(tarfile.USTAR_FORMAT)[:512])
    out = []
    for number in range(count):
        block[:7] = b"%07d" % number
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        out.append(bytes(block))
    return gzip.compress(b"".join(out), 1)


def nested(depth: int) -> bytes:
    name = "/".join("a" * depth)
    return debs.tar([debs.file(name)], writes=tarfile.PAX_FORMAT)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a gzip of 2 GiB as an sdist": ("sdist", lambda: _gzip_of(2 << 10)),
    "a gzip of many members": ("gunzip", lambda: gzip.compress(b"") * 50_000),
    "zstd blocks of 8 GiB": ("unzstd", lambda: zstd_of(64 << 10)),
    "a zstd window of 128 MiB": ("unzstd", lambda: zstd_of(2 << 10, window=17)),
    "a zstd window of 1 TiB": ("unzstd", lambda: zstd_of(10, window=30)),
    "an xz of 256 MiB": ("xz", lambda: _xz_of(256)),
    "a zip that says 4 GiB": ("zip", lambda: zipped(size=0xFFFFFFFE)),
    "a zip that says little": ("zip", lambda: zipped(size=1)),
    "a zip of one member 65,000 times": ("zip", lambda: zipped(size=1 << 20, count=65_000)),
    "a tar of 100,000 members": ("targz", lambda: members(100_000)),
    "a tar of 10,000 extended headers for one member": ("tar", lambda: pax(("comment", "x")) * 10_000),
    "a tar of 100,000 global headers": ("tar", lambda: pax(("comment", "x"), kind=b"g") * 100_000),
    "a tar of a path of 2,000 folders": ("tar", lambda: nested(2_000)),
    "a sparse file of 1 TiB": ("tar", lambda: (_CORPUS / "sparse_huge.tar").read_bytes()),
}
_CORPUS = Path(__file__).parent / "corpora" / "malo" / "tar" / "malicious"

READ = """
import resource, sys, tempfile
from pathlib import Path
from layers import gunzip, sdist, tarball, unzstd, xz
from layers.content import Reader
from layers.errors import BuildError
from layers.zip import read_zip
from reproducibility import tars
reader, path = sys.argv[1], Path(sys.argv[2])
chunks = iter(lambda: file.read(1 << 18), b"")
with path.open("rb") as file:
    try:
        if reader == "sdist":
            sdist.read_sdist(path, spool=path.with_suffix(".spool"))
        elif reader == "zip":
            contents = Reader()
            for member in read_zip(path):
                for _ in contents.read(member.content()):
                    pass
        elif reader == "tar":
            try:
                tars.read(file.fileno(), path.stat().st_size)
            except BuildError:
                pass
            file.seek(0)
            for _ in tarball.members(file):
                pass
        elif reader == "targz":
            for _ in tarball.members(tarball.Forward(gunzip.plain(chunks))):
                pass
        else:
            size = 0
            for chunk in {"gunzip": gunzip, "unzstd": unzstd, "xz": xz}[reader].plain(chunks):
                size += len(chunk)
                if size > 256 << 20:
                    break
    except BuildError as error:
        print(error)
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: it begins with that of whoever started us.
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(peak, used.ru_utime + used.ru_stime)
"""


def _gzip_of(mebibytes: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(ZEROS) for _ in range(mebibytes)) + packer.flush()


def _xz_of(mebibytes: int) -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    return b"".join(packer.compress(ZEROS) for _ in range(mebibytes)) + packer.flush()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(name: str, tmp_path: Path) -> None:
    reader, make = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    run = [sys.executable, "-c", READ, reader, str(path)]
    said = subprocess.run(run, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent).stdout
    *_, memory, seconds = said.split()
    assert int(memory) <= MEMORY_KIB, said
    assert float(seconds) <= SECONDS, said
