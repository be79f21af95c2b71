"""Measure the comparison of two large images: `python benchmarks/diff.py`; with `--same` that of an image with itself.

Makes two images of a gigabyte each in a temporary folder, in which 100,000 files differ by their times and contents,
and compares them in a process of its own. Prints seconds, the most memory of that process, and differences by cause.
"""

import argparse
import gzip
import hashlib
import io
import json
import py_compile
import random
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from layers.digest import Digest
from reproducibility.compare import compare
from reproducibility.images import StoredImage, StoredLayer, Subject

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYERS = 4
WORDS = ("return", "value", "path", "name", "self", "import", "class", "index", "layer", "digest", "manifest", "entry")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=10_000, help="bytes of a file")
    parser.add_argument("--same", action="store_true", help="compare an image with itself")
    parser.add_argument("--compare", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compare:
        measure(*arguments.compare)
        return
    with tempfile.TemporaryDirectory() as folder:
        sides = [Path(folder, name) for name in ("left", "right")]
        for number, side in enumerate(sides):
            make(side, number, arguments.files, arguments.size)
        compared = [sides[0], sides[0]] if arguments.same else sides
        subprocess.run([sys.executable, __file__, "--compare", *compared], check=True)


def make(folder: Path, side: int, files: int, size: int) -> None:
    """Write an image: layers of the same files, made at another time."""
    folder.mkdir()
    source = folder / "source.py"
    source.write_text("def value(name):\n    return {'name': name}\n" * (size // 60))
    bytecode = Path(py_compile.compile(str(source), str(folder / "bytecode"), doraise=True)).read_bytes()
    for number in range(LAYERS):
        with (
            gzip.open(folder / f"{number}.tar.gz", "wb", compresslevel=1) as stored,
            tarfile.open(fileobj=stored, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            for place in range(number, files, LAYERS):
                path, content = file(place, side, size, bytecode)
                info = tarfile.TarInfo(path)
                info.size, info.mtime = len(content), 1_700_000_000 + place + 100_000 * side
                archive.addfile(info, io.BytesIO(content))


def file(place: int, side: int, size: int, bytecode: bytes) -> tuple[str, bytes]:
    """Return a file of one of four kinds, as they are in the image of a Python application."""
    built = 1_700_000_000 + place + 100_000 * side
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(built))
    generator = random.Random(place)
    words = " ".join(generator.choices(WORDS, k=24))
    lines = "".join(f"{number} {words}\n" for number in range(size // (len(words) + 4)))
    folder = f"opt/app/lib/python3.13/site-packages/package{place % 300}/module{place % 17}"
    match place % 8:
        case 0:
            return f"{folder}/__pycache__/{place}.cpython-313.pyc", bytecode[:8] + built.to_bytes(
                4, "little"
            ) + bytecode[12:]
        case 1:
            return f"{folder}/{place}.json", json.dumps({"built": stamp, "text": lines}).encode()
        case 2:
            return f"{folder}/{place}.bin", generator.randbytes(size // 2) + built.to_bytes(8, "big") + bytes(size // 2)
        case _:
            return f"{folder}/{place}.py", f"{lines}BUILT = '{stamp}'\n{lines[:200]}".encode()


def measure(left: Path, right: Path) -> None:
    """Compare two images that were made before."""
    sides = [subject(side) for side in (left, right)]
    with tempfile.TemporaryDirectory(dir=left) as scratch:
        started, processor = time.perf_counter(), time.process_time()
        found = compare(sides[0], sides[1], scratch=Path(scratch))
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.1f} s ({processor:.1f} s of processors), peak {peak:.0f} MB, {len(found.everything)} differences")
    for cause, count in Counter(each.cause for each in found.everything).most_common():
        print(f"{count:8} {cause}")


def subject(folder: Path) -> Subject:
    layers = tuple(map(layer, sorted(folder.glob("*.tar.gz"))))
    config = {"rootfs": {"diff_ids": [each.diff_id for each in layers]}}
    digest = Digest.of(repr(config).encode()).value
    manifest = {"config": {"digest": digest}, "layers": [{"digest": each.digest} for each in layers]}
    image = StoredImage(folder.name, "linux/amd64", digest, manifest, digest, config, layers)
    return Subject(folder.name, digest, "", {}, (image,))


def layer(path: Path) -> StoredLayer:
    with gzip.open(path) as plain, path.open("rb") as stored:
        digests = [f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" for file in (stored, plain)]
    return StoredLayer(path.name, GZIP, *digests, path.stat().st_size, lambda: chunks(path))


def chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk


if __name__ == "__main__":
    main()
