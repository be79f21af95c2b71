"""Records: why two files differ that some tool keeps, in the terms of that tool: RECORD, METADATA, dpkg's status."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from layers.expression import expression
from reproducibility.contents import traces
from reproducibility.contents.traces import Finding
from reproducibility.difference import Known

Reader = Callable[[bytes, bytes, Known], Finding | None]

_NAMED = 3
_LONG_INTERPRETER = expression(rb"#!/bin/sh\n'''exec' [^\n]*")
_VERSION = expression(rb"^Version:\s*(\S+)", re.MULTILINE)
_STANZA_FIELD = expression(rb"^(Package|P|Version|V): *(.*)$", re.MULTILINE)
_HASHED_PASSWORD = expression(rb"!?\$\w+\$.+")


def finding(path: str, left: bytes, right: bytes, *, known: Known) -> Finding | None:
    """Tell why two such files differ; None if this is none, or if it differs as any text does."""
    for pattern, read in _READERS:
        if pattern.search(path):
            return read(left, right, known)
    return _shebang(left, right, known) if left.startswith(b"#!") and right.startswith(b"#!") else None


def _record(left: bytes, right: bytes, known: Known) -> Finding | None:
    """RECORD (PyPA, Recording installed projects) differs because the files that it lists do."""
    del known
    here, there = (dict(_rows(content)) for content in (left, right))
    if here == there:
        return None
    changed = sorted(path for path in here.keys() & there.keys() if here[path] != there[path])
    alone = [("only left", sorted(here.keys() - there.keys())), ("only right", sorted(there.keys() - here.keys()))]
    notes = [f"{what} {_few(paths)}" for what, paths in [("other hashes of", changed), *alone] if paths]
    return Finding("record", note="; ".join(notes), follows=bool(changed))


def _rows(content: bytes) -> Iterator[tuple[str, bytes]]:
    for line in content.splitlines():
        path, _, rest = line.partition(b",") if not line.startswith(b'"') else line[1:].partition(b'",')
        yield path.decode("utf-8", "surrogateescape"), rest


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _installer(left: bytes, right: bytes, known: Known) -> Finding:
    one = traces.trace(left, right, known=known)
    shown = (one.left, one.right) if one else (traces.shown(left.strip()), traces.shown(right.strip()))
    return Finding("installer", *shown, f'"{shown[0]}" against "{shown[1]}"')


def _metadata(left: bytes, right: bytes, known: Known) -> Finding | None:
    """The version of a distribution, unless it is made from the time or the like."""
    versions = [match[1] if (match := _VERSION.search(content)) else b"" for content in (left, right)]
    if versions[0] == versions[1]:
        return None
    here, there = map(traces.shown, versions)
    one = traces.trace(*versions, known=known)
    return Finding(one.cause if one else "python-package", here, there, f"version {here} against {there}")


def _packages(left: bytes, right: bytes, known: Known) -> Finding | None:
    """The databases of dpkg and apk: which packages are installed in which version."""
    del known
    here, there = _installed(left), _installed(right)
    if here == there:
        return None
    changed = [
        f"{name} {here.get(name, 'absent')} -> {there.get(name, 'absent')}"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    return Finding("os-package", note=_few(changed))


def _installed(content: bytes) -> Mapping[str, str]:
    versions: dict[str, str] = {}
    name = ""
    for match in _STANZA_FIELD.finditer(content):
        value = match[2].decode("utf-8", "surrogateescape")
        if match[1] in (b"Package", b"P"):
            name = value
        versions[name] = value if match[1] in (b"Version", b"V") else ""
    return versions


def _accounts(left: bytes, right: bytes, known: Known) -> Finding | None:
    """etc/shadow (shadow(5)): the third field is the day of the last change, in days since the epoch."""
    del known
    here, there = ([line.split(b":") for line in content.splitlines()] for content in (left, right))
    pairs = [pair for pair in zip(here, there, strict=False) if pair[0] != pair[1]]
    if len(here) != len(there) or any(len(one) != 9 or len(other) != 9 for one, other in pairs):
        return None
    fields = {place for one, other in pairs for place in range(9) if one[place] != other[place]}
    one, other = next(iter(pairs), ([], []))
    if fields == {2}:
        return Finding("account-date", traces.shown(one[2]), traces.shown(other[2]), f"account {traces.shown(one[0])}")
    if fields == {1} and all(_HASHED_PASSWORD.match(line[1]) for pair in pairs for line in pair):
        note = f"salt of the password of {traces.shown(one[0])}"
        return Finding("random", traces.shown(one[1]), traces.shown(other[1]), note)
    return None


def _shebang(left: bytes, right: bytes, known: Known) -> Finding | None:
    """Scripts of which nothing differs but the interpreter."""
    del known
    here, there = _interpreter(left), _interpreter(right)
    if left[len(here) :] != right[len(there) :]:
        return None
    shown = [traces.shown(line.rpartition(b"\n")[2]) for line in (here, there)]
    return Finding("shebang", shown[0], shown[1], f'"{shown[0]}" against "{shown[1]}"')


def _interpreter(script: bytes) -> bytes:
    """Return what a script begins with: its first line, or two where pip wrote an interpreter too long for one."""
    long = _LONG_INTERPRETER.match(script)
    return long[0] if long else script.partition(b"\n")[0]


_READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (expression(r"\.dist-info/RECORD$"), _record),
    (
        expression(r"\.(?:dist|egg)-info/(?:direct_url\.json|INSTALLER|REQUESTED|uv_cache\.json|uv_build\.json)$"),
        _installer,
    ),
    (expression(r"\.(?:dist|egg)-info/(?:METADATA|PKG-INFO)$|\.egg-info$"), _metadata),
    (expression(r"^var/lib/dpkg/status(?:\.d/.+|-old)?$|^lib/apk/db/installed$"), _packages),
    (expression(r"^etc/g?shadow-?$"), _accounts),
)
