"""Archives: why two zip or tar files differ, and what differs inside them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Literal

from layers.values import dataclass
from reproducibility.content import Content
from reproducibility.contents import hexdump, members, table
from reproducibility.contents.finding import Finding, told
from reproducibility.contents.members import Archive, Fact, Member
from reproducibility.difference import Difference, Known

# How many archives within each other are opened, how much of one is unpacked, and how much less of each one inside.
_DEPTH_MAX = 2
_UNPACKED_MAX = 16 << 20
_DEEPER = 4
_INSIDE_MAX = 100
_PREFIX_MAX = 1000
_ROWS_MAX = 60
_NAMED = 3
_CONTENT = "archive-content"

# The name of a member, and how many of that name come before it.
_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Change:
    """What differs in a member that both sides have. `plain` are contents that differ and could be read."""

    name: str
    left: Member
    right: Member
    facts: tuple[tuple[str, Fact, Fact], ...]
    content: Literal["same", "compressed otherwise", "differs"]
    plain: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two archives, member by member. `alone` are the members of one side: their names and sizes on either."""

    left: Archive
    right: Archive
    changes: tuple[_Change, ...]
    alone: tuple[tuple[str, str, str], ...]
    ordered: bool


def differences(
    path: str, left: Content, right: Content, *, known: Known, views: bool
) -> tuple[Difference, ...] | None:
    """Explain two zip or tar archives and what is in them; None if one of them is none, or is damaged.

    What differs inside has paths like `opt/app.jar!/META-INF/MANIFEST.MF`.
    """
    depth = path.count("!/") - path.endswith("!/")
    if depth >= _DEPTH_MAX:
        note = f"it lies inside of {depth} archives and is not opened"
        return (Difference("file", path, "content", f"{left.size} bytes", f"{right.size} bytes", _CONTENT, note=note),)
    most = _UNPACKED_MAX >> _DEEPER * depth
    with ExitStack() as files:
        pair = _zips(left, right) or _tars(left, right, most, files)
        if pair is None:
            return None
        found = _compare(*pair, most)
        findings = [*_packaging(found), *_contents(found)]
        if not findings:
            at = hexdump.first_difference_of_files(left, right)
            findings = [Finding("zip-time", "", "", f"bytes between its members, from byte {at} on")]
        view = table.view(_rows(found)) if views else None
        return (
            *told(path, findings, view),
            *_inside(path if path.endswith("!/") else f"{path}!/", found, known=known, views=views),
        )


def _zips(left: Content, right: Content) -> tuple[Archive, Archive] | None:
    here = members.read_zip(left)
    there = members.read_zip(right) if here else None
    return (here, there) if here and there else None


def _tars(left: Content, right: Content, most: int, files: ExitStack) -> tuple[Archive, Archive] | None:
    if left.size + right.size > most or not members.is_tar(left) or not members.is_tar(right):
        return None
    # The reader of tars wants a file of its own.
    here, there = (members.read_tar(files.enter_context(members.unpacked(side.read()))) for side in (left, right))
    return (here, there) if here and there else None


