"""Patterns of .dockerignore as regular expressions, with the meaning that moby/patternmatcher gives them."""

import re
from collections.abc import Iterable

from layers.expression import expression

# path/filepath.Match of Go: a class is [ ^? ( character | character-character )+ ].
_CHARACTER = r"(?:\\.|[^\\\]-])"
_PART = expression(
    rf"(?P<folders>\*\*/?)|(?P<star>\*)|(?P<any>\?)|(?P<group>\[\^?(?:{_CHARACTER}(?:-{_CHARACTER})?)+\])"
    r"|\\(?P<escaped>.)|(?P<literal>[^\\\[])",
    re.DOTALL,
)

_FOLDERS, _STAR = "(?:.*/)?", "[^/]*"
# Each of them multiplies the time by the length of a path.
_MOST_LOOSE = 1


def covering(patterns: Iterable[str]) -> str:
    """Return a regular expression for the paths that one of the patterns matches, or that are in such a folder."""
    listed = list(patterns)
    names = [translated(pattern[3:]) for pattern in listed if pattern.startswith("**/") and "**" not in pattern[3:]]
    others = [translated(pattern) for pattern in listed if not pattern.startswith("**/") or "**" in pattern[3:]]
    # What starts with `**/` is tried together, once for each folder of a path: this is asked of every file.
    together = [f"(?:.*/)?(?:{'|'.join(names)})"] if names else []
    return f"(?:{'|'.join(together + others)})(?:/.*)?"


def translated(pattern: str) -> str:
    """Translate a pattern to a regular expression, as moby/patternmatcher does.

    All wildcards but the last keep the first place that fits (atomic groups), since what follows them can take whatever
    another place would leave: otherwise `*a*a*a*a*b` would take for ever to say no.
    Raises ValueError if a pattern is malformed, or has several wildcards of which that is not so.
    """
    blocks = _split(_tokens(pattern), _FOLDERS)
    source, loose = _block(blocks[0])
    for before, block, after in zip(blocks, blocks[1:], [*blocks[2:], None], strict=False):
        text, more = _block(block)
        loose += more
        if after is None:
            source += _FOLDERS + text
        elif before[-1:] in ([], ["/"]) and block[-1:] in ([], ["/"]) and not any(map(_crosses, block)):
            source += f"(?>(?:.*?/)??{text})"
        else:
            source += _FOLDERS + text
            loose += 1
    if loose > _MOST_LOOSE:
        raise ValueError(pattern)
    return source


def _block(tokens: list[str]) -> tuple[str, int]:
    """Join what stands between two `**`, and count the wildcards that may try several places."""
    first, *pieces = _split(tokens, _STAR)
    source, loose = "".join(first), 0
    for number, piece in enumerate(pieces, 1):
        if number == len(pieces) or "/" in piece:
            source += _STAR + "".join(piece)
        elif any(map(_crosses, piece)):
            source += _STAR + "".join(piece)
            loose += 1
        else:
            source += f"(?>[^/]*?{''.join(piece)})"
    return source, loose


def _crosses(one: str) -> bool:
    """Say whether a class of characters has the slash in it."""
    return one != "/" and one.startswith("[") and re.fullmatch(one, "/") is not None


def _split(tokens: list[str], at: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for token in tokens:
        if token == at:
            found.append([])
        else:
            found[-1].append(token)
    return found


def _tokens(pattern: str) -> list[str]:
    """Translate a pattern piece by piece: wildcards, and what matches single characters."""
    found = []
    position = 0
    while position < len(pattern):
        part = _PART.match(pattern, position)
        if part is None:
            raise ValueError(pattern)
        found.append(_token(part, pattern))
        position = part.end()
    return found


def _token(part: re.Match[str], pattern: str) -> str:
    if part["folders"]:
        at_start = part.start() == 0 and part["folders"] == "**" and not re.search(r"[*?\[\]\\]", pattern[2:])
        return ".*" if part.end() == len(pattern) or at_start else _FOLDERS
    if part["star"]:
        return _STAR
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
