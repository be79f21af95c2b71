"""Plain requests: a registry that answers plainly is understood, and of any other nothing is believed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from imagebuilder import plain
from tests.registry import Registry, digest_of

PATH = "/v2/shop/manifests/1"


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """Serve one connection: whatever is asked, this is the answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_what_is_sent_is_there(registry: Registry) -> None:
    layer, manifest = b"layer" * 100_000, registry.put_image("shop", b"old", tag="1")
    with plain.Registry(registry.address) as asked:
        assert asked.tag(PATH) == manifest
        assert asked.tag("/v2/shop/manifests/2") == ""
        blob = f"/v2/shop/blobs/{digest_of(layer)}"
        assert not asked.has_blob(blob, len(layer))
        asked.upload("shop", digest_of(layer), [layer[:7], layer[7:]], len(layer))
        assert asked.has_blob(blob, len(layer))
        with pytest.raises(OSError):
            asked.has_blob(blob, len(layer) + 1)
    assert registry.repository("shop").blobs[digest_of(layer)] == layer


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.0 200 OK\r\nDocker-Content-Digest: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDocker-Content-Digest: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: x\r\n\r\nmore",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20),
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
)
def test_any_other_answer_is_none(answer: bytes) -> None:
    with saying(answer) as host, plain.Registry(host) as asked, pytest.raises(OSError):
        asked.tag(PATH)


@pytest.mark.parametrize("place", ["", "http://127.0.0.1:1/upload", "//elsewhere/upload", "/a b", "/a\x7f", "/é"])
def test_an_upload_goes_nowhere_else(place: str) -> None:
    answer = f"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nLocation: {place}\r\n\r\n".encode("latin-1")
    with saying(answer) as host, plain.Registry(host) as asked, pytest.raises(OSError):
        asked.upload("shop", digest_of(b"x"), [b"x"], 1)
