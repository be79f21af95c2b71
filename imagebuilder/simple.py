"""Pages of a package index as lists of files (the simple repository API: PEP 691 in JSON, PEP 503 in HTML)."""

import json
import posixpath
from collections.abc import Iterator
from urllib.parse import unquote, urljoin, urlsplit

from layers.values import dataclass

# What to ask for; local files and old indexes answer in HTML.
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file that an index offers: name, absolute address, sha256 in hexadecimal (or empty), size if it says so.

    `python` is what it requires of Python's version (PEP 440); `yanked` says that nobody should choose it any more.
    """

    name: str
    url: str
    sha256: str = ""
    size: int | None = None
    python: str = ""
    yanked: bool = False


def parse(page: bytes, address: str) -> tuple[IndexFile, ...]:
    """Read a page that was found at `address`. Raises ValueError if it is neither JSON nor HTML."""
    if page.lstrip()[:1] == b"{":
        try:
            return tuple(_from_json(json.loads(page), address))
        except RecursionError as error:
            raise ValueError("it has too many lists in lists") from error
    from imagebuilder import anchors  # few indexes answer in HTML

    return tuple(
        _from_link(link, python=more.get("data-requires-python") or "", yanked="data-yanked" in more)
        for link, more in anchors.find(page.decode("utf-8"), address)
    )


def _from_json(document: object, address: str) -> Iterator[IndexFile]:
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, list):
        raise ValueError("it has no list of files")  # noqa: TRY004 what an index wrote, not what a caller passed
    for file in files:
        if isinstance(file, dict) and isinstance(name := file.get("filename"), str):
            hashes, size = file.get("hashes"), file.get("size")
            sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
            yield IndexFile(
                name,
                urljoin(address, str(file.get("url", ""))),
                sha256 if isinstance(sha256, str) else "",
                size if isinstance(size, int) else None,
                str(file.get("requires-python") or ""),
                bool(file.get("yanked")),
            )


def _from_link(link: str, *, python: str, yanked: bool) -> IndexFile:
    parts = urlsplit(link)
    name = unquote(posixpath.basename(parts.path))
    sha256 = parts.fragment.removeprefix("sha256=") if parts.fragment.startswith("sha256=") else ""
    return IndexFile(name, parts._replace(fragment="").geturl(), sha256, None, python, yanked)
