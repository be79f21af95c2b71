"""The transport of the registry client: one request, one answer. TLS, proxies, timeouts, connections that are kept.

It follows nothing, retries nothing and knows of no credentials but those of proxies; session.py does.
"""

import threading
import time  # noqa: TID251 how long an answer may take is no part of an image
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imagebuilder.proxies import proxy_for
from imagebuilder.registry import addresses, failures
from imagebuilder.registry.failures import CutError
from imagebuilder.registry.settings import BLOCK, RegistrySettings

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

    Response = BaseHTTPResponse

# A body may take as long as at this rate, and a while more. One that trickles more slowly is cut.
_SLOWEST_RATE = 1 << 13
# What OpenSSL says of an answer that is no TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_TLS_ALERT = "\\x15\\x03"


class Transport:
    """Connections to any number of hosts. Safe to use from threads."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._pools: dict[tuple[str, bool], PoolManager] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.clear()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        *,
        patience_s: float = 0.0,
    ) -> "Response":
        """Send a request and return the head of the answer; its body is read with `chunks` or `whole`.

        `patience_s` is how much longer than usual the answer may take. Raises CutError if none comes, and RefusedError
        IB202 or UsageError IB203 for a server that speaks TLS otherwise than we must.
        """
        from urllib3 import Timeout

        pool = self._pool(url)
        timeout = Timeout(connect=self._settings.connect_timeout_s, read=self._settings.timeout_s + patience_s)
        with cuts(url):
            return pool.request(
                method,
                url,
                headers={"Accept-Encoding": "identity", "User-Agent": "imagebuilder", **headers},
                body=body,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )

    def chunks(self, response: "Response", url: str) -> Iterator[bytes]:
        """Yield a body as it arrives. Raises CutError if it breaks off or trickles."""
        deadline = time.monotonic() + self._settings.timeout_s
        while True:
            with cuts(url):
                chunk = response.read1(BLOCK)
            if not chunk:
                return
            yield chunk
            deadline += len(chunk) / _SLOWEST_RATE
            if time.monotonic() > deadline:
                raise CutError("it answers too slowly")

    def whole(self, response: "Response", url: str, *, limit: int) -> bytes:
        """Return a small body. Raises IntegrityError IB213 if it has more than `limit` bytes."""
        received: list[bytes] = []
        size = 0
        for chunk in self.chunks(response, url):
            received.append(chunk)
            size += len(chunk)
            if size > limit:
                raise failures.too_large(f"an answer of {addresses.host(url)}", limit)
        return b"".join(received)

    def _pool(self, url: str) -> "PoolManager":
        parts = urlsplit(url)
        environment = self._settings.environment
        proxy = "" if addresses.is_loopback(parts.hostname or "") else proxy_for(url, environment)
        key = proxy, "https" in (parts.scheme, urlsplit(proxy).scheme)
        with self._lock:
            if key not in self._pools:
                from imagebuilder.registry import connections  # 70 ms, which only who asks a registry pays

                authorities = self._settings.ca_file or environment.get("SSL_CERT_FILE", "")
                self._pools[key] = connections.open_pool(proxy, authorities, secure=key[1])
            return self._pools[key]


@contextmanager
def cuts(url: str) -> Iterator[None]:
    """Turn what can go wrong on the wire into our errors."""
    from urllib3 import exceptions

    from imagebuilder import connections

    host = addresses.host(url)
    try:
        yield
    except exceptions.LocationParseError as error:
        raise failures.bad_place(host, "to something that is no address") from error
    except exceptions.ProxyError as error:
        raise CutError(connections.reason(error)) from error
    except exceptions.SSLError as error:
        said = str(error).upper().replace(" ", "_")
        if any(mark in said for mark in _NO_TLS):
            raise failures.without_tls(host) from error
        if "CERTIFICATE" in said:
            raise failures.untrusted(host, _reason(error)) from error
        raise CutError("the TLS connection breaks") from error
    except (exceptions.HTTPError, OSError) as error:
        if _TLS_ALERT in repr(error):
            raise failures.with_tls(host) from error
        raise CutError(connections.reason(error)) from error


def _reason(error: Exception) -> str:
    """Return OpenSSL's reason: what stands between `verify failed:` and the place in its source."""
    return str(error).rpartition("verify failed: ")[2].partition(" (_ssl")[0].rstrip("')")
