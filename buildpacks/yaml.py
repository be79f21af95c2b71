"""YAML as package managers write it: nested mappings and lists of texts, which is what environments and locks are.

A strict part of YAML 1.2: blocks, quoted and plain scalars, `{}` and `[a, b]`. Every scalar is a text (so `3.10` stays
what it is), `null` and nothing are None. Anchors, tags, several documents and block scalars are refused, not guessed.
"""

import json
import re
from collections.abc import Sequence

from layers.canonical import Json
from layers.expression import expression
from layers.values import dataclass

_DEPTH_MAX = 50
_KEY = expression(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'\[\]{}#&*!|>%@`,?-][^#]*?|-[^\s#][^#]*?)\s*:(?:\s+(.*))?"""
)
_QUOTED = expression(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*(?:#.*)?""")
_COMMENT = expression(r"\s#.*")
_FLOW = expression(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\[\]{},"']+|[\[\]{},])""")
_REFUSED = ("&", "*", "!", "|", ">", "%", "@", "`", "? ")
_NOTHING = ("", "~", "null", "Null", "NULL")


def parse(text: str) -> Json:
    """Return what a document holds; ValueError, with the line, for what is malformed or of another part of YAML."""
    lines = [
        _Line(number, len(line) - len(line.lstrip(" ")), line.lstrip(" ").rstrip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if tab := next((line for line in lines if line.text.startswith("\t")), None):
        raise tab.wrong("it is indented with a tab")
    if lines and lines[0].text == "---":
        lines = lines[1:]
    if not lines:
        return None
    reader = _Reader(lines)
    found = reader.block(lines[0].indent, 0)
    if reader.place < len(lines):
        raise lines[reader.place].wrong("it is indented differently")
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    indent: int
    text: str

    def wrong(self, why: str) -> ValueError:
        return ValueError(f"line {self.number} cannot be read: {why}")

    @property
    def is_item(self) -> bool:
        return self.text == "-" or self.text.startswith("- ")


class _Reader:
    """Lines, and how many of them were read. A line may be replaced by the rest of it."""

    def __init__(self, lines: list[_Line]) -> None:
        self.lines = lines
        self.place = 0

    def block(self, indent: int, depth: int) -> Json:
        line = self.lines[self.place]
        if depth > _DEPTH_MAX:
            raise line.wrong("it is nested too deeply")
        if line.is_item:
            return self._sequence(indent, depth)
        if _KEY.fullmatch(line.text):
            return self._mapping(indent, depth)
        self.place += 1
        return self._scalar(line, line.text, indent - 1)

    def _sequence(self, indent: int, depth: int) -> list[Json]:
        found: list[Json] = []
        while (line := self._at(indent)) and line.is_item:
            rest = line.text[1:].lstrip()
            if not rest or rest.startswith("#"):
                self.place += 1
                found.append(self._below(indent + 1, depth))
                continue
            inner = indent + len(line.text) - len(rest)
            self.lines[self.place] = _Line(line.number, inner, rest)
            found.append(self.block(inner, depth + 1))
        return found

    def _mapping(self, indent: int, depth: int) -> dict[str, Json]:
        found: dict[str, Json] = {}
        while line := self._at(indent):
            match = None if line.is_item else _KEY.fullmatch(line.text)
            if match is None:
                if line.is_item and found:
                    break
                raise line.wrong("it is not `key: value`")
            key = _unquoted(line, match[1])
            if key in found:
                raise line.wrong(f"{key[:100]!r} stands in it twice")
            self.place += 1
            value = match[2] or ""
            if not value or value.startswith("#"):
                found[key] = self._below(indent if self._is_item_at(indent) else indent + 1, depth)
            else:
                found[key] = self._scalar(line, value, indent)
        return found

    def _is_item_at(self, indent: int) -> bool:
        """Say whether a list follows that is not indented further than its key."""
        line = self.lines[self.place] if self.place < len(self.lines) else None
        return line is not None and line.indent == indent and line.is_item

    def _at(self, indent: int) -> _Line | None:
        """Return the next line if it belongs to a block; what is indented further belongs to nothing."""
        if self.place == len(self.lines):
            return None
        line = self.lines[self.place]
        if line.indent > indent:
            raise line.wrong("it is indented differently")
        return line if line.indent == indent else None

    def _below(self, least: int, depth: int) -> Json:
        """Read the block that belongs to the line before, if there is one."""
        if self.place == len(self.lines) or self.lines[self.place].indent < least:
            return None
        return self.block(self.lines[self.place].indent, depth + 1)

    def _scalar(self, line: _Line, text: str, indent: int) -> Json:
        """Read a value that may go on in the lines below, as long as they are indented further."""
        while self.place < len(self.lines) and self.lines[self.place].indent > indent:
            text = f"{text} {self.lines[self.place].text}"
            self.place += 1
        return _value(line, text)


def _value(line: _Line, text: str) -> Json:
    if text.startswith(("{", "[")):
        return _flow(line, text)
    if text.startswith(_REFUSED) or text in ("...", "---"):
        raise line.wrong(f"{text[:1]!r} begins something that is not understood here")
    if text.startswith(('"', "'")):
        match = _QUOTED.fullmatch(text)
        if match is None:
            raise line.wrong("a quoted text does not end")
        return _unquoted(line, match[1])
    text = "" if text.startswith("#") else _COMMENT.sub("", text, count=1).strip()
    if ": " in text or text.endswith(":"):
        raise line.wrong("it has a `:` too many")
    return None if text in _NOTHING else text


def _unquoted(line: _Line, text: str) -> str:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise line.wrong("an escape in a quoted text is not understood") from error


def _flow(line: _Line, text: str) -> Json:
    """Read `{a: b}` or `[a, b]`, whose items are scalars."""
    text = _COMMENT.sub("", text).strip() if not re.search("[\"']", text) else text
    words = [match[1].strip() for match in _FLOW.finditer(text)]
    if "".join(words).replace(" ", "") != text.replace(" ", "") or words[-1] != {"{": "}", "[": "]"}[words[0]]:
        raise line.wrong("its brackets do not fit")
    items = _items(line, words[1:-1])
    if words[0] == "[":
        return [_value(line, item) for item in items]
    found: dict[str, Json] = {}
    for item in items:
        match = _KEY.fullmatch(item)
        if match is None:
            raise line.wrong("it is not `{key: value}`")
        found[_unquoted(line, match[1])] = _value(line, match[2] or "")
    return found


def _items(line: _Line, words: Sequence[str]) -> list[str]:
    """Join words between commas; a comma may stand behind the last."""
    if any(word in "{}[]" for word in words):
        raise line.wrong("brackets in brackets are not understood here")
    items = [""]
    for word in words:
        if word == ",":
            items.append("")
        else:
            items[-1] += f" {word}" if items[-1] else word
    if items[-1] == "":
        items.pop()
    if "" in items:
        raise line.wrong("it has a comma too many")
    return items
