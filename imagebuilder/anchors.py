"""The links of a page in HTML, made absolute."""

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin


def find(page: str, address: str) -> list[tuple[str, Mapping[str, str | None]]]:
    """Return the links of a page that was found at `address`, each with the attributes of its element."""
    reader = _Anchors(address)
    reader.feed(page)
    reader.close()
    return reader.found


class _Anchors(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self._base = address
        self.found: list[tuple[str, Mapping[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take `href` of links and of `base`."""
        attributes = dict(attrs)
        target = attributes.get("href")
        if target and tag == "a":
            self.found.append((urljoin(self._base, target), attributes))
        elif target and tag == "base":
            self._base = urljoin(self._base, target)
