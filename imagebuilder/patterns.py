"""Patterns of .dockerignore as regular expressions, with the meaning that moby/patternmatcher gives them."""

import re
from collections.abc import Iterable

# path/filepath.Match of Go: a class is [ ^? ( character | character-character )+ ].
_CHARACTER = r"(?:\\.|[^\\\]-])"
_PART = re.compile(
    rf"(?P<folders>\*\*/?)|(?P<star>\*)|(?P<any>\?)|(?P<group>\[\^?(?:{_CHARACTER}(?:-{_CHARACTER})?)+\])"
    r"|\\(?P<escaped>.)|(?P<literal>[^\\\[])",
    re.DOTALL,
)


def covering(patterns: Iterable[str]) -> str:
    """Return a regular expression for the paths that one of the patterns matches, or that are in such a folder."""
    listed = list(patterns)
    names = [translated(pattern[3:]) for pattern in listed if pattern.startswith("**/") and "**" not in pattern[3:]]
    others = [translated(pattern) for pattern in listed if not pattern.startswith("**/") or "**" in pattern[3:]]
    # What starts with `**/` is tried together, once for each folder of a path: this is asked of every file.
    together = [f"(?:.*/)?(?:{'|'.join(names)})"] if names else []
    return f"(?:{'|'.join(together + others)})(?:/.*)?"


def translated(pattern: str) -> str:
    """Translate a pattern to a regular expression, as moby/patternmatcher does; ValueError if it is malformed."""
    source = ""
    position = 0
    while position < len(pattern):
        part = _PART.match(pattern, position)
        if part is None:
            raise ValueError(pattern)
        source += _translated_part(part, pattern)
        position = part.end()
    return source


def _translated_part(part: re.Match[str], pattern: str) -> str:
    if part["folders"]:
        at_start = part.start() == 0 and part["folders"] == "**" and not re.search(r"[*?\[\]\\]", pattern[2:])
        return ".*" if part.end() == len(pattern) or at_start else "(?:.*/)?"
    if part["star"]:
        return "[^/]*"
    if part["any"]:
        return "[^/]"
    if part["group"]:
        negated = part["group"].startswith("[^")
        ranges = re.findall(rf"({_CHARACTER})(-{_CHARACTER})?", part["group"][1 + negated : -1], re.DOTALL)
        inside = "".join(_character(first) + ("-" + _character(last[1:]) if last else "") for first, last in ranges)
        return f"[{'^' if negated else ''}{inside}]"
    return re.escape(part["escaped"] or part["literal"])


def _character(text: str) -> str:
    return re.escape(text[-1])


def escaped(path: str) -> str:
    """Return the pattern that matches just this path."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)
