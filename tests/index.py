"""A package index on loopback: wheels made on the spot, pages in JSON or HTML, logins and faults."""

import base64
import gzip
import hashlib
import io
import json
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from buildpacks.api import Source
from layers.digest import Digest


@dataclass(frozen=True)
class Wheel:
    """A wheel's file name and bytes."""

    filename: str
    content: bytes

    @property
    def project(self) -> str:
        return self.filename.split("-")[0].replace("_", "-").lower()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def source(self) -> Source:
        """How a pin names it."""
        return Source("wheel", self.filename, Digest(f"sha256:{self.sha256}"), len(self.content), self.project)


def wheel(
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
    python: str = "",
    tag: str = "py3-none-any",
    files: Mapping[str, bytes] | None = None,
) -> Wheel:
    """Make a wheel that says it requires these; `files` are its own, by default one empty module."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {one}" for one in requires] + [f"Provides-Extra: {one}" for one in extras]
    metadata += [f"Requires-Python: {python}"] if python else []
    members = {
        **({f"{name.replace('-', '_')}.py": b""} if files is None else files),
        f"{stem}.dist-info/METADATA": "\n".join([*metadata, ""]).encode(),
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{path},sha256={_urlsafe(content)},{len(content)}\n" for path, content in members.items())
    members[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n".encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return Wheel(f"{stem}-{tag}.whl", stream.getvalue())


def _urlsafe(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@dataclass
class Index:
    """A running index. `faults` are used up one by one by requests whose path contains the key:

    `500`, `429` or any status; `cut` breaks the connection half-way; `wrong` changes a byte; `to:URL` redirects;
    `encoded` compresses although nobody asked for it.
    `seen` holds what was asked: path and headers. `tls` is a file with a key and its certificate (see `certificate`).
    """

    wheels: tuple[Wheel, ...]
    html: bool = False
    user: str = ""
    hashes: bool = True
    ranges: bool = True
    faults: dict[str, list[str]] = field(default_factory=dict)
    seen: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    url: str = ""
    tls: Path | None = None

    def asked(self, part: str) -> int:
        """Count the requests whose path contains `part`."""
        return sum(part in path for path, _ in self.seen)

    def fault(self, path: str) -> str:
        """Take the next fault for a path."""
        return next((faults.pop(0) for key, faults in self.faults.items() if key in path and faults), "")

    def page(self, project: str) -> tuple[str, bytes] | None:
        """Return media type and page of a project."""
        listed = [wheel for wheel in self.wheels if wheel.project == project]
        if not listed:
            return None
        if self.html:
            links = "".join(
                f'<a href="../../files/{one.filename}{f"#sha256={one.sha256}" if self.hashes else ""}">x</a>\n'
                for one in listed
            )
            return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        files = [
            {
                "filename": one.filename,
                "url": f"../../files/{one.filename}",
                "hashes": {"sha256": one.sha256} if self.hashes else {},
                "size": len(one.content),
            }
            for one in listed
        ]
        document = {"meta": {"api-version": "1.1"}, "name": project, "files": files, "versions": []}
        return "application/vnd.pypi.simple.v1+json", json.dumps(document).encode()


@contextmanager
def serve(*wheels: Wheel, **settings: object) -> Iterator[Index]:
    """Run an index for these wheels on a port of its own; `settings` are fields of Index."""
    index = Index(wheels, **settings)  # type: ignore[arg-type]
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: _Handler(index, *arguments))
    server.daemon_threads = True
    if index.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(index.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    index.url = f"{'https' if index.tls else 'http'}://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> Path:
    """Make a key and a certificate for loopback that nobody trusts; one file holds both."""
    file, extensions = folder / "loopback.pem", ("subjectAltName=IP:127.0.0.1", "basicConstraints=critical,CA:FALSE")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=loopback", "-keyout", str(file), "-out", str(folder / "certificate.pem")]
    command += [word for extension in extensions for word in ("-addext", extension)]
    subprocess.run(command, check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + (folder / "certificate.pem").read_bytes())
    return file


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, index: Index, *arguments: object) -> None:
        self.index = index
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = unquote(self.path)
        self.index.seen.append((path, dict(self.headers)))
        if self.index.user and self.headers.get("Authorization") != _basic(self.index.user):
            self._answer(401, b"no", {"WWW-Authenticate": "Basic"})
            return
        fault = self.index.fault(path)
        if fault.isdigit():
            self._answer(int(fault), b"fault", {"Retry-After": "0"} if fault == "429" else {})
        elif fault.startswith("to:"):
            self._answer(302, b"", {"Location": fault[3:]})
        elif (found := self._found(path)) is None:
            self._answer(404, b"not found", {})
        else:
            self._answer_file(*found, fault=fault)

    do_HEAD = do_GET  # noqa: N815 the name http.server looks for

    def _found(self, path: str) -> tuple[str, bytes] | None:
        parts = path.strip("/").split("/")
        if parts[0] == "simple":
            return self.index.page(parts[-1])
        return next((("application/zip", one.content) for one in self.index.wheels if one.filename == parts[-1]), None)

    def _answer_file(self, kind: str, content: bytes, *, fault: str) -> None:
        status, headers = 200, {"Content-Type": kind}
        if fault == "wrong":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault == "encoded":
            content, headers["Content-Encoding"] = gzip.compress(content), "gzip"
        wanted = self.headers.get("Range", "")
        if wanted and self.index.ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else len(content) - int(last)
            stop = int(last) + 1 if first and last else len(content)
            headers["Content-Range"] = f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}"
            status, content = 206, content[start:stop]
        self._answer(status, content, headers, sent=len(content) // 2 if fault == "cut" else len(content))

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str], *, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])
        if sent is not None and sent < len(content):
            self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        pass


def _basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()
