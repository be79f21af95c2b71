"""The links that `update-alternatives --install` would make, read from postinst scripts without running them.

Understood are calls with literal words, as debhelper writes them, and with variables that are set once to literal words
or run through a list of them (`for program in convert magick; do`). What else a script may do does not matter much: a
link is only made to a file that is there.
"""

import itertools
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping

from layers.expression import expression
from layers.values import dataclass

_CALL = expression(r"^[ \t]*update-alternatives[ \t](.*)$", re.MULTILINE)
_SET = expression(r"^[ \t]*(?:for[ \t]+)?(\w+)(?:=|[ \t]+in[ \t]+)([^;\n]*)", re.MULTILINE)
_VARIABLE = expression(r"\$\{?(\w+)\}?")
# Far more than real scripts need; a script could double a variable in every line.
_CALLS_MAX = 1000
_TEXT_MAX = 4096


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to fill a link: `/usr/bin/editor` (link), `editor` (name), `/usr/bin/vim.tiny` (path)."""

    priority: int
    link: str
    name: str
    path: str


def alternatives(postinst: bytes) -> Iterator[Alternative]:
    """Yield what a postinst script offers, links that follow another one (`--slave`) included."""
    script = postinst.decode("utf-8", "replace").replace("\\\n", " ")
    variables: dict[str, list[str]] = {}
    for name, value in _SET.findall(script):
        known = {each: " ".join(words) for each, words in variables.items()}
        variables[name] = [*variables.get(name, ()), *_words(_substitute(value, known)[:_TEXT_MAX])][:_CALLS_MAX]
    for call in _CALL.findall(script):
        for words in _expanded(_words(call), variables):
            yield from _offered(words)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _expanded(words: list[str], variables: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Yield a call once for each value of its variables; those that are not known stay as they are."""
    names = sorted({name for word in words for name in _VARIABLE.findall(word) if name in variables})
    values = itertools.product(*(variables[name] for name in names))
    for chosen in itertools.islice(values, _CALLS_MAX):
        known = dict(zip(names, chosen, strict=True))
        yield [_substitute(word, known) for word in words]


def _substitute(text: str, known: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: known.get(match[1], match[0]), text)


def _offered(words: list[str]) -> Iterator[Alternative]:
    """Read `--install LINK NAME PATH PRIORITY [--slave LINK NAME PATH]...`."""
    at = words.index("--install") + 1 if "--install" in words else len(words)
    priority = "".join(words[at + 3 : at + 4])
    if not priority.isdecimal():
        return
    starts = [at, *(each + 1 for each, word in enumerate(words) if word == "--slave" and each > at)]
    for triple in (words[start : start + 3] for start in starts):
        if len(triple) == 3 and not any("$" in word or "`" in word for word in triple):
            yield Alternative(int(priority), *triple)


def choose(offered: Iterable[Alternative]) -> tuple[Alternative, ...]:
    """Return the best of each name: the highest priority, then the first path."""
    best: dict[str, Alternative] = {}
    for alternative in sorted(offered, key=lambda each: (each.name, -each.priority, each.path)):
        best.setdefault(alternative.name, alternative)
    return tuple(best.values())
