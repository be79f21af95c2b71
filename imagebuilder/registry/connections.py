"""Connections to registries: within bounds of time and size, and with the system's authorities.

Imports urllib3 at once, so it is imported when the first request is sent.
"""

import http.client
import io
import ssl
import time  # noqa: TID251 how long an answer may take is no part of an image
from socket import socket

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from imagebuilder import connections
from imagebuilder.registry import addresses
from layers.errors import UsageError

# How much may come before our side gets any of it: heads, `100 Continue`, chunk sizes, trailers.
_LONGEST_UNREAD = 1 << 20


class _Patient(io.RawIOBase):
    """What comes over a connection, within bounds of time and size that every read by our side renews."""

    def __init__(self, raw: io.RawIOBase, patience_s: float) -> None:
        self._raw = raw
        self._patience_s = patience_s
        self.renew()

    def renew(self) -> None:
        self._deadline = time.monotonic() + self._patience_s
        self._left = _LONGEST_UNREAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]  # BufferedReader gives no other
        if self._left <= 0:
            raise ConnectionError("more than anybody can use")
        received = self._raw.readinto(buffer)
        self._left -= received or 0
        if time.monotonic() > self._deadline:
            raise TimeoutError("too slow")
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that can neither trickle nor go on for ever in what we never see: its head, chunk sizes, trailers.

    A timeout alone begins again with every byte, and http.client skips any number of `100 Continue`.
    """

    def __init__(self, sock: socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._patient = _Patient(self.fp.detach(), (sock.gettimeout() or 60) * 1.5)
        self.fp = io.BufferedReader(self._patient)

    def read1(self, n: int = -1) -> bytes:
        self._patient.renew()
        return super().read1(n)


class _Plain(HTTPConnection):
    response_class = _Answer


class _Secure(HTTPSConnection):
    response_class = _Answer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def open_pool(proxy: str, authorities: str, *, secure: bool) -> PoolManager:
    """Open a pool that trusts the authorities in a file (default: the system's); one that is not secure needs none.

    Raises UsageError IB208 for a proxy or a file that cannot be used.
    """
    trust = _trusting(authorities) if secure else None
    try:
        pool = connections.open_pool(proxy, trust)
    except ValueError as error:
        place = addresses.host(proxy)
        raise _unusable(f"cannot use the proxy {place}", "it is no http address", "correct HTTPS_PROXY") from error
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool


def _trusting(authorities: str) -> ssl.SSLContext:
    """Trust the authorities in a file, or those of the system; certifi's only where the system has none."""
    try:
        context = connections.trusting(authorities)
    except OSError as error:
        reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror or "it is damaged"
        hint = "correct SSL_CERT_FILE, or unset it to trust the authorities of the system"
        raise _unusable(f"cannot read the certificates in {authorities}", reason, hint) from error
    # A folder of authorities is looked at when one is needed, and not counted before.
    if not authorities and not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        import certifi  # 5 ms, which few systems need

        context.load_verify_locations(certifi.where())
    return context


def _unusable(what: str, reason: str, hint: str) -> UsageError:
    return UsageError(f"{what}: {reason}", hint=hint, code="IB208")
