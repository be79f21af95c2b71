"""HTTP servers on loopback that say exactly what a test wants them to say, down to single bytes.

An application is a function from Request to Answer. Bodies may be generated, never end, or break; what was asked, and
how much was sent and received, is counted. `Reset`, raised anywhere, breaks the connection as a crash would (RST).
"""

import io
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_CHUNK = 1 << 18
_LONGEST_DRAINED = 1 << 23
_TLS_HANDSHAKE = b"\x16"


class Reset(Exception):
    """The server is gone: the connection breaks at this point."""


@dataclass
class Body:
    """The body of a request, read as it arrives; `start` keeps its first bytes."""

    file: io.BufferedIOBase
    length: int
    chunked: bool = False
    received: int = 0
    start: bytes = b""

    def __iter__(self) -> Iterator[bytes]:
        """Read to the end. Raises Reset if the client leaves before."""
        while self.chunked and (size := int(self.file.readline(100).split(b";")[0] or b"0", 16)):
            yield from self._take(size)
            self.file.readline(100)
        if self.chunked:
            self.file.readline(100)
            self.chunked = False
        yield from self._take(self.length - self.received)

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self)

    def _take(self, size: int) -> Iterator[bytes]:
        while size > 0:
            chunk = self.file.read1(min(size, _CHUNK))
            if not chunk:
                raise Reset
            size -= len(chunk)
            self.received += len(chunk)
            self.start = (self.start + chunk[:4096])[:4096]
            yield chunk


@dataclass
class Request:
    """What a client asked: `path` is decoded and without its query; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    target: str
    connection: int
    body: Body

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass
class Answer:
    """What a server says. A generated body needs a length or an encoding in `headers`, or it ends with the connection.

    `prelude` goes before the status line. With `raw`, the body is everything that is sent: no status line, no headers.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    prelude: Iterable[bytes] = ()
    raw: bool = False
    close: bool = False
    version: str = "1.1"


@dataclass
class Traffic:
    """What a server has seen: requests in order, connections, and the bytes of bodies in both directions."""

    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    crashes: list[BaseException] = field(default_factory=list)

    @property
    def received(self) -> int:
        """The bytes of all request bodies."""
        return sum(request.body.received for request in self.requests)

    def asked(self, method: str = "", part: str = "") -> int:
        """Count the requests of a method whose path and query contain `part`."""
        return sum(method in ("", one.method) and part in one.target for one in self.requests)

    def saw(self, secret: str) -> list[str]:
        """Name the requests that carried a text in a header, the address or the first bytes of a body."""
        return [
            str(one)
            for one in self.requests
            if secret in one.target or secret in str(one.headers) or secret.encode() in one.body.start
        ]


Application = Callable[[Request], Answer]


@contextmanager
def serve(
    application: Application, traffic: Traffic, *, host: str = "127.0.0.1", certificate: Path | None = None
) -> Iterator[int]:
    """Run an application and yield its port; with a certificate (a file with its key) it speaks TLS.

    Raises at the end what the application raised, so that a broken test server cannot pass for a hostile one.
    """
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = _Server((host, 0), application, traffic, context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.leave()
    for crash in traffic.crashes:
        raise crash


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, place: tuple[str, int], application: Application, traffic: Traffic, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(place, _Handler)
        self.application = application
        self.traffic = traffic
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self._context = context
        self._open: set[socket.socket] = set()

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:
        """Greet a connection (TLS), and serve it until it ends."""
        with self.lock:
            self._open.add(request)
        secured = None
        try:
            if self._context:
                if request.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
                    request.recv(_CHUNK)  # closing with something unread would break the answer, too
                    request.sendall(
                        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
                    )
                    return
                secured = self._context.wrap_socket(request, server_side=True)
                with self.lock:
                    self._open.add(secured)
            super().finish_request(secured or request, client_address)
        except (OSError, ValueError):
            pass  # the client has left, or the test is over
        finally:
            with self.lock:
                self._open -= {request, secured}
            if secured:
                secured.close()

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close without a farewell, so that Reset is one."""
        self.close_request(request)

    def leave(self) -> None:
        """Break all connections and wait for nobody: clients may hold theirs open."""
        self.stopped.set()
        with self.lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.traffic.connections += 1
            self.number = self.server.traffic.connections

    def _handle(self) -> None:
        request = self._request()
        traffic = self.server.traffic
        with self.server.lock:
            traffic.requests.append(request)
        try:
            answer = self.server.application(request)
            self._send(answer)
            self._drain(request, answer)
        except (Reset, OSError):
            self._reset()
        except Exception as error:  # noqa: BLE001 it is raised when the test ends
            with self.server.lock:
                traffic.crashes.append(error)
            self._reset()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 the names http.server calls

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = Body(
            self.rfile, int(headers.get("content-length", "0")), "chunked" in headers.get("transfer-encoding", "")
        )
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return Request(self.command, unquote(parts.path), query, headers, self.path, self.number, body)

    def _send(self, answer: Answer) -> None:
        for piece in answer.prelude:
            self._write(piece)
        if not answer.raw:
            self._write(self._head(answer))
        if self.command == "HEAD" and not answer.raw:
            return
        chunked = answer.headers.get("Transfer-Encoding") == "chunked"
        for chunk in [answer.body] if isinstance(answer.body, bytes) else answer.body:
            with self.server.lock:
                self.server.traffic.sent += len(chunk)
            self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked and chunk else chunk)
        if chunked:
            self._write(b"0\r\n\r\n")

    def _write(self, piece: bytes) -> None:
        if self.server.stopped.is_set():
            raise Reset
        self.wfile.write(piece)

    def _head(self, answer: Answer) -> bytes:
        headers = dict(answer.headers)
        sized = headers.keys() & {"Content-Length", "Transfer-Encoding"} or answer.status in (204, 304)
        if not sized and isinstance(answer.body, bytes):
            headers["Content-Length"] = str(len(answer.body))
        elif not sized:
            answer.close = True
        if answer.close:
            headers["Connection"] = "close"
        lines = [f"HTTP/{answer.version} {answer.status} {responses.get(answer.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _drain(self, request: Request, answer: Answer) -> None:
        """Read what is left of a body, as servers do, so that it is not mistaken for the next request."""
        left = request.body.length - request.body.received
        if answer.raw or answer.close or answer.version == "1.0" or left > _LONGEST_DRAINED:
            self.close_connection = True
        else:
            for _ in request.body:
                pass

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, *_: object) -> None:
        pass
