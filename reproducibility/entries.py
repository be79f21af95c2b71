"""Differences of what two tars say of their files: presence, order and every field of the headers."""

import datetime as dt  # noqa: TID251 writes times as people do; reads no clock
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from reproducibility import modes
from reproducibility.content import Content
from reproducibility.contents import places
from reproducibility.difference import Aspect, Difference
from reproducibility.listing import Listing, Member, Members, Records, Style

Pair = tuple[Member, Member]
# Values of both sides by key.
Differing = Mapping[str, tuple[str, str]]

_VALUE = 100
# 20 blocks (POSIX.1-2017, pax, "-b"): what tars are padded to.
_RECORD = 20 * 512
_TIMES = ("atime", "ctime", "LIBARCHIVE.creationtime")
# Records that say how something is written, not what it is.
_MANNER = ("comment", "hdrcharset", "GNU.sparse.")


def pairs(left: Listing, right: Listing) -> list[Pair]:
    """Return the members that are to be compared with each other, by path."""
    found = [(left.members[path], right.members[path]) for path in sorted(left.members.keys() & right.members.keys())]
    for path in sorted(left.earlier.keys() & right.earlier.keys()):
        found += zip(left.earlier[path], right.earlier[path], strict=False)
    return found


def presence(left: Members, right: Members, layer: str) -> Iterator[Difference]:
    """Yield what only one side has."""
    for path in sorted(left.keys() ^ right.keys()):
        one, other = left.get(path), right.get(path)
        kinds = one.kind if one else "", other.kind if other else ""
        size = max(member.size for member in (one, other) if member)
        yield Difference("file", path, "presence", *kinds, _presence_cause(path), layer, size=size)


def headers(compared: Sequence[Pair], layer: str) -> Iterator[Difference]:
    """Yield what single fields of headers say otherwise; how they are written is left to `manner`."""
    other_modes = any(one.meta.mode != other.meta.mode for one, other in compared)
    umasks = modes.by_umask(compared) if other_modes else {}
    for one, other in compared:
        if one.kind != other.kind and {one.kind, other.kind} != {"file", "hard link"}:
            yield Difference("file", one.path, "kind", one.kind, other.kind, "kind", layer)
            continue  # what is not the same thing has no fields in common
        yield from _links(one, other, layer)
        if one.meta != other.meta:
            yield from _fields(one, other, layer, umasks)
        records = _records(one.records, other.records)
        yield from _times(one, other, records, layer)
        for key, values in records.items():
            if key not in _TIMES and not key.startswith(_MANNER):
                yield Difference("file", one.path, "xattr", *values, "xattr", layer, key)


def _links(one: Member, other: Member, layer: str) -> Iterator[Difference]:
    if one.kind != other.kind:
        yield Difference("file", one.path, "hard link", one.kind, other.kind, "hard-link", layer)
    elif one.link != other.link:
        symbolic = one.kind == "symbolic link"
        aspect: Aspect = "link" if symbolic else "hard link"
        cause = "link-target" if symbolic else "hard-link"
        yield Difference("file", one.path, aspect, one.link, other.link, cause, layer)


def _fields(one: Member, other: Member, layer: str, umasks: Mapping[str, int]) -> Iterator[Difference]:
    left, right = one.meta, other.meta
    if left.mode != right.mode:
        umask = umasks.get(one.path)
        cause, note = ("mode", "") if umask is None else ("umask", f"umask {umask:03o}")
        yield Difference("file", one.path, "mode", f"{left.mode:04o}", f"{right.mode:04o}", cause, layer, note)
    values: tuple[tuple[Aspect, str, str, str], ...] = (
        ("owner", "owner", f"{left.uid}:{left.gid}", f"{right.uid}:{right.gid}"),
        ("owner name", "owner-name", f"{left.uname}:{left.gname}", f"{right.uname}:{right.gname}"),
        ("device", "device", left.device, right.device),
    )
    for aspect, cause, here, there in values:
        if here != there:
            yield Difference("file", one.path, aspect, here, there, cause, layer)


def _times(one: Member, other: Member, records: Differing, layer: str) -> Iterator[Difference]:
    """Yield one difference for all times of a member."""
    others = [key for key in _TIMES if key in records]
    if one.mtime != other.mtime:
        note = f"and {', '.join(others)}" if others else ""
        yield Difference("file", one.path, "mtime", _time(one.mtime), _time(other.mtime), "mtime", layer, note)
    elif others:
        yield Difference("file", one.path, "mtime", *records[others[0]], "mtime", layer, ", ".join(others))


