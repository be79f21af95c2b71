"""A Debian mirror and a snapshot archive on the loopback, signed by a key made on the spot."""

import gzip
import hashlib
import lzma
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pysequoia

from imagebuilder.base.mirrors import Mirrors
from tests.debs import Package

DATE = "Fri, 20 Nov 2026 02:11:10 UTC"


@dataclass
class Mirror:
    """What is served: `files` by path. `asked` lists the paths that were requested."""

    address: str
    keyring: Path
    key: pysequoia.Tsk
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def mirrors(self) -> Mirrors:
        return Mirrors(
            f"{self.address}/debian", f"{self.address}/debian-security", f"{self.address}/snapshot", self.keyring
        )

    def publish_suite(self, suite: str, packages: Sequence[Package] = (), *, security: Sequence[Package] = ()) -> None:
        """Publish a suite, its updates (empty) and its security updates."""
        self.publish("debian", suite, packages)
        self.publish("debian", f"{suite}-updates", ())
        self.publish("debian-security", f"{suite}-security", security)

    def publish(
        self, archive: str, codename: str, packages: Iterable[Package], *, fields: str = "", date: str = DATE
    ) -> None:
        """Publish packages and a signed index of them; `fields` are further lines of its Release file."""
        stanzas: dict[str, list[str]] = {"amd64": [], "arm64": []}
        contents: dict[str, list[str]] = {"amd64": [], "arm64": []}
        for package in packages:
            path = f"pool/main/{package.name[0]}/{package.name}/{package.file_name}"
            self.files[f"/{archive}/{path}"] = package.content
            for architecture in [package.architecture] if package.architecture != "all" else stanzas:
                stanzas[architecture].append(_stanza(package, path))
                contents[architecture] += [f"{file:<55} main/libs/{package.name}\n" for file in package.files]
        listed = ""
        for architecture, texts in stanzas.items():
            packed = lzma.compress("\n".join(texts).encode())
            digest = hashlib.sha256(packed).hexdigest()
            folder = f"main/binary-{architecture}"
            listed += f" {digest} {len(packed):>8} {folder}/Packages.xz\n"
            self.files[f"/{archive}/dists/{codename}/{folder}/by-hash/SHA256/{digest}"] = packed
        for architecture, lines in contents.items():
            packed = gzip.compress("".join(sorted(lines)).encode(), mtime=0)
            digest = hashlib.sha256(packed).hexdigest()
            listed += f" {digest} {len(packed):>8} main/Contents-{architecture}.gz\n"
            self.files[f"/{archive}/dists/{codename}/main/by-hash/SHA256/{digest}"] = packed
        release = f"Origin: Debian\nCodename: {codename}\nDate: {date}\nAcquire-By-Hash: yes\n{fields}SHA256:\n{listed}"
        self.files[f"/{archive}/dists/{codename}/InRelease"] = self.sign(release)

    def sign(self, text: str) -> bytes:
        return pysequoia.sign(self.key.signer(), text.encode(), mode=pysequoia.SignatureMode.CLEAR)

    def archive(self, package: Package, *, moment: str, archive: str = "debian") -> None:
        """Move a package from the mirror to the snapshot archive."""
        path = f"pool/main/{package.name[0]}/{package.name}/{package.file_name}"
        self.files[f"/snapshot/{archive}/{moment}/{path}"] = self.files.pop(f"/{archive}/{path}")


def download(url: str, limit: int) -> bytes:
    with urllib.request.urlopen(url) as response:
        content: bytes = response.read(limit + 1)
    assert len(content) <= limit, url
    return content


@contextmanager
def running(folder: Path) -> Iterator[Mirror]:
    key = pysequoia.Tsk.generate("A test archive <test@example.org>")
    keyring = folder / "test-keyring.gpg"
    keyring.write_bytes(bytes(key.extract_certificate()))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.asked.append(self.path)
            content = mirror.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirror = Mirror(f"http://127.0.0.1:{server.server_port}", keyring, key)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            server.shutdown()
            thread.join()


def _stanza(package: Package, path: str) -> str:
    lines = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": package.architecture,
        "Depends": package.depends,
        "Provides": package.provides,
        "Filename": path,
        "Size": str(len(package.content)),
        "SHA256": hashlib.sha256(package.content).hexdigest(),
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items() if value)
