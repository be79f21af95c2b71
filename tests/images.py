"""Small images for tests: handmade layers, exported into a store; one of them holds programs of this machine."""

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from buildpacks.api import Process
from imagebuilder import export
from imagebuilder.export import RunConfiguration
from imagebuilder.image import Image
from layers import entry
from layers.blobs import BlobStore
from layers.compress import Compression
from layers.descriptor import Platform
from layers.entry import Entry
from layers.layer import write_layer

AMD64 = Platform("linux", "amd64")
CREATED = "1980-01-01T00:00:01Z"
WEB = Process("web", ("gunicorn", "app:app"), "Procfile", default=True)
WORKER = Process("worker", ("python", "-m", "worker"), "Procfile", stop_signal="SIGINT")
RUN = RunConfiguration("shop", WEB, (WEB, WORKER), export.merge_env(), CREATED)

# What a program of `host_image` does: who am I, can I write, what is in the application.
SCRIPT = "id -u; cat /workspace/greeting; echo x > /workspace/x || echo read-only"
SHOW = Process("web", ("/bin/sh", "-c", SCRIPT), "tests", default=True)


@dataclass(frozen=True)
class Made:
    """An image and the store that has it."""

    image: Image
    store: BlobStore


def make(folder: Path, *layers: list[Entry], run: RunConfiguration = RUN, compression: Compression = "gzip") -> Made:
    """Write an image of these layers into a store in a folder."""
    store = BlobStore(folder)
    written = [
        write_layer(store, entries, created_by=f"layer {number}", compression=compression)
        for number, entries in enumerate(layers)
    ]
    return Made(export.export(store, written, run, platform=AMD64), store)


def small(folder: Path, *, run: RunConfiguration = RUN, compression: Compression = "gzip", text: str = "hi\n") -> Made:
    """Write an image of two tiny layers."""
    base = [entry.file("etc/os-release", b"ID=tests\n"), entry.symlink("bin", "usr/bin")]
    return make(folder, base, [entry.file("workspace/greeting", text.encode())], run=run, compression=compression)


def host_image(folder: Path, *, compression: Compression = "gzip", process: Process = SHOW) -> Made:
    """Write an image that runs: this machine's shell and a few programs, with the libraries they name."""
    base = [entry.directory(name) for name in ("dev", "proc", "sys")]
    base += [
        entry.file("etc/passwd", b"nonroot:x:65532:65532::/home/nonroot:/bin/sh\n"),
        entry.directory("tmp", 0o1777),
    ]
    programs = [Path("/bin") / name for name in ("sh", "id", "cat", "sleep")]
    for path in sorted({*programs, *(library for program in programs for library in _libraries(program))}):
        base.append(entry.file(str(path).lstrip("/"), path.read_bytes(), executable=True))
    run = replace(RUN, default=process, processes=(process,))
    return make(folder, base, [entry.file("workspace/greeting", b"hello\n")], run=run, compression=compression)


def _libraries(program: Path) -> list[Path]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listed)]
