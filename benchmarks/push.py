"""Measure pushes: `python benchmarks/push.py`, four blobs of 120 MB to Debian's docker-registry.

We and `skopeo copy` push the same OCI layout, in turns, each time to a registry that has nothing. `--folder` says where
layout and registry lie; on a disk the disk is what is measured.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from buildpacks.api import Process
from imagebuilder import layout
from imagebuilder.export import RunConfiguration, export, merge_env
from layers.blobs import BlobStore
from layers.descriptor import LAYER_TAR, Platform
from layers.digest import Digest
from layers.layer import Layer

ROOT = Path(__file__).parent.parent
CHUNK = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blobs", type=int, default=4)
    parser.add_argument("--size", type=int, default=120, help="of each blob, in MB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    total = arguments.blobs * arguments.size * 1e6
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        make_layout(folder, arguments.blobs, arguments.size * 1_000_000)
        commands = {
            "imagebuilder": [sys.executable, "-m", "imagebuilder", "push", f"oci:{folder}/image", "REF", "-q"],
            "skopeo": ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{folder}/image:1", "docker://REF"],
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for program, command in commands.items():
                taken[program].append(push(folder, command))
        for program, runs in taken.items():
            seconds = statistics.median(each for each, _ in runs)
            shown = " ".join(f"{each:.2f}" for each, _ in runs)
            peak = max(each for _, each in runs)
            speed = total / 1e6 / seconds
            print(f"{program:<13} {speed:4.0f} MB/s, peak {peak:.0f} MB; median {seconds:.2f} s of {shown}")


def make_layout(folder: Path, blobs: int, size: int) -> None:
    """Write an image whose layers are random bytes."""
    store = BlobStore(folder / "store")
    layers = [Layer(store.write(LAYER_TAR, noise(size)), Digest.of(b"%d" % number), "") for number in range(blobs)]
    process = Process("web", ("true",), "benchmark", default=True)
    run = RunConfiguration("noise", process, (process,), merge_env(), "1980-01-01T00:00:01Z")
    image = export(store, layers, run, platform=Platform("linux", "amd64"))
    layout.write_layout(image, store, folder / "image", names=["1"])
    shutil.rmtree(folder / "store")


def noise(size: int) -> Iterator[bytes]:
    while size > 0:
        yield os.urandom(min(size, CHUNK))
        size -= CHUNK


def push(folder: Path, command: list[str]) -> tuple[float, float]:
    """Push to an empty registry; return the seconds it took and the peak memory in MB."""
    with registry(folder) as address:
        words = [word.replace("REF", f"{address}/noise:1") for word in command]
        started = time.perf_counter()
        process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{words[0]} failed with {process.returncode}")
        return time.perf_counter() - started, usage.ru_maxrss / 1024


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run docker-registry on a port of its own, and leave nothing of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    storage, config = folder / "registry", folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {storage}}}}}\n"
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(storage, ignore_errors=True)


if __name__ == "__main__":
    main()
