"""Addresses: which of them are one place, and which may be trusted together."""

import ipaddress
from urllib.parse import urljoin, urlsplit

from imagebuilder.registry import failures

# Under these names everybody may have a host: two of them have nothing in common.
_SHARED = (
    "amazonaws.com", "appspot.com", "azurecr.io", "azurewebsites.net", "cloudfront.net", "duckdns.org", "fly.dev",
    "github.io", "gitlab.io", "herokuapp.com", "netlify.app", "ngrok.app", "ngrok.io", "ngrok-free.app", "onrender.com",
    "pages.dev", "run.app", "ts.net", "vercel.app", "web.app", "workers.dev", "windows.net",
)  # fmt: skip
# The second labels that country domains give out under: `example.co.uk`.
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gob", "gov", "gub", "ne", "net", "nom", "or", "org"})


def host(url: str) -> str:
    """Return host and port as written, without user and password: what may be shown."""
    return urlsplit(url).netloc.rpartition("@")[2]


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what credentials belong to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def next_address(url: str, location: str) -> str:
    """Return where a redirect or an upload goes on. Raises RefusedError IB210 for where we do not go."""
    try:
        target = urljoin(url, location)
        scheme, name, _ = origin(target)
    except ValueError:  # brackets that do not match, a port that is no number
        scheme = name = target = ""
    if scheme not in ("http", "https") or not name or urlsplit(target).username is not None:
        raise failures.bad_place(host(url), "to something that is no address")
    if scheme == "http" and url.startswith("https:"):
        raise failures.bad_place(host(url), f"to {host(target)}, without TLS")
    return target


def is_loopback(name: str) -> bool:
    """Say whether a host name stands for this machine."""
    return ipaddress.ip_address(name.strip("[]")).is_loopback if _is_address(name) else name == "localhost"


def related(name: str, other: str) -> bool:
    """Say whether two hosts belong to one registrable domain."""
    return _registrable(name) == _registrable(other) != "" or (name == other and "." in name and not _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _registrable(name: str) -> str:
    """Return the domain that somebody registered; empty for an IP address and where it cannot be told."""
    labels = name.rstrip(".").lower().split(".")
    if len(labels) < 2 or _is_address(name):
        return ""
    country = len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    domain = ".".join(labels[-3:] if country else labels[-2:])
    return "" if domain in _SHARED or (country and len(labels) < 3) else domain
