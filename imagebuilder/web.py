"""The web: one address read to its end, with retries, resumption, redirects and credentials.

Credentials go to the origin they were given for and to no other; an address with https is never left for one without.
Answers are errors of ours, so that nothing above knows of HTTP: 401 and 403 are refusals, what may pass is transient.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urldefrag, urljoin, urlsplit

from imagebuilder.addresses import Credentials, host, local_path, origin, shown, split_credentials
from imagebuilder.logins import Logins
from imagebuilder.proxies import proxy_for
from layers.blobs import storage_error
from layers.errors import BuildError, IntegrityError, RefusedError, TransientError

if TYPE_CHECKING:
    from ssl import SSLContext

    from urllib3 import BaseHTTPResponse, PoolManager

_CHUNK = 1 << 16
_TIMEOUTS = (10, 60)  # seconds to connect, and between two packets
_RETRIES = 3
_LONGEST_WAIT_S = 30.0
_REDIRECTS = 5
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})


class Web:
    """An open session. Safe to use from threads.

    `certificate` is a file of trusted authorities, `environment` names proxies and the netrc file, `backoff_s` is the
    first wait before a retry.
    """

    def __init__(
        self,
        credentials: Mapping[str, Credentials],
        *,
        certificate: str = "",
        trusted_hosts: tuple[str, ...] = (),
        environment: Mapping[str, str],
        offline: bool = False,
        backoff_s: float = 0.5,
    ) -> None:
        self._logins = Logins(credentials, environment)
        self._certificate = certificate
        self._trusted_hosts = frozenset(trusted_hosts)
        self._environment = environment
        self._offline = offline
        self._backoff_s = backoff_s
        self._pools: dict[tuple[str, str], PoolManager] = {}
        self._lock = threading.Lock()
        self._cancelled = threading.Event()

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *_error: object) -> None:
        for pool in self._pools.values():
            pool.clear()

    def cancel(self) -> None:
        """End whatever other threads are reading, with CancelledError."""
        self._cancelled.set()

    def get(self, url: str, *, limit: int, accept: str = "*/*") -> bytes:
        """Return a small document."""
        chunks: list[bytes] = []
        self.read(url, chunks.append, limit=limit, accept=accept)
        return b"".join(chunks)

    def read(self, url: str, sink: Callable[[bytes], object], *, limit: int, accept: str = "*/*") -> None:
        """Feed the bytes at an address to `sink`; after a broken connection go on where it broke.

        Raises TransientError IB701, RefusedError IB702 and IB705, BuildError IB700 and IB703, IntegrityError IB706.
        """
        if (path := local_path(url)) is not None:
            _read_file(path, sink, limit=limit)
            return
        received = _Received(sink, limit, url)
        for retry in range(_RETRIES + 1):
            if self._cancelled.is_set():
                raise CancelledError
            try:
                self._read_once(url, received, accept)
            except _MayPassError as error:
                if retry == _RETRIES:
                    raise _unreachable(url, error.reason) from error
                self._cancelled.wait(min(error.wait_s or self._backoff_s * 2**retry, _LONGEST_WAIT_S))
            else:
                return

    def _read_once(self, url: str, received: "_Received", accept: str) -> None:
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "imagebuilder"}
        if received.size:
            headers["Range"] = f"bytes={received.size}-"
        with self._open(url, headers) as response:
            # A server that ignores Range begins again: what is known already is passed over.
            received.skip = 0 if response.status == HTTPStatus.PARTIAL_CONTENT else received.size
            chunks = response.stream(_CHUNK, decode_content=True)  # some encode whatever they are asked for
            while True:
                with _failures(url):
                    chunk = next(chunks, b"")
                if self._cancelled.is_set():
                    raise CancelledError
                if not chunk:
                    return
                received.take(chunk)

    def _open(self, url: str, headers: Mapping[str, str]) -> "BaseHTTPResponse":
        """Follow redirects to an answer that is none; every failure becomes an error of ours."""
        if self._offline:
            raise _offline(url)
        address, own = split_credentials(url)
        try:
            origin(address)
        except ValueError as error:  # a port that is no number
            raise _not_found(address) from error
        for _ in range(_REDIRECTS + 1):
            response = self._get(address, {**headers, **self._logins.headers(address, own)})
            location = response.headers.get("Location") if response.status in _REDIRECT else None
            if location is None and response.status < HTTPStatus.BAD_REQUEST:
                return response
            response.close()
            if location is None:
                raise _failed(response, address)
            target, named = split_credentials(_target(address, location))
            if address.startswith("https:") and not target.startswith("https:"):
                raise _refused(address, "it sends us on to an address without TLS", "IB705")
            own = named or (own if origin(target) == origin(address) else None)
            address = target
        raise _refused(address, f"it sends us on more than {_REDIRECTS} times", "IB705")

    def _get(self, address: str, headers: Mapping[str, str]) -> "BaseHTTPResponse":
        pool = self._pool(address)
        from urllib3 import Timeout

        with _failures(address):
            return pool.request(
                "GET",
                urldefrag(address).url,
                headers=headers,
                timeout=Timeout(*_TIMEOUTS),
                retries=False,
                redirect=False,
                preload_content=False,
            )

    def _pool(self, address: str) -> "PoolManager":
        proxy = proxy_for(address, self._environment)
        key = proxy, self._trust(address, proxy)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._open_pool(address, *key)
            return self._pools[key]

    def _open_pool(self, address: str, proxy: str, trust: str) -> "PoolManager":
        from imagebuilder import connections  # 70 ms, which a build that downloads nothing must not pay

        try:
            opens = connections.open_socks_pool if proxy.startswith("socks") else connections.open_pool
            return opens(proxy, self._context(trust))
        except OSError as error:
            raise _refused(address, f"{self._certificate} holds no certificates to trust", "IB705") from error
        except ValueError as error:
            raise _unreachable(address, f"its proxy cannot be used: {error}") from error

    def _context(self, trust: str) -> "SSLContext | None":
        from imagebuilder import connections  # as in `_open_pool`

        match trust:
            case "nobody":
                return None
            case "anybody":
                return connections.trusting_anybody()
            case _:
                import certifi  # the same on every machine

                return connections.trusting(self._certificate or certifi.where())

    def _trust(self, address: str, proxy: str) -> Literal["nobody", "anybody", "authorities"]:
        """Say whose certificates are accepted on the way to an address; plain http asks nobody for one."""
        parts = urlsplit(address)
        if "https" not in (parts.scheme, urlsplit(proxy).scheme):
            return "nobody"
        trusted = not self._trusted_hosts.isdisjoint({parts.hostname, f"{parts.hostname}:{parts.port}"})
        return "anybody" if trusted else "authorities"


def _target(address: str, location: str) -> str:
    """Return where a redirect leads."""
    try:
        target = urljoin(address, location)
        origin(target)
    except ValueError as error:  # brackets that do not match, a port that is no number
        raise _refused(address, "it sends us on to something that is no address", "IB705") from error
    return target


class _MayPassError(Exception):
    """An answer or a failure that another try may not meet."""

    def __init__(self, reason: str, wait_s: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class _Received:
    """What has been read of an address so far: counts, passes over what came twice, and stops at the limit."""

    def __init__(self, sink: Callable[[bytes], object], limit: int, url: str) -> None:
        self._sink = sink
        self._limit = limit
        self._url = url
        self.size = 0
        self.skip = 0

    def take(self, chunk: bytes) -> None:
        """Pass on what is new."""
        new = chunk[self.skip :]
        self.skip -= len(chunk) - len(new)
        self.size += len(new)
        if self.size > self._limit:
            raise _too_large(self._url, self._limit)
        if new:
            self._sink(new)


def _read_file(path: Path, sink: Callable[[bytes], object], *, limit: int) -> None:
    received = _Received(sink, limit, str(path))
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                received.take(chunk)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise _not_found(str(path)) from error
    except OSError as error:
        raise storage_error(error, path) from error


def _failed(response: "BaseHTTPResponse", url: str) -> Exception:
    status = response.status
    if status in _MAY_PASS:
        wait = response.headers.get("Retry-After", "")
        return _MayPassError(f"it answers {status}", float(wait) if wait.isdigit() else 0)
    if status in (404, 410):
        return _not_found(url)
    return _refused(url, f"it answers {status}", "IB702")


@contextmanager
def _failures(address: str) -> Iterator[None]:
    """Turn what can go wrong on the wire into our errors."""
    from urllib3 import exceptions

    from imagebuilder import connections

    try:
        yield
    except exceptions.SSLError as error:
        raise _refused(address, "its certificate is not trusted", "IB705") from error
    except exceptions.LocationValueError as error:
        raise _not_found(address) from error
    except (exceptions.HTTPError, OSError) as error:
        raise _MayPassError(connections.reason(error)) from error


def _offline(url: str) -> BuildError:
    return BuildError(
        f"cannot ask {host(url)}: --offline was given",
        hint="run once without --offline, so that everything needed is in the cache",
        code="IB700",
    )


def _unreachable(url: str, reason: str) -> TransientError:
    return TransientError(
        f"cannot reach {host(url)}: {reason}",
        hint="check the network, proxy settings and the address, then try again",
        code="IB701",
    )


def _refused(url: str, reason: str, code: str) -> RefusedError:
    hint = (
        "give credentials in the index address, a netrc file, a keyring, or UV_INDEX_<NAME>_USERNAME and _PASSWORD"
        if code == "IB702"
        else "correct the address, or name the authority's certificate in SSL_CERT_FILE"
    )
    return RefusedError(f"{host(url)} refuses: {reason}", hint=hint, code=code)


def _not_found(url: str) -> BuildError:
    return BuildError(
        f"there is nothing at {shown(url)}", hint="check the address of the index or mirror", code="IB703"
    )


def _too_large(url: str, limit: int) -> IntegrityError:
    return IntegrityError(
        f"{shown(url)} has more than {limit} bytes",
        hint="the server answers with something else than was asked for; check its address",
        code="IB706",
    )
