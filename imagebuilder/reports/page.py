"""Pages: one file each, with everything in it. They ask no network, and only our own style and script take effect.

The same input gives the same bytes. Without JavaScript a page is complete but for what moves.
"""

import base64
from collections.abc import Sequence
from pathlib import Path

from imagebuilder.display import json_line
from imagebuilder.reports.markup import Html, element, escape, join
from layers.canonical import Json
from layers.digest import Digest
from layers.values import dataclass

_FOLDER = Path(__file__).parent


def page(title: str, body: Html, rows: Json) -> bytes:
    """Write a page; `rows` is what the script shows on demand, its texts printable already."""
    style = (_FOLDER / "page.css").read_text("utf-8")
    script = (_FOLDER / "page.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = join(
        element("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        Html(f"<title>{escape(title)}</title>"),
        Html(f"<style>{style}</style>"),
    )
    # No `<` in the block: nothing in it can end it, whatever it is (HTML standard, "Restrictions for script elements").
    block = json_line(rows).replace("<", "\\u003c")
    written = join(
        Html("<!DOCTYPE html>\n"),
        Html('<html lang="en"><head>'),
        head,
        Html("</head>\n<body>"),
        body,
        Html(f'\n<script type="application/json" id="rows">{block}</script>\n<script>{script}</script>'),
        Html("</body></html>\n"),
    )
    return written.source.encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page that can be linked to."""

    name: str
    title: str
    content: Html
    note: str = ""

    def html(self) -> Html:
        """Return it under its title."""
        return element(
            "section",
            element("h2", self.title, id=f"{self.name}-title"),
            element("p", self.note, class_="note") if self.note else None,
            self.content,
            id=self.name,
            aria_labelledby=f"{self.name}-title",
        )


def contents(panels: Sequence[Panel]) -> Html | None:
    """Link to the panels."""
    links = (element("a", panel.title, href=f"#{panel.name}") for panel in panels)
    return element("nav", links, aria_label="Contents") if len(panels) > 1 else None


def heads(names: Sequence[str], *, numbers: int = 0) -> Html:
    """Make the head of a table, the last columns of which are numbers."""
    first = len(names) - numbers
    cells = (
        element("th", name, scope="col", class_="number" if place >= first else None)
        for place, name in enumerate(names)
    )
    return element("thead", element("tr", cells))


def _source(content: str) -> str:
    digest = bytes.fromhex(Digest.of(content.encode()).hex)
    return f"'sha256-{base64.b64encode(digest).decode()}'"
