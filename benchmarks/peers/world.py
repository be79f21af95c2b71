"""What all builders share: a base image, registries that begin alike, and a package index, all on loopback."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin

import uv

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PACKAGES = "python3,python3-venv,ca-certificates"


@dataclass
class Registry:
    """Debian's docker-registry, on a port that stays; it begins anew with what the folder `seed` holds."""

    folder: Path
    seed: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def begin(self) -> None:
        """Forget what was pushed."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if self.seed.exists():
            shutil.copytree(self.seed, self.folder / "storage", copy_function=os.link)
        config = self.folder / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: false}}\n"
            f"http: {{addr: '{self.address}'}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.folder}/storage}}}}\n"
        )
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        wait_for(self.port)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def stored(self) -> int:
        """Return how many bytes all its blobs have."""
        return sum(blob.stat().st_size for blob in self.folder.glob("storage/docker/registry/v2/blobs/sha256/*/*/data"))

    def requests(self) -> int:
        """Return how many requests it has answered since it began: the lines of its access log."""
        return (self.folder / "log").read_text().count(' HTTP/1.1" ')

    def digest(self, name: str, tag: str) -> str:
        """Return the digest of the manifest that a tag names."""
        current = self.folder / f"storage/docker/registry/v2/repositories/{name}/_manifests/tags/{tag}/current/link"
        return current.read_text()

    def put_image(self, name: str, tar: bytes) -> None:
        """Push an image of one layer."""
        layer = gzip.compress(tar, 1, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
                "history": [{"created_by": "benchmarks"}],  # buildah wants one for each layer
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
            }
        ).encode()
        kinds = [("config.v1+json", config), ("layer.v1.tar+gzip", layer)]
        first, *layers = [
            {
                "mediaType": f"application/vnd.oci.image.{kind}",
                "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}",
                "size": len(blob),
            }
            for kind, blob in kinds
        ]
        for descriptor, (_, blob) in zip((first, *layers), kinds, strict=True):
            started = self._ask("POST", f"/v2/{name}/blobs/uploads/", b"", "text/plain")
            separator = "&" if "?" in started else "?"
            self._ask("PUT", f"{started}{separator}digest={descriptor['digest']}", blob, "application/octet-stream")
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": first, "layers": layers}
        self._ask("PUT", f"/v2/{name}/manifests/1", json.dumps(manifest).encode(), MANIFEST)

    def _ask(self, method: str, target: str, body: bytes, kind: str) -> str:
        address = urljoin(f"http://{self.address}", target)
        request = urllib.request.Request(address, body, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request) as response:
            return str(response.headers["Location"])


def seeded(place: Path) -> Path:
    """Return the storage of a registry with the base and uv; make it, once."""
    seed = place / "seed"
    if not seed.exists():
        base = place / "base.tar"
        if not base.exists():
            subprocess.run(
                ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(base)], check=True
            )
        # In a process of its own: the peak memory of what a process starts is at least its own.
        subprocess.run([sys.executable, "-m", "benchmarks.peers.world", str(place)], check=True)
    return seed


def _seed(place: Path) -> None:
    registry = Registry(place / "first registry", place / "seed", free_port())
    registry.begin()
    try:
        registry.put_image("base", (place / "base.tar").read_bytes())
        registry.put_image("uv", _tar(Path(uv.find_uv_bin())))
    finally:
        registry.stop()
    (registry.folder / "storage").rename(registry.seed)


def _tar(program: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(program.name)
        member.mode, member.size = 0o755, program.stat().st_size
        with program.open("rb") as file:
            archive.addfile(member, file)
    return stream.getvalue()


@dataclass
class Index:
    """A simple index of wheels; `sent` counts the bytes of those that were asked for, `requests` whatever was."""

    wheels: dict[str, Path]
    sent: int = 0
    requests: int = 0
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/simple"

    @contextmanager
    def running(self) -> Iterator["Index"]:
        pages = {name: "".join(lines) for name, lines in self._links().items()}
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with index.lock:
                    index.requests += 1
                name = self.path.rstrip("/").rpartition("/")[2]
                if name in index.wheels:
                    self._send_file(index.wheels[name])
                elif name in pages:
                    self._head(200, "text/html", len(pages[name]))
                    if self.command == "GET":
                        self.wfile.write(pages[name].encode())
                else:
                    self._head(404, "text/plain", 0)

            do_HEAD = do_GET  # noqa: N815 the name http.server looks for

            def _send_file(self, path: Path) -> None:
                size = path.stat().st_size
                self._head(200, "application/octet-stream", size)
                if self.command == "GET":
                    with index.lock:
                        index.sent += size
                    with path.open("rb") as file:
                        self.connection.sendfile(file)

            def _head(self, status: int, kind: str, size: int) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(size))
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 the name it has above
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def _links(self) -> dict[str, list[str]]:
        links: dict[str, list[str]] = {}
        for name, path in sorted(self.wheels.items()):
            digest = sha256(path)
            project = re.sub(r"[-_.]+", "-", name.split("-")[0]).lower()
            links.setdefault(project, []).append(f'<a href="/files/{name}#sha256={digest}">{name}</a><br>\n')
        return links


def sha256(path: Path) -> str:
    """Hash a file in pieces: the peak memory of what a process starts is at least its own."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(1_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(f"nobody listens on port {port}")


if __name__ == "__main__":
    _seed(Path(sys.argv[1]))
