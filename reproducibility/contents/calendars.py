"""Calendars: how times are written, and whether two of them tell of another time, another zone or another locale."""

import re
import struct

from layers.expression import expression
from reproducibility.contents.alignment import Region
from reproducibility.difference import Known

Match = re.Match[bytes]

# No build that somebody compares was made before 2015 or after 2035; in seconds since the epoch.
_EARLIEST, _LATEST = 1_420_070_400, 2_051_222_400
_DAY = 86_400
_DOS = "<HH"
_YEAR = 31_556_952
# Binary numbers further apart than three years are hardly the times of two builds.
_APART = 3 * _YEAR

_WEEKDAY = rb"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_MONTH = rb"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?"
_MONTH += rb"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
_CLOCK = rb"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s?[AP]M\b)?"
_ZONE = rb"(?:Z\b|[A-Z]{3,5}\b|[+-]\d\d:?\d\d\b|\([A-Z]+\))"
_AREA = rb"(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific|US)/[A-Za-z_/+-]+\d*"

# 2026-01-05T10:00:00+01:00, 2026/01/05 10:00
NUMERIC_DATE = expression(
    rb"(?<!\d)\d{4}(?P<dash>[-/])[01]\d(?P=dash)[0-3]\d(?!\d)(?:[T _]*" + _CLOCK + rb"(?:\s?" + _ZONE + rb")?)?"
)
# Mon, 05 Jan 2026 10:00:00 +0100; Mon Jan  5 10:00:00 CET 2026; Jan  5 2026
WORDED_DATE = expression(
    rb"(?:\b%b,?\s+)?(?:\b\d{1,2}[ -]%b[ -]\d{2,4}|\b%b\s+\d{1,2}\b(?:,?\s+\d{4}\b)?)"
    rb"(?:,?\s+(?:at )?%b)?(?:\s+%b)?(?:\s+\d{4}\b)?" % (_WEEKDAY, _MONTH, _MONTH, _CLOCK, _ZONE)
)
# 20260105, 20260105T100000Z, 20260105100000
COMPACT_DATE = expression(rb"(?<!\d)20[1-3]\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_-]?\d{4,6}Z?)?(?!\d)")
TIME_OF_DAY = expression(rb"(?<![\d:A-Fa-f])\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?:\s?" + _ZONE + rb")?(?![\d:])")
# Seconds since the epoch, with a fraction, or as milli-, micro- or nanoseconds.
EPOCH = expression(rb"(?<![\d.])([12]\d{9})(?:\.\d+|\d{3}|\d{6}|\d{9})?(?!\d)")
DAYS = expression(rb"(?<![\w.])[12]\d{4}(?![\w.])")
YEAR = expression(rb"(?<![\w.])20[1-3]\d(?![\w.])")
DURATION = expression(rb"(?<![\w.])\d+\.\d+\s?(?:[mun]?s|sec(?:ond)?s?|min(?:ute)?s?)\b")
ZONE = expression(
    rb"\b(?:UTC|GMT|CES?T|EES?T|WES?T|BST|IST|MSK|JST|KST|[ACEMP][SD]T|%b)\b"
    rb"|(?:^|(?<=[\"'(])|(?<=\d )|(?<=UTC|GMT))[+-][01]\d:?(?:[03]0|[14]5)\b" % _AREA
)
WORD = expression(rb"(?<![\w\x80-\xff])[A-Za-z\x80-\xff]{2,12}(?![\w\x80-\xff])")

_CLOCK_PARTS = expression(rb"(\d{1,2}):(\d\d):(\d\d)")
_YEAR_MONTH_DAY = expression(rb"(\d{4})[-/](\d\d)[-/](\d\d)")
_MONTH_NAMES = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_MONTH_NAME = expression(rb"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec")
_YEAR_NUMBER = expression(rb"\b\d{4}\b")
_DAY_NUMBER = expression(rb"\b\d{1,2}\b")
# From the last of February to the first of March it is four days, if all months had 31.
_MONTHS_END = 4
_ZONE_PART = expression(rb"(?<=\d)\s?%b(?=\s+\d{4}$|$)" % _ZONE)
_STRING = expression(rb"[\x20-\x7e]{4,}")
_ENGLISH = expression(rb"%b|%b" % (_WEEKDAY, _MONTH))
# How days and months begin in the languages that hosts are most often set to besides English.
_TRANSLATED = expression(
    "mo|di|mi|do|fr|sa|so|jän|jan|feb|mär|mai|jun|jul|aug|sep|okt|nov|dez|lun|mar|mer|jeu|ven|sam|dim|fév|avr|juin|juil"
    "|aoû|oct|déc|mié|jue|vie|sáb|dom|ene|abr|may|ago|dic|gio|gen|mag|giu|lug|set|ott|seg|ter|qua|qui|sex|fev|out|ma"
    "|woe|don|vrij|za|zo|mrt|mei|dec"
)


def date(left: Match, right: Match, _known: Known) -> str:
    """Tell two dates of one moment in two zones from those of two moments."""
    return "time-zone" if _same_moment(left[0], right[0]) else "timestamp"


