"""Text for people: sizes, durations, colour, and names from outside made harmless."""

import unicodedata
from collections.abc import Iterable

from layers.expression import expression

_USERINFO = expression(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@]+@")
# Bidirectional controls reorder what stands around them (UAX #9), zero-width characters hide.
_HIDDEN = frozenset("\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\ufeff") | {
    chr(code) for code in range(0x2066, 0x206A)
}
_LIKENESS = 0.6  # of two words of which one could be meant: difflib's own threshold
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def printable(text: str) -> str:
    """Escape control, bidirectional, hidden and unencodable characters; redact the userinfo of URLs.

    Everything that is shown goes through here, so a name from outside cannot move the cursor or pose as our words.
    """
    if text.isascii() and text.isprintable() and "@" not in text:
        return text
    return "".join(map(_visible, _USERINFO.sub(r"\1***@", text)))


def _visible(character: str) -> str:
    if character == " " or (character.isprintable() and character not in _HIDDEN):
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def size(count: int) -> str:
    """Write a number of bytes with three digits: `84 kB`, `18.2 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":  # the next unit begins where four digits would
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 100 or unit in ("B", "kB") else f"{value:.1f} {unit}"


def counted(count: int, noun: str) -> str:
    """Write a number of things: `1 layer`, `1,204 layers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write a duration: `0.3 s`, `2 min 05 s`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def paint(text: str, style: str, *, colour: bool) -> str:
    """Colour text, if colour is wanted."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour and text else text


def columns(text: str) -> int:
    """Count the columns that printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, width: int) -> str:
    """Cut printable text to `width` columns; a cut is shown as `…`."""
    if columns(text) <= width:
        return text
    kept, used = [], 1
    for character in text:
        used += _columns(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept) + "…"


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Set rows in columns, two spaces apart; the last column is left ragged."""
    escaped = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(columns, column)) for column in zip(*escaped, strict=True)]
    return [
        "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in escaped
    ]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that was most likely meant; nothing if none is like it, or two are equally."""
    import difflib  # 4 ms that only a mistake has to pay

    scores = {one: difflib.SequenceMatcher(None, one, word).ratio() for one in known}
    best = max(scores.values(), default=0.0)
    found = [one for one, score in scores.items() if score == best]
    return found[0] if best >= _LIKENESS and len(found) == 1 else ""