def manner(left: Listing, right: Listing, compared: Iterable[Pair], layer: str) -> Iterator[Difference]:
    """Yield how headers and the rest of two tars are written otherwise: one difference for all that differ alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one, other in compared:
        if one.kind == other.kind and (styles := _styles(one, other)):
            alike.setdefault(styles, []).append(one.path)
    for (here, there), paths in alike.items():
        note = "" if len(paths) == 1 else f"{len(paths)} entries, the first is {paths[0]}"
        path = paths[0] if len(paths) == 1 else ""
        yield Difference("file" if path else "layer", path, "format", here, there, "tar-format", layer, note)
    for key, records in _records(left.common, right.common).items():
        note = f"record {key} of the whole tar"
        yield Difference("layer", "", "format", *records, "tar-format", layer, note)
    if not _same_padding(left.tail, right.tail):
        sizes = f"{left.tail.size} bytes", f"{right.tail.size} bytes"
        yield Difference("layer", "", "format", *sizes, "tar-format", layer, "what follows the last entry")


def _styles(one: Member, other: Member) -> tuple[str, str] | None:
    """Say in what the headers of two members are written otherwise, apart from what other values bring about."""
    if one.meta.style == other.meta.style and one.records == other.records:
        return None
    numbers = [(side.meta.mode, side.meta.uid, side.meta.gid, side.mtime, side.size) for side in (one, other)]
    caused = set() if numbers[0] == numbers[1] else {"numbers"}
    if caused or one.records != other.records or one.link != other.link:
        caused.add("extended")
    pairs = zip(Style._fields, one.meta.style, other.meta.style, strict=True)
    found = {name: (_habit(here), _habit(there)) for name, here, there in pairs if name not in caused and here != there}
    records = _records(one.records, other.records)
    found |= {key: pair for key, pair in records.items() if key.startswith(_MANNER)}
    if found and one.meta.form != other.meta.form:
        return one.meta.form, other.meta.form
    here, there = (", ".join(f"{name} {pair[side] or 'none'}" for name, pair in found.items()) for side in (0, 1))
    return (here[:_VALUE], there[:_VALUE]) if found else None


def _habit(value: object) -> str:
    match value:
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case tuple():
            return "; ".join(map(str, value))
        case int():
            return f"{value:o}"
        case _:
            return str(value)


def order(left: Members, right: Members, layer: str) -> Iterator[Difference]:
    """Yield the first place at which entries that both tars have come in another order."""
    both = zip((path for path in left if path in right), (path for path in right if path in left), strict=True)
    for position, (here, there) in enumerate(both):
        if here != there:
            yield Difference("layer", "", "order", here, there, "order", layer, f"from entry {position} on")
            return


def twice(left: Listing, right: Listing, layer: str) -> Iterator[Difference]:
    """Yield what is there more often on one side."""
    for path in sorted(left.earlier.keys() | right.earlier.keys()):
        one, other = (len(side.earlier.get(path, ())) + 1 for side in (left, right))
        if path in left.members and path in right.members and one != other:
            yield Difference("file", path, "twice", f"{one} times", f"{other} times", "twice", layer)


def _same_padding(left: Content, right: Content) -> bool:
    """Whether two tars are padded alike: by as much, or both to whole records, as most tools do."""
    return same_bytes(left, right) or all(
        (tail.offset + tail.size) % _RECORD == 0 and all(chunk.count(0) == len(chunk) for chunk in tail.chunks())
        for tail in (left, right)
    )


def same_bytes(left: Content, right: Content) -> bool:
    """Whether two contents are equal."""
    if left.size != right.size or left == right:
        return left.size == right.size
    return all(here == there for here, there in zip(left.chunks(), right.chunks(), strict=True))


def _records(left: Records, right: Records) -> Differing:
    """Return the records that differ, with both values."""
    if left == right:
        return {}
    one, other = dict(left), dict(right)
    differing = [key for key in sorted({**one, **other}) if one.get(key) != other.get(key)]
    return {key: (_shown(one.get(key, b"")), _shown(other.get(key, b""))) for key in differing}


def _shown(value: bytes) -> str:
    return value[:_VALUE].decode("utf-8", "backslashreplace")


@lru_cache(maxsize=1 << 12)
def _time(seconds: str) -> str:
    """Write a time as people do, in UTC; as it is where that is not possible."""
    whole, point, fraction = seconds.partition(".")
    try:
        moment = dt.datetime.fromtimestamp(int(whole), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return seconds
    return f"{moment:%Y-%m-%dT%H:%M:%S}{point}{fraction}Z"


def _presence_cause(path: str) -> str:
    if path.endswith(".pyc") or "__pycache__" in path.split("/"):
        return "pyc-presence"
    return places.left_behind(path) or places.otherwise(path) or "file-set"
