"""An engine for tests that need no real one: it speaks as much of Docker's HTTP API as loading and saving take."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Engine:
    """What the engine says, and what it was sent: `image_id` is the id of every image it is asked for.

    `saved` is what it gives for the name of an image; it has no others.
    """

    version: str = "20.10.24+dfsg1"
    image_id: str = ""
    error: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    loaded: bytes = b""
    saved: dict[str, bytes] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator["Engine"]:
        """Listen on loopback; `environment` leads a client here."""
        with ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"engine": self})) as server:
            self.environment = {"DOCKER_HOST": f"tcp://127.0.0.1:{server.server_port}"}
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    engine: Engine

    def do_GET(self) -> None:
        if self.path.endswith("/version"):
            self._answer({"ApiVersion": "1.41", "Version": self.engine.version})
        elif self.path.endswith("/get"):
            self._save(self.path.split("/images/")[1].removesuffix("/get"))
        else:
            self._answer({"Id": self.engine.image_id})

    def do_POST(self) -> None:
        self.engine.loaded = b"".join(self._chunks())
        self._answer({"errorDetail": {"message": self.engine.error}} if self.engine.error else {"stream": "done"})

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _save(self, name: str) -> None:
        if self.engine.error:
            self._answer({"message": self.engine.error}, status=500)
        elif name in self.engine.saved:
            self._send(200, "application/x-tar", self.engine.saved[name])
        else:
            self._answer({"message": f"No such image: {name}"}, status=404)

    def _answer(self, document: dict[str, object], *, status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(document).encode())

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
