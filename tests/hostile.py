"""Faults for the registry of the tests: what broken, unlucky and malicious registries answer.

    registry.faults += [at("GET", "/blobs/", flipped()), at("PUT", "/manifests/", says(503), times=2)]

A fault takes a request and the way it would be answered otherwise, and answers; so faults can be put on top of each
other. Endless things are generated, never stored, and end when the server stops.
"""

import itertools
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests import registry
from tests.registry import Fault, Registry
from tests.serving import Answer, Application, Body, Request, Reset

BLOCK = bytes(1 << 16)


def at(methods: str, part: str, fault: Fault, *, times: int = 0, after: int = 0) -> Fault:
    """Limit a fault to requests of these methods (`GET|HEAD`; empty: any) whose address contains `part`.

    It lets the first `after` of them pass, and strikes `times` times (0: for ever).
    """
    lock, counter = threading.Lock(), itertools.count()

    def limited(request: Request, proceed: Application) -> Answer:
        if (methods and request.method not in methods.split("|")) or part not in request.target:
            return proceed(request)
        with lock:
            number = next(counter) - after
        return fault(request, proceed) if number >= 0 and (not times or number < times) else proceed(request)

    return limited


# What it says instead of the truth.


def says(
    status: int, headers: dict[str, str] | None = None, body: bytes | Callable[[], Iterable[bytes]] = b""
) -> Fault:
    """Give this answer, whatever was asked. A function makes the body anew for each answer."""
    return lambda *_: Answer(status, dict(headers or {}), body if isinstance(body, bytes) else body())


