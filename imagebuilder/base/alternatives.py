"""The links that `update-alternatives --install` would make, read from postinst scripts without running them.

Only plain calls are understood, with literal words, as debhelper and the libraries that need them (BLAS, LAPACK)
write them; a call that uses variables is passed over.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CALL = re.compile(r"^[ \t]*update-alternatives((?:[^\\\n]|\\\n|\\.)*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to fill a link: `/usr/bin/editor` (link), `editor` (name), `/usr/bin/vim.tiny` (path)."""

    priority: int
    link: str
    name: str
    path: str


def alternatives(postinst: bytes) -> Iterator[Alternative]:
    """Yield what a postinst script offers, links that follow another one (`--slave`) included."""
    for match in _CALL.finditer(postinst.decode("utf-8", "replace")):
        try:
            words = shlex.split(match[1].replace("\\\n", " "))
        except ValueError:
            continue
        if "--install" not in words or any("$" in word or "`" in word for word in words):
            continue
        start = words.index("--install") + 1
        if len(words) < start + 4 or not words[start + 3].isdigit():
            continue
        priority = int(words[start + 3])
        yield Alternative(priority, *words[start : start + 3])
        for at in range(start + 4, len(words) - 3):
            if words[at] == "--slave":
                yield Alternative(priority, *words[at + 1 : at + 4])


def choose(offered: Iterable[Alternative]) -> tuple[Alternative, ...]:
    """Return the best of each name: the highest priority, then the first path."""
    best: dict[str, Alternative] = {}
    for alternative in sorted(offered, key=lambda each: (each.name, -each.priority, each.path)):
        best.setdefault(alternative.name, alternative)
    return tuple(best.values())