def name(left: Match, right: Match, _known: Known) -> str:
    """Tell names of days and months in two languages, or two such names in English."""
    english = [bool(_ENGLISH.fullmatch(match[0])) for match in (left, right)]
    if all(english):
        return "timestamp"
    other = (right if english[0] else left)[0].decode("utf-8", "replace").lower()
    # A word alone proves little: the names of days and months stand beside numbers.
    beside_numbers = re.search(rb"\d", left.string) is not None
    return "locale" if any(english) and beside_numbers and _TRANSLATED.match(other) else ""


def epoch(left: Match, right: Match, _known: Known) -> str:
    """Tell numbers that are seconds since the epoch."""
    return "timestamp" if all(_EARLIEST <= int(match[1]) <= _LATEST for match in (left, right)) else ""


def days(left: Match, right: Match, known: Known) -> str:
    """Tell numbers that are days since the epoch, where it is known when the builds were."""
    return "timestamp" if _as_known(left, right, known, unit=_DAY, origin=0) else ""


def year(left: Match, right: Match, known: Known) -> str:
    """Tell numbers that are the years of the builds, where these are known."""
    return "timestamp" if _as_known(left, right, known, unit=_YEAR, origin=1970) else ""


def binary(left: bytes, right: bytes, region: Region, *, known: Known) -> tuple[int, int] | None:
    """Find numbers of 4 or 8 bytes, in seconds to nanoseconds, or DOS times, that hold all bytes of a region."""
    for form, unit in (("<I", 1), (">I", 1), ("<Q", 10**3), ("<Q", 10**6), ("<Q", 10**9), (">Q", 10**9), (_DOS, 0)):
        size, changed = struct.calcsize(form), region.left_end - region.left
        for back in range(size - changed + 1):
            place, other = region.left - back, region.right - back
            here, there = _moment(form, unit, left, place), _moment(form, unit, right, other)
            if not (_EARLIEST <= here <= _LATEST and _EARLIEST <= there <= _LATEST and abs(here - there) < _APART):
                continue
            # Every seventh number of 4 bytes is a time of these years, so more must speak for it.
            sure = _near(here, known.left_times) and _near(there, known.right_times)
            low_byte = back + changed == size if form.startswith(">") else back == 0
            if sure or (low_byte and _is_field(form, left, place) and _is_field(form, right, other)):
                return here, there
    return None


def _near(moment: int, times: tuple[int, int] | None) -> bool:
    return times is not None and times[0] - _DAY <= moment <= times[1] + _DAY


def _is_field(form: str, content: bytes, place: int) -> bool:
    """Whether bytes stand like a number of a record: aligned, beside zeros, not letters that look like a number."""
    size = struct.calcsize(form)
    around = content[max(place - 8, 0) : place] + content[place + size : place + size + 8]
    in_string = size == 4 and _STRING.search(content, max(place - 3, 0), place + 7) is not None
    return place % (2 if form == _DOS else 4) == 0 and b"\0" in around and not in_string


def _moment(form: str, unit: int, content: bytes, place: int) -> int:
    """Return the seconds since the epoch that stand at a place, 0 if none can."""
    if place < 0 or place + struct.calcsize(form) > len(content):
        return 0
    numbers: tuple[int, ...] = struct.unpack_from(form, content, place)
    if unit:
        return numbers[0] // unit
    clock, day = numbers
    month, hour, minute = day >> 5 & 15, clock >> 11, clock >> 5 & 63
    if not (1 <= month <= 12 and day & 31 and hour < 24 and minute < 60 and clock & 31 < 30):
        return 0
    # Near enough: all months have 30 days here.
    return (1980 - 1970 + (day >> 9)) * _YEAR + (month * 30 + (day & 31)) * _DAY + hour * 3600 + minute * 60


def _same_moment(left: bytes, right: bytes) -> bool:
    """Whether the zones differ, and else only the day by one, the hour and the quarter of an hour."""
    here, there = _CLOCK_PARTS.search(left), _CLOCK_PARTS.search(right)
    if here is None or there is None or here[3] != there[3] or (int(here[2]) - int(there[2])) % 15:
        return False
    rest, other = (_CLOCK_PARTS.sub(b"", _ZONE_PART.sub(b"", text)) for text in (left, right))
    zones_differ = _ZONE_PART.findall(left) != _ZONE_PART.findall(right)
    return rest == other or (zones_differ and abs(_day(rest) - _day(other)) <= _MONTHS_END)


def _day(text: bytes) -> int:
    """Number the day of a date, of whichever form, as if all months had 31 days."""
    if numbers := _YEAR_MONTH_DAY.search(text):
        year, month, day = map(int, numbers.groups())
    else:
        words = [_MONTH_NAME.search(text), _YEAR_NUMBER.search(text), _DAY_NUMBER.search(text)]
        month = _MONTH_NAMES.index(words[0][0]) // 3 + 1 if words[0] else 0
        year, day = (int(word[0]) if word else 0 for word in words[1:])
    return year * 372 + month * 31 + day


def _as_known(left: Match, right: Match, known: Known, *, unit: int, origin: int) -> bool:
    return all(
        times is not None and times[0] // unit <= int(match[0]) - origin <= times[1] // unit
        for match, times in ((left, known.left_times), (right, known.right_times))
    )