def html() -> Fault:
    """Greet with a page, as captive portals and proxies do."""
    return says(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>Welcome</title><p>Please log in")


def headers(**changes: str | None) -> Fault:
    """Answer with changed headers: `Content_Type="text/plain"`; None leaves one out."""
    named = {name.replace("_", "-"): value for name, value in changes.items()}

    def changed(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        lower = {name.lower() for name in named}
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in lower}
        answer.headers = kept | {name: value for name, value in named.items() if value is not None}
        return answer

    return changed


def twice(name: str, value: str) -> Fault:
    """Answer with a header of that name more; it comes first."""

    def doubled(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        length = {} if "Content-Length" in answer.headers else {"Content-Length": str(len(_content(answer)))}
        answer.headers = length | answer.headers
        answer.headers[name] = f"{value}\r\n{name}: {answer.headers.get(name, value)}"
        return answer

    return doubled


def redirects(to: str, status: int = 307) -> Fault:
    """Send the client to the same path at another address."""
    return lambda request, _: Answer(status, {"Location": to + request.target})


def challenges(value: str) -> Fault:
    """Refuse whatever was asked, with this WWW-Authenticate."""
    return says(401, {"WWW-Authenticate": value})


def realm(url: str) -> Fault:
    """Ask for a token from this address, unless credentials are brought."""
    challenge = challenges(f'Bearer realm="{url}",service="registry"')
    return unless_authorized(challenge)


def unless_authorized(fault: Fault) -> Fault:
    """Limit a fault to requests without credentials."""
    return lambda request, proceed: proceed(request) if "authorization" in request.headers else fault(request, proceed)


def parrots() -> Fault:
    """Refuse with an error that repeats the credentials it was given."""
    return lambda request, proceed: (
        registry.error(400, request.headers["authorization"])
        if "authorization" in request.headers
        else proceed(request)
    )


def uploads_to(base: str) -> Fault:
    """Name another address for the next step of an upload: this one, and the same path."""

    def moved(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        if "Location" in answer.headers:
            answer.headers["Location"] = base + answer.headers["Location"]
        return answer

    return moved


# What it does to content.


def flipped(position: int = 0) -> Fault:
    """Change a bit of the content."""
    return _rewritten(lambda content: content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])


def shorter() -> Fault:
    """Leave out the last byte of the content, and say so in Content-Length."""
    return _rewritten(lambda content: content[:-1])


def longer() -> Fault:
    """Add a byte to the content, and say so in Content-Length."""
    return _rewritten(lambda content: content + b"\0")


def replaced(content: bytes) -> Fault:
    """Answer with other content under the same headers."""
    return _rewritten(lambda _: content)


def squeezed(size: int = 1 << 26) -> Fault:
    """Answer with so many zeros, compressed to a thousandth, and say so in Content-Encoding: a bomb."""

    def bomb() -> Iterator[bytes]:
        packer = zlib.compressobj(wbits=31)
        for _ in range(size // len(BLOCK)):
            yield packer.compress(BLOCK)
        yield packer.flush()

    def answered(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        return replace(answer, headers=answer.headers | {"Content-Encoding": "gzip"}, body=bomb())

    return answered


def endless(*, size: int = 0, status: int = 0) -> Fault:
    """Answer with zeros under the same headers: in chunks without end, or so many bytes as Content-Length says."""

    def answered(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        blocks = itertools.repeat(BLOCK, size // len(BLOCK)) if size else itertools.repeat(BLOCK)
        length = {"Content-Length": str(size)} if size else {"Transfer-Encoding": "chunked"}
        return replace(answer, status=status or answer.status, headers=answer.headers | length, body=blocks)

    return answered


# What happens to connections.


def resets() -> Fault:
    """Break the connection before anything is done."""

    def broken(_request: Request, _proceed: Application) -> Answer:
        raise Reset

    return broken


def forgets() -> Fault:
    """Do what was asked, and break the connection instead of saying so."""

    def broken(request: Request, proceed: Application) -> Answer:
        proceed(request)
        raise Reset

    return broken


def cuts(after: int) -> Fault:
    """Break the connection when so many bytes of the content were sent."""

    def pieces(content: bytes) -> Iterator[bytes]:
        yield content[:after]
        raise Reset

    def answered(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        content = _content(answer)
        answer.headers["Content-Length"] = str(len(content))
        return replace(answer, body=pieces(content))

    return answered


def truncates(after: int) -> Fault:
    """End the content after so many bytes, in good order, although Content-Length promised more."""

    def answered(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        content = _content(answer)
        answer.headers["Content-Length"] = str(len(content))
        return replace(answer, body=content[:after], close=True)

    return answered


def cuts_upload(after: int) -> Fault:
    """Break the connection when so many bytes of the request have come; the registry keeps what it has."""

    def answered(request: Request, proceed: Application) -> Answer:
        request.body = _Cut(request.body, after)
        return proceed(request)

    return answered


def stalls() -> Fault:
    """Accept the request and say nothing."""
    return says_raw(_silence)


def drips(head: bool = False) -> Fault:
    """Answer a byte at a time, slowly: the content, or the headers too."""

    def slowly(content: bytes) -> Iterator[bytes]:
        for byte in content:
            time.sleep(0.05)
            yield bytes([byte])

    def answered(request: Request, proceed: Application) -> Answer:
        if head:
            return Answer(raw=True, body=slowly(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 4000 + b"\r\n\r\n"))
        answer = proceed(request)
        content = _content(answer)
        answer.headers["Content-Length"] = str(len(content))
        return replace(answer, body=slowly(content))

    return answered


def says_raw(*pieces: bytes | Callable[[], Iterable[bytes]]) -> Fault:
    """Send these bytes, or those a function generates, and close the connection."""

    def answered(_request: Request, _proceed: Application) -> Answer:
        body = itertools.chain.from_iterable([one] if isinstance(one, bytes) else one() for one in pieces)
        return Answer(raw=True, body=body)

    return answered


def repeated(piece: bytes) -> Callable[[], Iterator[bytes]]:
    """Generate the same bytes for ever."""
    return lambda: itertools.repeat(piece * 100)


def early_hints(count: int = 0) -> Fault:
    """Say `103 Early Hints` so many times before the answer (0: for ever)."""
    return _informs(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n", count)


def continues(count: int = 0) -> Fault:
    """Say `100 Continue`, which nobody waits for, so many times before the answer (0: for ever)."""
    return _informs(b"HTTP/1.1 100 Continue\r\n\r\n", count)


def http_1_0() -> Fault:
    """Answer as servers of HTTP/1.0 do: without a length, and the content ends with the connection."""

    def answered(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        return replace(answer, version="1.0", body=iter([_content(answer)]), close=True)

    return answered


@contextmanager
def thief(host: str = "127.0.0.2", *, certificate: Path | None = None) -> Iterator[Registry]:
    """Run a server at another origin that asks for credentials, hands out tokens and takes whatever it is sent."""

    def greedy(request: Request, _proceed: Application) -> Answer:
        for _ in request.body:
            pass
        if "token" in request.path:
            return Answer(200, {"Content-Type": "application/json"}, b'{"token": "of-the-thief"}')
        if "authorization" in request.headers:
            return Answer(201, {"Location": request.target})
        return Answer(401, {"WWW-Authenticate": 'Basic realm="give"'})

    with Registry(host=host, certificate=certificate, faults=[greedy]).running() as registry:
        yield registry


class _Cut(Body):
    """The body of a request whose connection breaks after some bytes."""

    def __init__(self, body: Body, after: int) -> None:
        super().__init__(body.file, body.length, body.chunked)
        self._after = after

    def __iter__(self) -> Iterator[bytes]:
        for chunk in super().__iter__():
            left = self._after - self.received + len(chunk)
            yield chunk[: max(left, 0)]
            if left < len(chunk):
                raise Reset


def _rewritten(change: Callable[[bytes], bytes]) -> Fault:
    def answered(request: Request, proceed: Application) -> Answer:
        answer = proceed(request)
        return replace(answer, body=change(_content(answer)))

    return answered


def _informs(message: bytes, count: int) -> Fault:
    def answered(request: Request, proceed: Application) -> Answer:
        return replace(proceed(request), prelude=itertools.repeat(message, *([count] if count else [])))

    return answered


def _content(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def _silence() -> Iterator[bytes]:
    while True:
        time.sleep(0.05)
        yield b""
