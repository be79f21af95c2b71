"""Connections: pools of them, direct or by a proxy, the certificates to trust, and what can go wrong.

Imports urllib3 at once, so it is imported when the first request is sent.
"""

import importlib.util
import ssl
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from urllib3 import PoolManager, ProxyManager, disable_warnings, exceptions, make_headers

_HOSTS = 16
_CONNECTIONS = 64  # of a host
# Bytes that urllib3 sends at a time.
_BLOCK = 1 << 18


def open_pool(proxy: str, trust: ssl.SSLContext | None) -> PoolManager:
    """Open a pool; without `trust` it is for plain http. Raises ValueError for a proxy that is no http address."""
    if not proxy:
        return PoolManager(_HOSTS, maxsize=_CONNECTIONS, blocksize=_BLOCK, ssl_context=trust)
    parts = urlsplit(proxy)
    user, at, place = parts.netloc.rpartition("@")
    try:
        return ProxyManager(
            f"{parts.scheme}://{place}",
            _HOSTS,
            proxy_headers=make_headers(proxy_basic_auth=unquote(user)) if at else None,
            maxsize=_CONNECTIONS,
            blocksize=_BLOCK,
            ssl_context=trust,
        )
    except exceptions.HTTPError as error:
        raise ValueError(f"{place} is no http address") from error


def open_socks_pool(proxy: str, trust: ssl.SSLContext | None) -> PoolManager:
    """Open a pool by a proxy that speaks SOCKS. Raises ValueError without PySocks, which is no dependency."""
    if importlib.util.find_spec("socks") is None:
        raise ValueError("PySocks is not installed")
    from urllib3.contrib.socks import SOCKSProxyManager

    return SOCKSProxyManager(proxy, num_pools=_HOSTS, maxsize=_CONNECTIONS, ssl_context=trust)


@cache
def trusting(authorities: str) -> ssl.SSLContext:
    """Trust the authorities in a file or a folder, or those of the system. Raises OSError for what holds none.

    To read them takes 25 ms, so all pools of a process share what has been read.
    """
    if authorities and Path(authorities).is_dir():
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities or None)


def trusting_anybody() -> ssl.SSLContext:
    """Check no certificates: the user has named the host."""
    disable_warnings(exceptions.InsecureRequestWarning)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def reason(error: Exception) -> str:
    """Say in a few words why there is no answer, or no whole one."""
    match error:
        case exceptions.ProxyError():
            return "the proxy refuses or cannot be reached"
        case exceptions.NameResolutionError():
            return "there is no such host"
        case exceptions.NewConnectionError():  # for urllib3 a kind of timeout, which it is not
            return "the connection is refused" if "refused" in str(error) else "no connection"
        case exceptions.TimeoutError():
            return "it does not answer in time"
        case _:
            return "the connection breaks"
