"""Traces: what two short pieces of content give away about the builds that wrote them."""

import functools
import itertools
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from layers.expression import expression
from layers.values import dataclass
from reproducibility.contents import alignment, hexdump
from reproducibility.contents.alignment import Region
from reproducibility.contents.forms import FORMS
from reproducibility.difference import Known

# Bytes that are looked at: around a place, of a piece, and of a text that is shown.
_AROUND = 128
_PIECE_MAX = 16 << 10
_SHOWN_MAX = 60
_PLACES_MAX = 32
# A known string that is shorter than this stands for itself only between other characters.
_SHORT = 5

_KNOWN = {
    "path": "build-path",
    "home": "user",
    "host": "hostname",
    "user": "user",
    "locale": "locale",
    "zone": "time-zone",
    "environment": "environment",
}
# The more telling first. What is derived tells only that something else differs.
_TELLING = (
    "build-path", "hostname", "user", "environment", "locale", "time-zone", "timestamp", "random", "set-order",
    "line-endings", "derived",
)  # fmt: skip
_WORD_BYTES = bytes(byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum() or byte == ord("_"))
_WORD = expression(rb"[\w\x80-\xff]+|\s+|.", re.DOTALL)
_BETWEEN_PARTS = expression(rb"[\s,;{}\[\]()|&]+")


@dataclass(frozen=True, slots=True)
class Trace:
    """A cause, and the two strings that show it. Without a cause they are only what differs."""

    cause: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a content differs. `cause` is empty if its traces explain too little; `left` and `right` show the first."""

    cause: str = ""
    left: str = ""
    right: str = ""
    note: str = ""
    follows: bool = False


def trace(left: bytes, right: bytes, *, known: Known) -> Trace | None:
    """Tell why two pieces differ (a line, a string of a program, a field): the most telling trace, or None."""
    if left.replace(b"\r\n", b"\n") == right.replace(b"\r\n", b"\n"):
        return Trace("line-endings", *(("CRLF", "LF") if len(left) > len(right) else ("LF", "CRLF")))
    if is_reordered(left, right):
        return Trace("set-order", shown(left.strip()), shown(right.strip()))
    found = traces_at(left, right, itertools.islice(_differing_words(left, right), _PLACES_MAX), known=known)
    counts = Counter(one.cause for one in found if one)
    if not counts or not _is_enough(counts, found.count(None)):
        return None
    cause = _heaviest(counts)
    return next(one for one in found if one and one.cause == cause)


def traces_at(left: bytes, right: bytes, regions: Iterable[Region], *, known: Known) -> list[Trace | None]:
    """Tell why two contents differ at each of these places."""
    found: list[Trace | None] = []
    told = -1
    for region in regions:
        # A date may differ in several places and is one trace.
        if region.left < told:
            continue
        here = _Window.of(left, region.left, region.left_end)
        there = _Window.of(right, region.right, region.right_end)
        one = _known_trace(here, there, known)
        if one is None:
            one, end = _form_trace(here, there, known)
            told = region.left - here.start + end
        found.append(one)
    return found


def is_reordered(left: bytes, right: bytes) -> bool:
    """Whether two pieces have the same parts in another order."""
    if abs(len(left) - len(right)) > 2:
        return False
    here, there = (list(filter(None, _BETWEEN_PARTS.split(piece))) for piece in (left, right))
    return here != there and sorted(here) == sorted(there)


def nothing(left: bytes, right: bytes) -> Trace:
    """Return the trace without a cause for two pieces: what they are where they part."""
    at = hexdump.first_difference(left, right)
    start = at - _SHOWN_MAX // 3 if at > _SHOWN_MAX // 2 else 0
    return Trace("", shown(left[start:].rstrip()), shown(right[start:].rstrip()))


def weigh(places: Sequence[tuple[str, Trace]]) -> Finding:
    """Sum up what the places of a content tell. Each comes with what to call it."""
    counts = Counter(one.cause for _, one in places if one.cause)
    cause = _heaviest(counts) if counts else ""
    place, first = next((place, one) for place, one in places if one.cause == cause)
    notes = [f'{place}: "{first.left}" against "{first.right}"']
    notes += [f"also {other} ({count})" for other, count in sorted(counts.items()) if other != cause]
    unexplained = sum(not one.cause for _, one in places)
    if counts and unexplained:
        notes.append(f"{unexplained} of {len(places)} places not explained")
    enough = _is_enough(counts, unexplained)
    return Finding(cause if enough else "", first.left, first.right, "; ".join(notes))


def shown(content: bytes) -> str:
    """Return a short text of some bytes, as they are: they are escaped where they are shown."""
    text = content[: _SHOWN_MAX + 1].decode("utf-8", "surrogateescape")
    return text if len(content) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"


def _heaviest(counts: Mapping[str, int]) -> str:
    return max(counts, key=lambda cause: (cause != "derived", counts[cause], -_TELLING.index(cause)))


def _is_enough(counts: Mapping[str, int], unexplained: int) -> bool:
    """Whether traces explain at least half of the places. What is derived proves nothing beside the unexplained."""
    return sum(count for cause, count in counts.items() if cause != "derived") >= unexplained


@dataclass(frozen=True, slots=True)
class _Window:
    """A place with what stands around it on its line: bytes `start` to `end` of `text` differ."""

    text: bytes
    start: int
    end: int

    @classmethod
    def of(cls, content: bytes, start: int, end: int) -> "_Window":
        """Cut a window out of a content."""
        first, last = max(start - _AROUND, 0), end + _AROUND
        for end_of_text in (b"\n", b"\0"):
            first = max(first, content.rfind(end_of_text, first, start) + 1)
            cut = content.find(end_of_text, end, last)
            last = cut if cut >= 0 else last
        return cls(content[first:last], start - first, end - first)

    @property
    def size(self) -> int:
        """How many bytes differ."""
        return self.end - self.start

    def touched(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Return the first match that holds some of what differs."""
        for match in pattern.finditer(self.text):
            if self.touches(match.start(), match.end()):
                return match
            if match.start() > self.end:
                break
        return None

    def touches(self, start: int, end: int) -> bool:
        """Whether bytes `start` to `end` hold some of what differs."""
        if self.start == self.end:
            return start <= self.end and end >= self.start
        return start < self.end and end > self.start


