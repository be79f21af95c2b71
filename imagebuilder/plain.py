"""Plain requests: what a registry is asked that speaks http to everybody. To import our client takes ten times as long.

It understands the plainest of answers. Whatever else comes is an OSError, and whoever asked goes the usual way: nothing
is tried again here, nobody is told a secret, and no address but the registry's own is followed.
"""

import socket
import time  # noqa: TID251 how long an answer may take is no part of an image

TYPE_CHECKING = False  # as checkers know it; to import `typing` costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Answer = tuple[int, Mapping[str, str]]

_MANIFESTS = (
    *("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"),
    "application/vnd.docker.distribution.manifest.v2+json",
)
_PATIENCE_S = 10.0
_LONGEST = 64 << 10
_BLOCK = 1 << 18


class Registry:
    """A registry, and the connection to it while there is one. `host` is as in references: `127.0.0.1:5000`."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._socket: socket.socket | None = None

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connection."""
        self._close()

    def tag(self, path: str) -> str:
        """Return the digest that a tag stands for; empty if it does not exist."""
        return self._find(path, "docker-content-digest", Accept=", ".join(_MANIFESTS))

    def has_blob(self, path: str, size: int) -> bool:
        """Say whether there is a blob."""
        found = self._find(path, "content-length")
        if found not in ("", str(size)):
            raise OSError(found)
        return bool(found)

    def upload(self, repository: str, digest: str, chunks: "Iterable[bytes]", size: int) -> None:
        """Send a blob (distribution-spec, "Pushing a blob monolithically")."""
        _, headers = self._ask("POST", f"/v2/{repository}/blobs/uploads/", expected=(202,))
        place = headers.get("location", "").removeprefix(f"http://{self._host}")
        joint = "&" if "?" in place else "?"
        self._put(f"{place}{joint}digest={digest}", digest, chunks, size, "application/octet-stream")

    def set_tag(self, path: str, digest: str, manifest: bytes, media_type: str) -> None:
        """Have a tag stand for a manifest."""
        self._put(path, digest, [manifest], len(manifest), media_type)

    def _find(self, path: str, header: str, **headers: str) -> str:
        status, found = self._ask("HEAD", path, headers=headers, expected=(200, 404))
        if status == 404:
            return ""
        if header not in found:
            raise OSError(path)
        return found[header]

    def _put(self, path: str, digest: str, chunks: "Iterable[bytes]", size: int, media_type: str) -> None:
        headers = {"Content-Type": media_type}
        _, found = self._ask("PUT", path, headers=headers, body=chunks, size=size, expected=(201,))
        if found.get("docker-content-digest", digest) != digest:
            raise OSError(path)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: "Mapping[str, str] | None" = None,
        body: "Iterable[bytes]" = (),
        size: int = 0,
        expected: tuple[int, ...],
    ) -> "Answer":
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
            raise OSError(path)
        if self._socket is None:
            self._socket = socket.create_connection(_address(self._host), timeout=_PATIENCE_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        said = {"Host": self._host, "User-Agent": "imagebuilder", **(headers or {})}
        said |= {} if method == "HEAD" else {"Content-Length": str(size)}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items()), "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        for chunk in body:
            self._socket.sendall(chunk)
        status, found = _answer(self._socket, has_body=method != "HEAD")
        if status not in expected:
            raise OSError(status)
        if found.get("connection", "").lower() == "close":
            self._close()
        return status, found

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _address(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    return (name.strip("[]"), int(port)) if colon and port.isdecimal() else (host.strip("[]"), 80)


def _answer(connection: socket.socket, *, has_body: bool) -> "Answer":
    """Read an answer of HTTP/1.1 that says how long it is, and is short. What its body says is of no interest."""
    deadline = time.monotonic() + _PATIENCE_S
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection, received, deadline)
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, status, *_ = *first.split(" "), ""
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    length = headers.get("content-length", "0" if status == "204" else "") if has_body else "0"
    if protocol != "HTTP/1.1" or not status.isdecimal() or not length.isdecimal() or "transfer-encoding" in headers:
        raise OSError(first[:100])
    while len(rest) < int(length):
        rest += _more(connection, rest, deadline)
    if len(rest) > int(length):
        raise OSError(first[:100])
    return int(status), headers


def _more(connection: socket.socket, received: bytes, deadline: float) -> bytes:
    chunk = connection.recv(_BLOCK)
    if not chunk or len(received) > _LONGEST or time.monotonic() > deadline:
        raise OSError(len(received))
    return chunk
