"""Forms: patterns that give away what a differing place is: a time, a path of the build, a random value.

A form counts where it stands on both sides with other text. The first of the table that does wins: the more particular
come first.
"""

import re
from collections.abc import Callable

from layers.expression import expression
from layers.values import dataclass
from reproducibility.contents import calendars
from reproducibility.difference import Known

Match = re.Match[bytes]

_BUILD_ROOT = expression(
    rb"/(?:tmp|var/tmp|dev/shm|private/(?:tmp|var)|home|Users|root|builds?|builddir|usr/src|work(?:space)?|__w|runner"
    rb"|var/(?:folders|lib/(?:jenkins|buildkit|docker|containers)))(?:/|$)"
)
_TEMPORARY = expression(rb"pip-[a-z-]+-[0-9a-z_]{8}\b|\btmp[0-9a-z_]{8}\b|\.tmp[0-9A-Za-z]{6}\b|/buildd?/|/buildkit-")
_SYSTEM = expression(rb"/(?:usr|bin|sbin|lib\w*|etc|var|dev|proc|sys|run)/")
_HOME = expression(rb"(?:/home/[^/]+|/Users/[^/]+|/root)(?:/\..*)?")
_HASH_BEFORE = expression(rb"(?i)(?:sha\d*|md5|hash|digest|checksum|integrity|etag|blake2\w?)[\"'\s:=-]{0,4}$")
_HOST_BEFORE = expression(
    rb"(?i)\b(?:(?:host[_ -]?name|nodename|build[_ -]?host|on host)[\"'\s:=]{1,5}|(?:root|user|build\w*|runner)@)$"
)
_SEPARATOR = expression("[.,'_ ]|\u202f|\xa0".encode())

# Variables that describe the host of a build, whoever prints them. Not PATH: that is set on purpose as often.
_VARIABLES = {
    b"HOSTNAME": "hostname",
    b"HOME": "user",
    b"LOGNAME": "user",
    b"USER": "user",
    b"TZ": "time-zone",
    b"LANG": "locale",
    b"LANGUAGE": "locale",
    b"OLDPWD": "build-path",
    b"PWD": "build-path",
    b"TEMP": "build-path",
    b"TMP": "build-path",
    b"TMPDIR": "build-path",
    b"EDITOR": "environment",
    b"SHELL": "environment",
    b"SHLVL": "environment",
    b"TERM": "environment",
}
_VARIABLES_BY_START = {b"LC_": "locale", b"SSH_": "environment", b"XDG_": "environment", b"GITHUB_": "environment"}


@dataclass(frozen=True, slots=True)
class Form:
    """A pattern, and what two different texts of it mean: a cause, or nothing."""

    pattern: re.Pattern[bytes]
    meaning: Callable[[Match, Match, Known], str]


def _means(cause: str) -> Callable[[Match, Match, Known], str]:
    return lambda _left, _right, _known: cause


def _variable(left: Match, right: Match, _known: Known) -> str:
    name = left[1]
    if name != right[1]:
        return ""
    by_start = (cause for start, cause in _VARIABLES_BY_START.items() if name.startswith(start))
    return _VARIABLES.get(name) or next(by_start, "")


def _host(left: Match, right: Match, _known: Known) -> str:
    named = all(_HOST_BEFORE.search(match.string, 0, match.start()) for match in (left, right))
    return "hostname" if named else ""


def _path(left: Match, right: Match, _known: Known) -> str:
    here, there = left[0], right[0]
    if _HOME.fullmatch(here) and _HOME.fullmatch(there):
        return "user"
    if any(_BUILD_ROOT.match(path) or _TEMPORARY.search(path) for path in (here, there)):
        return "build-path"
    same_name = here.rpartition(b"/")[2] == there.rpartition(b"/")[2]
    system = _SYSTEM.match(here) or _SYSTEM.match(there)
    # What comes after a name or a slash is part of a relative path or of a URL.
    absolute = not any(re.search(rb"[\w./-]$", match.string[: match.start()]) for match in (left, right))
    return "build-path" if same_name and absolute and not system else ""


def _token(left: Match, right: Match, _known: Known) -> str:
    """Tell random values: as long as each other, letters and digits mixed, and hardly a place in common."""
    here, there = left[0], right[0]
    if len(here) != len(there) or not all(_is_mixed(text) for text in (here, there)):
        return ""
    if sum(a == b for a, b in zip(here, there, strict=True)) > len(here) // 2:
        return ""
    derived = all(_HASH_BEFORE.search(match.string, 0, match.start()) for match in (left, right))
    return "derived" if derived else "random"


def _is_mixed(text: bytes) -> bool:
    return any(48 <= byte < 58 for byte in text) and any(byte >= 65 for byte in text)


def _number(left: Match, right: Match, _known: Known) -> str:
    """Tell one number written in two locales."""
    here, there = _SEPARATOR.split(left[0]), _SEPARATOR.split(right[0])
    grouped = all(len(part) == 3 for part in (*here[1:], *there[1:]))
    return "locale" if here == there or (grouped and b"".join(here) == b"".join(there)) else ""


def _locale(left: Match, right: Match, _known: Known) -> str:
    return "locale" if any(b"_" in match[0] or b"." in match[0] for match in (left, right)) else ""


FORMS = (
    Form(expression(rb"(?<![A-Za-z0-9_])([A-Z][A-Z_]+)[\"']?\s?[=:]\s?[\"']?[^\s\"';,]*"), _variable),
    Form(expression(rb"(?<![\w-])[A-Za-z0-9][\w.-]*"), _host),
    Form(calendars.NUMERIC_DATE, calendars.date),
    Form(calendars.WORDED_DATE, calendars.date),
    Form(calendars.TIME_OF_DAY, calendars.date),
    Form(expression(rb"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), _means("random")),
    Form(expression(rb"\$[0-9a-z]{1,3}\$[^\s:]{8,}"), _means("random")),
    Form(expression(rb"/[\w.+@%~-]+(?:/[\w.+@%~-]+)*"), _path),
    Form(calendars.COMPACT_DATE, _means("timestamp")),
    Form(calendars.EPOCH, calendars.epoch),
    Form(calendars.DURATION, _means("timestamp")),
    Form(calendars.ZONE, _means("time-zone")),
    Form(calendars.WORD, calendars.name),
    Form(calendars.YEAR, calendars.year),
    Form(calendars.DAYS, calendars.days),
    Form(expression(rb"\b(?:[a-z]{2,3}_[A-Z]{2}|C|POSIX)\b(?:\.[\w-]+)?(?:@\w+)?"), _locale),
    Form(expression(rb"(?i)\b(?:utf-?8|(?:us-)?ascii|ansi_x3\.4-1968|iso-?8859-\d+|latin-?1)\b"), _means("locale")),
    Form(expression("\\d+(?:(?:[.,'_ ]|\u202f|\xa0)\\d+)*".encode()), _number),
    Form(expression(rb"\b0x[0-9a-f]{6,16}\b"), _means("random")),
    Form(expression(rb"(?<![\w+/-])[\w+/-]{8,200}=*(?![\w+/-])"), _token),
)