def _compare(left: Archive, right: Archive, most: int) -> _Comparison:
    """Compare two archives, unpacking at most so many bytes."""
    here, there = _numbered(left), _numbered(right)
    changes = []
    for key in sorted(here.keys() & there.keys()):
        change = _change(key[0], here[key], there[key], left.facts, most // 2)
        if change.facts or change.content != "same":
            changes.append(change)
        if change.plain or change.content == "compressed otherwise":
            most -= change.left.size + change.right.size
    alone = tuple((key[0], _size(here.get(key)), _size(there.get(key))) for key in sorted(here.keys() ^ there.keys()))
    ordered = [key for key in here if key in there] == [key for key in there if key in here]
    return _Comparison(left, right, tuple(changes), alone, ordered)


def _numbered(archive: Archive) -> Mapping[_Key, Member]:
    names: Counter[str] = Counter()
    found = {}
    for member in archive.members:
        found[member.name, names[member.name]] = member
        names[member.name] += 1
    return found


def _change(name: str, left: Member, right: Member, names: tuple[str, ...], most: int) -> _Change:
    both = zip(names, left.facts, right.facts, strict=True)
    facts = tuple((word, one, other) for word, one, other in both if one != other)
    if left.method == right.method and hexdump.same(left.raw, right.raw):
        return _Change(name, left, right, facts, "same", None)
    # Compressed bytes may differ where what they hold does not.
    here, there = left.plain(most), right.plain(most)
    if here is None or there is None:
        return _Change(name, left, right, facts, "differs", None)
    if here == there:
        return _Change(name, left, right, facts, "compressed otherwise", None)
    return _Change(name, left, right, facts, "differs", (here, there))


def _packaging(found: _Comparison) -> Iterator[Finding]:
    """Yield how the archives differ apart from what is in them."""
    facts = [fact for change in found.changes for fact in change.facts]
    words = [f"{word} ({count})" for word, count in Counter(word for word, _, _ in facts).items()]
    if not found.ordered:
        words.append("order")
    if words:
        left, right = map(_shown, facts[0][1:]) if facts else ("", "")
        yield Finding("zip-time", left, right, ", ".join(words))
    here, there = (archive.prefix.read(0, _PREFIX_MAX).partition(b"\n")[0] for archive in (found.left, found.right))
    if here != there and here.startswith(b"#!") and there.startswith(b"#!"):
        yield Finding("shebang", _shown(here), _shown(there), "in front of the archive")
    again = sum(change.content == "compressed otherwise" for change in found.changes)
    if again:
        yield Finding("compressor", "", "", f"{again} of {len(found.left.members)} members are compressed otherwise")


def _contents(found: _Comparison) -> Iterator[Finding]:
    """Yield whether what is in the archives differs; in what, stands in the differences of the members."""
    changed = [change.name for change in found.changes if change.content == "differs"]
    if changed or found.alone:
        names = [*changed, *(name for name, _, _ in found.alone)]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        left, right = (f"{len(archive.members)} members" for archive in (found.left, found.right))
        yield Finding(_CONTENT, left, right, f"{', '.join(names[:_NAMED])}{more}", follows=True)


def _inside(folder: str, found: _Comparison, *, known: Known, views: bool) -> Iterator[Difference]:
    """Yield why members differ; those that are too many are only counted, by `_contents`."""
    from reproducibility.explain import explain  # it is explain that comes here

    for name, left, right in found.alone[:_INSIDE_MAX]:
        cause = "pyc-presence" if name.endswith(".pyc") else "file-set"
        yield Difference("file", folder + name, "presence", left, right, cause)
    differing = [change for change in found.changes if change.content == "differs"]
    for change in differing[:_INSIDE_MAX]:
        path = folder + change.name
        if change.plain is None:
            sizes = (_size(change.left), _size(change.right))
            yield Difference("file", path, "content", *sizes, _CONTENT, note="it could not be unpacked here")
            continue
        here, there = change.plain
        with members.unpacked(here) as left_content, members.unpacked(there) as right_content:
            yield from explain(path, left_content, right_content, known=known, views=views)


def _rows(found: _Comparison) -> Iterator[tuple[str, str, str]]:
    yield "members", str(len(found.left.members)), str(len(found.right.members))
    for change in found.changes[:_ROWS_MAX]:
        if change.content != "same":
            yield f"{change.name} ({change.content})", _size(change.left), _size(change.right)
        for word, left, right in change.facts:
            yield f"{change.name} ({word})", _shown(left), _shown(right)
    for name, left, right in found.alone[:_ROWS_MAX]:
        yield name, left, right


def _size(member: Member | None) -> str:
    return f"{member.size} bytes" if member else ""


def _shown(fact: Fact) -> str:
    if isinstance(fact, bytes):
        return fact.decode() if fact.isascii() and fact.decode().isprintable() else fact.hex()
    return fact if isinstance(fact, str) else f"{fact:#x}"
