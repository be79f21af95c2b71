"""Measure wheels to compressed layers: `python benchmarks/wheels_to_layers.py FOLDER`, a folder of wheels.

Every wheel becomes a layer of its own, as the builder makes large ones; two threads share the work. `--one` writes all
wheels into one layer. The last line compares with zlib's gzip -6 of the same tar bytes in one stream.
"""

import argparse
import resource
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from layers import tar
from layers.blobs import BlobStore
from layers.compress import Compression
from layers.entry import Entry
from layers.layer import write_layer
from layers.wheel import Scheme, merge, read_wheel, wheel_entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--compression", choices=["gzip", "zstd", "none"], default="gzip")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", action="store_true", help="one layer instead of one for each wheel")
    parser.add_argument("--no-zlib", action="store_true", help="leave the slow comparison out")
    arguments = parser.parse_args()
    wheels = sorted(arguments.folder.glob("*.whl"), key=lambda path: -path.stat().st_size)
    for path in wheels:
        path.read_bytes()  # every run finds the files in memory
    started = time.perf_counter()
    groups = [wheels] if arguments.one else [[path] for path in wheels]
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(Path(folder))
        with ThreadPoolExecutor(arguments.threads) as pool:
            sizes = list(pool.map(lambda group: write(store, group, arguments.compression), groups))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    plain = sum(len(chunk) for group in groups for chunk in tar_of(group))
    print(f"{len(wheels)} wheels, {plain / 1e6:.1f} MB of tar, {arguments.compression}, {arguments.threads} threads")
    print(f"{seconds:.2f} s, {plain / 1e6 / seconds:.0f} MB/s of tar, {sum(sizes) / 1e6:.1f} MB, peak {peak:.0f} MB")
    if not arguments.no_zlib:
        compare(groups, plain)


def write(store: BlobStore, wheels: list[Path], compression: Compression) -> int:
    return write_layer(store, entries(wheels), created_by="benchmark", compression=compression).descriptor.size


def entries(wheels: list[Path]) -> tuple[Entry, ...]:
    scheme = Scheme()
    return merge((path.name, wheel_entries(read_wheel(path), scheme)) for path in wheels)


def tar_of(wheels: list[Path]) -> Iterator[bytes]:
    return tar.chunks(tar.ordered(entries(wheels)))


def compare(groups: list[list[Path]], plain: int) -> None:
    seconds = 0.0
    size = 0
    for group in groups:
        compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
        for chunk in tar_of(group):
            started = time.perf_counter()
            size += len(compressor.compress(chunk))
            seconds += time.perf_counter() - started
        size += len(compressor.flush())
    print(f"gzip -6 (zlib, one thread, compression alone): {plain / 1e6 / seconds:.0f} MB/s, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
