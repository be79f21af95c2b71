"""Bytecode: why two .pyc files differ, by their headers (PEP 552) and by the code inside."""

import struct
from collections.abc import Iterator, Mapping

from layers.values import dataclass
from reproducibility.content import Content
from reproducibility.contents import marshal, table
from reproducibility.contents.finding import Finding, told
from reproducibility.contents.marshal import Code, Objects
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
        return table.moment(_TIMES.unpack(self.stamp)[0])

    @property
    def source_size(self) -> int | None:
        """How many bytes its source has; None where it does not say."""
        return None if self.flags else _TIMES.unpack(self.stamp)[1]


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
    in_code, changes = _in_code(here, there)
    found = {one.cause: one for one in (*_in_header(here, there), *in_code)}
    view = table.view((*_header_rows(here, there), *_code_rows(in_code, changes))) if views else None
    return told(path, found.values(), view)


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


def _in_header(left: _Bytecode, right: _Bytecode) -> Iterator[Finding]:
    if left.magic != right.magic:
        yield Finding("pyc-version", left.python, right.python, "magic number")
    elif left.flags != right.flags:
        yield Finding("pyc-time", left.mode, right.mode, "they are kept up to date by different means")
    elif left.flags and left.stamp != right.stamp:
        yield Finding("pyc-code", left.time, right.time, "hash of the source")
    else:
        if left.source_size != right.source_size:
            yield Finding("pyc-code", f"{left.source_size} bytes", f"{right.source_size} bytes", "size of the source")
        if left.time != right.time:
            yield Finding("pyc-time", left.time, right.time, "Python ignores it unless its source has that very time")


def _header_rows(left: _Bytecode, right: _Bytecode) -> Iterator[tuple[str, str, str]]:
    yield "Python", left.python, right.python
    yield "validated by", left.mode, right.mode
    yield "hash of the source" if left.flags and right.flags else "time of the source", left.time, right.time
    yield "size of the source", _count(left.source_size), _count(right.source_size)


def _code_rows(found: list[Finding], changes: list[_Change]) -> Iterator[tuple[str, str, str]]:
    for one in found:
        if one.cause == "pyc-path":
            yield one.note, one.left, one.right
    for change in changes[:_ROWS_MAX]:
        yield f"{change.name} ({change.what})", change.left, change.right


def _count(size: int | None) -> str:
    return "" if size is None else str(size)


def _in_code(left: _Bytecode, right: _Bytecode) -> tuple[list[Finding], list[_Change]]:
    """Compare code that differs in its bytes; return why, and the code objects that are not the same."""
    if left.magic != right.magic or left.code == right.code:
        return [], []
    paths = _only_paths(left, right)
    if paths is not None:
        return [Finding("pyc-path", *paths, "co_filename")], []
    sizes = (f"{len(left.code)} bytes", f"{len(right.code)} bytes")
    objects = Objects()
    here, there = (marshal.read(one.code, one.version, objects) for one in (left, right))
    if here is None or there is None:
        return [Finding("pyc-code", *sizes, "its code cannot be read")], []
    if here.root != there.root:
        return _in_modules(marshal.codes(here, objects), marshal.codes(there, objects), objects, sizes)
    # Since 3.11 sets are sorted by the bytes of their elements (bpo-37596), and those may be references.
    if left.version < (3, 11) and here.set_orders != there.set_orders:
        return [Finding("set-order", *sizes, "equal code, sets in another order")], []
    return [Finding("pyc-refs", *sizes, "equal code, written with other references")], []


def _only_paths(left: _Bytecode, right: _Bytecode) -> tuple[str, str] | None:
    """Return the file names if they are all that differs: a frequent case, told without reading all of the code."""
    here, there = (marshal.first_filename(one.code, one.version) for one in (left, right))
    if here is None or there is None:
        return None
    (start, end), (other_start, other_end) = here, there
    if left.code[:start] != right.code[:other_start] or left.code[end:] != right.code[other_end:]:
        return None
    objects = Objects()
    texts = (left.code[start:end], right.code[other_start:other_end])
    trees = [marshal.read(text, left.version, objects) for text in texts]
    names = [objects.text(tree.root) if tree else "" for tree in trees]
    return (names[0], names[1]) if all(names) else None


def _in_modules(
    left: Mapping[str, Code], right: Mapping[str, Code], objects: Objects, sizes: tuple[str, str]
) -> tuple[list[Finding], list[_Change]]:
    found = []
    names = sorted(left.keys() | right.keys())
    both = [name for name in names if name in left and name in right]
    moved = next((name for name in both if left[name].filename != right[name].filename), None)
    if moved is not None:
        here, there = objects.text(left[moved].filename), objects.text(right[moved].filename)
        found.append(Finding("pyc-path", here, there, "co_filename"))
    changes = [
        _change(name, left.get(name), right.get(name), objects)
        for name in names
        if name not in both or left[name].fields != right[name].fields
    ]
    if changes or moved is None:
        shown = next((change for change in changes if change.left and change.right), None)
        values = (shown.left, shown.right) if shown else sizes
        found.append(Finding("pyc-code", *values, _summary(changes)))
    return found, changes


def _change(name: str, left: Code | None, right: Code | None, objects: Objects) -> _Change:
    """Say in what two code objects differ; their constants and names can be shown, other fields hardly."""
    if left is None or right is None:
        return _Change(name, "on one side", "there" if left else "", "there" if right else "")
    differing = [key for key, number in left.fields.items() if number != right.fields[key]]
    what = ", ".join(dict.fromkeys(_WORDS.get(key, key) for key in differing))
    for key in ("consts", "names"):
        if key in differing:
            here, there = (objects.parts(code.fields[key]) for code in (left, right))
            return _Change(name, what, _only(here, there, objects), _only(there, here, objects))
    return _Change(name, what, "", "")


def _only(these: tuple[int, ...], those: tuple[int, ...], objects: Objects) -> str:
    """Show what is only among these."""
    others = set(those)
    alone = [number for number in these if number not in others]
    return ", ".join(marshal.show(number, objects) for number in alone[:_NAMED])


def _summary(changes: list[_Change]) -> str:
    named = ", ".join(f"{change.name} ({change.what})" for change in changes[:_NAMED])
    more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    return f"{named}{more}" or "it holds no code of a module"