def _differing_words(left: bytes, right: bytes) -> Iterator[Region]:
    start = hexdump.first_difference(left, right)
    same = alignment.common_end(left, right, start=start)
    # Words are compared as a whole.
    before = left[max(start - _AROUND, 0) : start]
    start -= len(before) - len(before.rstrip(_WORD_BYTES))
    after = left[len(left) - same :][:_AROUND]
    same -= len(after) - len(after.lstrip(_WORD_BYTES))
    pieces = (content[start : min(len(content) - same, start + _PIECE_MAX)] for content in (left, right))
    return alignment.align_parts(*map(_WORD.findall, pieces), start=start)


@functools.lru_cache(maxsize=64)
def _spellings(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return the bytes in which strings stand in files: as they are, in URLs, in JSON and source; longest first."""
    found = set()
    for text in filter(None, texts):
        found |= {text.encode("utf-8", "surrogateescape"), urllib.parse.quote(text, errors="surrogateescape").encode()}
        found.add(text.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "surrogateescape"))
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


def _known_trace(here: _Window, there: _Window, known: Known) -> Trace | None:
    """Find what is known of one build on its side and of the other on the other; the longest counts."""
    if not (known.left or known.right):
        return None
    best = Trace("", "", "")
    for key, cause in _KNOWN.items():
        left, right = _standing(here, known.left.get(key, ())), _standing(there, known.right.get(key, ()))
        # One side may have none of it: a variable that is not set.
        alone = not there.size if left else not here.size
        if left != right and ((left and right) or alone) and len(left + right) > len(best.left + best.right):
            best = Trace(cause, shown(left), shown(right))
    return best if best.cause else None


def _standing(window: _Window, texts: tuple[str, ...]) -> bytes:
    """Return the longest of these strings that holds some of what differs; nothing if none does."""
    for spelling in _spellings(texts):
        place = window.text.find(spelling)
        while place >= 0:
            end = place + len(spelling)
            alone = not (window.text[place - 1 : place].isalnum() or window.text[end : end + 1].isalnum())
            if window.touches(place, end) and (alone or len(spelling) >= _SHORT):
                return spelling
            place = window.text.find(spelling, place + 1)
    return b""


def _form_trace(here: _Window, there: _Window, known: Known) -> tuple[Trace | None, int]:
    """Find the first form that both sides have with another text, and where it ends on the left."""
    for form in FORMS:
        left = here.touched(form.pattern)
        right = there.touched(form.pattern) if left else None
        if left and right and left[0] != right[0] and (cause := form.meaning(left, right, known)):
            return Trace(cause, shown(left[0]), shown(right[0])), left.end()
    return None, 0
