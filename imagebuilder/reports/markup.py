"""Markup: the one way in which a text gets into a page."""

import html
from collections.abc import Iterable

from imagebuilder import text
from layers.values import dataclass

_EMPTY = frozenset({"meta", "br"})  # elements without an end


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that we wrote. Only what is of this type is not escaped."""

    source: str


Child = Html | str | None
Children = Child | Iterable["Children"]


def element(tag: str, *children: Children, **attributes: str | float | None) -> Html:
    """Make an element. Texts are escaped, and what hides in them is made visible.

    `class_` stands for `class`, `data_path` for `data-path`. An attribute that is None is left out, one that is empty
    stands without a value.
    """
    names = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items())
    written = "".join(_attribute(name, value) for name, value in names if value is not None)
    end = "" if tag in _EMPTY else f"</{tag}>"
    return Html(f"<{tag}{written}>{join(*children).source}{end}")


def join(*children: Children) -> Html:
    """Put children one after the other; None is nothing."""
    return Html("".join(map(_source, children)))


def _attribute(name: str, value: str | float) -> str:
    if value == "":
        return f" {name}"
    return f' {name}="{escape(value) if isinstance(value, str) else f"{value:g}"}"'


def _source(child: Children) -> str:
    if child is None:
        return ""
    if isinstance(child, str):
        return escape(child)
    if isinstance(child, Html):
        return child.source
    return "".join(map(_source, child))


def escape(value: str) -> str:
    """Escape a text for markup."""
    return html.escape(text.printable(value))
