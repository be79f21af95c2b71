"""Connections: pools of them, direct or by a proxy, with the certificates to trust.

The only module that imports urllib3 at once; it is imported when the first request is sent.
"""

import ssl
import threading
from contextlib import suppress
from socket import SHUT_RDWR
from urllib.parse import unquote, urlsplit

import certifi
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from layers.errors import UsageError

_CONNECTIONS = 16
_BLOCK = 1 << 18


class _Plain(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 departs from http.client here
        with _Watch(self):
            return super().getresponse()


class _Secure(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 departs from http.client here
        with _Watch(self):
            return super().getresponse()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Watch:
    """Break a connection whose answer does not begin in time: a timeout alone never ends a head that trickles."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection
        self._timer = threading.Timer((connection.timeout or 60) * 1.5, self._break)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()

    def _break(self) -> None:
        with suppress(OSError):
            if self._connection.sock:
                self._connection.sock.shutdown(SHUT_RDWR)


def open_pool(proxy: str, authorities: str) -> PoolManager:
    """Open a pool that trusts the authorities in a file (default: the system's).

    Raises UsageError IB208 for a proxy or a file that cannot be used.
    """
    context = _tls(authorities)
    if not proxy:
        pool = PoolManager(maxsize=_CONNECTIONS, blocksize=_BLOCK, ssl_context=context)
    else:
        parts = urlsplit(proxy)
        user, at, place = parts.netloc.rpartition("@")
        headers = make_headers(proxy_basic_auth=unquote(user)) if at else None
        try:
            pool = ProxyManager(
                f"{parts.scheme}://{place}",
                proxy_headers=headers,
                maxsize=_CONNECTIONS,
                blocksize=_BLOCK,
                ssl_context=context,
            )
        except (HTTPError, ValueError) as error:
            raise _unusable(f"cannot use the proxy {place}", "it is no http address", "correct HTTPS_PROXY") from error
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool


def _tls(authorities: str) -> ssl.SSLContext:
    """Trust the authorities in a file, or those of the system; certifi's only where the system has none."""
    try:
        context = ssl.create_default_context(cafile=authorities or None)
    except (OSError, ssl.SSLError) as error:
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror or "it is damaged"
        hint = "correct SSL_CERT_FILE, or unset it to trust the authorities of the system"
        raise _unusable(f"cannot read the certificates in {authorities}", reason, hint) from error
    # A folder of authorities is looked at when one is needed, and not counted before.
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        context.load_verify_locations(certifi.where())
    return context


def _unusable(what: str, reason: str, hint: str) -> UsageError:
    return UsageError(f"{what}: {reason}", hint=hint, code="IB208")
