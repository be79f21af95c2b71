"""Addresses of what is downloaded: their origin, their credentials, and what of them may be shown."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from layers.expression import expression

_TOKEN = expression(r"/t/[^/]+/")
Credentials = tuple[str, str]


def origin(url: str) -> str:
    """Return scheme, host and port: what credentials belong to."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def host(url: str) -> str:
    """Return host and port as written, without credentials: what may be shown."""
    place = urlsplit(url).netloc
    return place.rpartition("@")[2] if place else url


def local_path(url: str) -> Path | None:
    """Return the path of a `file:` address or of a plain path; None for anything else."""
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    return None if "://" in url else Path(url)


def credentials_of(url: str) -> Credentials | None:
    """Return the user and password in an address."""
    return split_credentials(url)[1]


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """Return an address without the user and password in it, and these."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return parts._replace(netloc=place).geturl(), (unquote(name), unquote(password)) if at else None


def shown(url: str) -> str:
    """Leave out credentials: of servers of conda packages also those that stand in the path."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    path = _TOKEN.sub("/t/…/", parts.path)
    return parts._replace(netloc=host(url), path=path, query="", fragment="").geturl()
