"""Bytecode: why two .pyc files differ, by their headers (PEP 552) and by the code inside."""

import datetime as dt  # noqa: TID251 times that stand in files are shown
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reproducibility.content import Content
from reproducibility.contents import marshal, table
from reproducibility.contents.marshal import Code, Objects, Tree
from reproducibility.difference import Difference, Known

# Ten times the largest of the standard library.
_SIZE_MAX = 8 << 20
_NAMED = 3
_ROWS_MAX = 50

_HEADER = struct.Struct("<H2sI8s")
_TIMES = struct.Struct("<II")
# The magic numbers of each version (Include/internal/pycore_magic_number.h); since 3.11 they follow a rule.
_MAGICS = {(3, 7): range(3390, 3400), (3, 8): range(3400, 3420), (3, 9): range(3420, 3430), (3, 10): range(3430, 3450)}
_HASHED, _CHECKED = 1, 2
_MODES = {0: "time of the source", _HASHED: "unchecked hash", _HASHED | _CHECKED: "checked hash"}

# What the fields of code objects are to people; those of one meaning have one name.
_WORDS = {
    "code": "instructions", "exceptiontable": "instructions", "consts": "constants", "names": "names",
    "firstlineno": "lines", "lnotab": "lines", "linetable": "lines",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Bytecode:
    version: tuple[int, int]
    magic: int
    flags: int
    stamp: bytes
    code: bytes

    @property
    def mode(self) -> str:
        """How Python tells that it is up to date."""
        return _MODES.get(self.flags, f"flags {self.flags:#x}")

    @property
    def python(self) -> str:
        """The Python that wrote it; development versions of one release differ in the number alone."""
        return "Python {}.{} ({})".format(*self.version, self.magic)

    @property
    def time(self) -> str:
        """The time of its source; the hash of it where that stands instead."""
        if self.flags:
            return self.stamp.hex()
        seconds, _ = _TIMES.unpack(self.stamp)
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def source_size(self) -> int | None:
        """How many bytes its source has; None where it does not say."""
        return None if self.flags else _TIMES.unpack(self.stamp)[1]


@dataclass(frozen=True, slots=True)
class _Finding:
    cause: str
    left: str
    right: str
    note: str


@dataclass(frozen=True, slots=True)
class _Change:
    """A code object that differs, in what (in words), and what shows it on either side."""

    name: str
    what: str
    left: str
    right: str


def differences(
    path: str, left: Content, right: Content, *, known: Known, views: bool
) -> tuple[Difference, ...] | None:
    """Explain two .pyc files, one difference for each cause; None if one of them is none, or has a damaged header."""
    del known  # a path in bytecode is that of its build, whichever that was
    here, there = _read(left), _read(right)
    if here is None or there is None:
        return None
    code = _Code(here, there)
    found = {one.cause: one for one in (*_in_header(here, there), *code.findings())}
    view = table.view((*_header_rows(here, there), *code.rows())) if views else None
    return tuple(
        Difference(
            "file", path, "content", *table.short(one.left, one.right), one.cause,
            note=one.note, view=view if place == 0 else None,
        )
        for place, one in enumerate(found.values())
    )  # fmt: skip


def _read(content: Content) -> _Bytecode | None:
    head = content.read(0, _HEADER.size)
    if len(head) < _HEADER.size or content.size > _SIZE_MAX:
        return None
    magic, end, flags, stamp = _HEADER.unpack(head)
    version = _version(magic)
    if end != b"\r\n" or version is None:
        return None
    return _Bytecode(version, magic, flags, stamp, content.read(_HEADER.size))


def _version(magic: int) -> tuple[int, int] | None:
    if 3450 <= magic < 4000:
        return 3, (magic - 2900) // 50
    return next((version for version, numbers in _MAGICS.items() if magic in numbers), None)


def _in_header(left: _Bytecode, right: _Bytecode) -> Iterator[_Finding]:
    if left.magic != right.magic:
        yield _Finding("pyc-version", left.python, right.python, "magic number")
    elif left.flags != right.flags:
        yield _Finding("pyc-time", left.mode, right.mode, "they are kept up to date by different means")
    elif left.flags and left.stamp != right.stamp:
        yield _Finding("pyc-code", left.time, right.time, "hash of the source")
    else:
        if left.source_size != right.source_size:
            yield _Finding("pyc-code", f"{left.source_size} bytes", f"{right.source_size} bytes", "size of the source")
        if left.time != right.time:
            yield _Finding("pyc-time", left.time, right.time, "Python ignores it unless its source has that very time")


def _header_rows(left: _Bytecode, right: _Bytecode) -> Iterator[tuple[str, str, str]]:
    yield "Python", left.python, right.python
    yield "validated by", left.mode, right.mode
    yield "hash of the source" if left.flags and right.flags else "time of the source", left.time, right.time
    yield "size of the source", _count(left.source_size), _count(right.source_size)


def _count(size: int | None) -> str:
    return "" if size is None else str(size)


class _Code:
    """The code of two files; it is read only where its bytes differ and one Python wrote both."""

    def __init__(self, left: _Bytecode, right: _Bytecode) -> None:
        self._left, self._right = left.code, right.code
        self._objects = Objects()
        self._trees: tuple[Tree | None, Tree | None] = (None, None)
        self._codes: tuple[Mapping[str, Code], Mapping[str, Code]] = ({}, {})
        self.differs = left.magic == right.magic and left.code != right.code
        if self.differs:
            here = marshal.read(left.code, left.version, self._objects)
            there = marshal.read(right.code, right.version, self._objects)
            self._trees = (here, there)
            if here and there and here.root != there.root:
                self._codes = (marshal.codes(here, self._objects), marshal.codes(there, self._objects))
        self._paths = self._compare_paths()
        self._changes = self._compare_codes()

    def findings(self) -> Iterator[_Finding]:
        """Yield why the code differs."""
        here, there = self._trees
        if not self.differs:
            return
        if here is None or there is None:
            yield _Finding("pyc-code", *self._sizes(), "its code cannot be read")
        elif here.root == there.root:
            ordered = here.set_orders == there.set_orders
            note = "equal code, written with other references" if ordered else "equal code, sets in another order"
            yield _Finding("pyc-refs" if ordered else "set-order", *self._sizes(), note)
        else:
            if self._paths is not None:
                yield _Finding("pyc-path", *self._paths, "co_filename")
            if self._changes:
                yield _Finding("pyc-code", *self._evidence(), self._summary())
            elif self._paths is None:
                yield _Finding("pyc-code", *self._sizes(), "it holds no code of a module")

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield the fields that differ, for people."""
        if self._paths is not None:
            yield "co_filename", *self._paths
        for change in self._changes[:_ROWS_MAX]:
            yield f"{change.name} ({change.what})", change.left, change.right

    def _sizes(self) -> tuple[str, str]:
        return f"{len(self._left)} bytes", f"{len(self._right)} bytes"

    def _compare_paths(self) -> tuple[str, str] | None:
        here, there = self._codes
        for name in sorted(here.keys() & there.keys()):
            if here[name].filename != there[name].filename:
                return self._objects.text(here[name].filename), self._objects.text(there[name].filename)
        return None

    def _compare_codes(self) -> tuple[_Change, ...]:
        here, there = self._codes
        return tuple(
            self._change(name, here[name], there[name])
            if name in here and name in there
            else _Change(name, "on one side", "there" if name in here else "", "there" if name in there else "")
            for name in sorted(here.keys() | there.keys())
            if name not in here or name not in there or here[name].fields != there[name].fields
        )

    def _change(self, name: str, left: Code, right: Code) -> _Change:
        """Say in what two code objects differ; their constants and names can be shown, other fields hardly."""
        differing = [key for key, number in left.fields.items() if number != right.fields[key]]
        what = ", ".join(dict.fromkeys(_WORDS.get(key, key) for key in differing))
        for key in ("consts", "names"):
            if key in differing:
                here, there = (self._objects.parts(code.fields[key]) for code in (left, right))
                return _Change(name, what, self._only(here, there), self._only(there, here))
        return _Change(name, what, "", "")

    def _only(self, these: tuple[int, ...], those: tuple[int, ...]) -> str:
        others = set(those)
        alone = [number for number in these if number not in others]
        return ", ".join(marshal.show(number, self._objects) for number in alone[:_NAMED])

    def _evidence(self) -> tuple[str, str]:
        shown = next((change for change in self._changes if change.left and change.right), None)
        return (shown.left, shown.right) if shown else self._sizes()

    def _summary(self) -> str:
        named = [f"{change.name} ({change.what})" for change in self._changes[:_NAMED]]
        more = len(self._changes) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")
