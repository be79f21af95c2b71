"""Time of a Debian base: index, pins, and layers of packages that are already downloaded.

    python benchmarks/debian_base.py [SUITE [PACKAGE...]]

Fetches from the mirrors of this host's apt into a folder of its own, which is deleted at the end.
"""

import resource
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from imagebuilder.base import debian
from imagebuilder.base.debian import PinnedDeb
from layers import scratch
from layers.blobs import BlobStore
from layers.layer import write_layer


def download(url: str, limit: int) -> bytes:
    with urllib.request.urlopen(url) as response:
        content: bytes = response.read(limit + 1)
    assert len(content) <= limit, url
    return content


@contextmanager
def timed(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{what:<40}{time.perf_counter() - start:7.2f} s")


def main(suite: str = "trixie", *packages: str) -> None:
    mirrors = replace(debian.find_mirrors(), check_age=False)
    with timed("index: fetch, verify, unpack, read"):
        index = debian.load_index(suite, "amd64", mirrors=mirrors, download=download)
    with timed("pins"):
        pins = debian.pin(index, interpreter=debian.interpreters(index)[0], packages=packages)
    debs = [deb for tier in pins.tiers for deb in tier]

    with tempfile.TemporaryDirectory() as place:

        def fetch(deb: PinnedDeb) -> Path:
            path = Path(place) / deb.digest.hex
            path.write_bytes(download(debian.candidates(deb.source, mirrors=mirrors, snapshot="")[0], deb.size))
            return path

        size = sum(deb.size for deb in debs)
        with timed(f"{len(debs)} packages, {size / 1e6:.1f} MB: fetch"), ThreadPoolExecutor(4) as pool:
            files = dict(zip((deb.digest for deb in debs), pool.map(fetch, debs), strict=True))
        for compression in ("gzip", "zstd", "none"):
            with timed(f"layers, {compression}"), scratch.folder(Path(place) / "scratch") as folder:
                store = BlobStore(Path(place) / compression)
                specs = debian.layer_specs(pins, scratch=folder, warn=print)
                with ThreadPoolExecutor(2) as pool:
                    layers = list(
                        pool.map(
                            lambda spec, store=store, compression=compression: write_layer(
                                store, spec.entries(files), created_by=spec.name, compression=compression
                            ),
                            specs,
                        )
                    )
            for layer in layers:
                print(f"  {layer.created_by:<38}{layer.descriptor.size / 1e6:7.1f} MB  {layer.diff_id}")
    print(f"peak memory{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:36.0f} MB (with the index)")


if __name__ == "__main__":
    main(*sys.argv[1:])
