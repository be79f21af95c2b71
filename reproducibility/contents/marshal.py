"""Trees of marshalled Python objects, read from the bytes alone: `marshal.loads` would let hostile bytes crash us.

The format is that of CPython 3.8 to 3.15 (Python/marshal.c, versions 4 and 5). Equal objects get equal numbers, however
they are written: as a back reference or in full, interned or not, sets in any order. Comparing two trees is therefore
comparing two numbers, and a small file whose references unfold into an endless tree is as quick as any other.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping

from layers.values import dataclass, field

# The largest .pyc of the standard library has 200,000 objects; the deepest 20 levels.
_OBJECTS_MAX = 400_000
_DEPTH_MAX = 120
_CODES_MAX = 20_000
_NAME_MAX = 300
_TEXT_MAX = 1000
_SHOWN = 4

_FLAG_REF = 0x80
_REF, _NULL = ord("r"), ord("0")
_LONG = struct.Struct("<i")

# Fields of a code object in the order in which they are written; numbers are written without a type.
_NUMBERS = frozenset({"argcount", "posonlyargcount", "kwonlyargcount", "nlocals", "stacksize", "flags", "firstlineno"})
_LAYOUT_3_8 = (
    "argcount", "posonlyargcount", "kwonlyargcount", "nlocals", "stacksize", "flags", "code", "consts", "names",
    "varnames", "freevars", "cellvars", "filename", "name", "firstlineno", "lnotab",
)  # fmt: skip
_LAYOUT_3_11 = (
    "argcount", "posonlyargcount", "kwonlyargcount", "stacksize", "flags", "code", "consts", "names",
    "localsplusnames", "localspluskinds", "filename", "name", "qualname", "firstlineno", "linetable", "exceptiontable",
)  # fmt: skip

_DAMAGED = (IndexError, KeyError, ValueError, struct.error)

# What an object is: its kind, and its bytes, its parts by number, or nothing.
Key = tuple[str, bytes | tuple[int, ...]]


class Objects:
    """All different objects of some trees, numbered in the order in which they were met."""

    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}
        self._keys: list[Key] = []

    def number(self, kind: str, value: bytes | tuple[int, ...]) -> int:
        """Return the number of an object; a new one if there is none like it yet."""
        key = (kind, value)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return number

    def key(self, number: int) -> Key:
        """Return what an object is."""
        return self._keys[number]

    def parts(self, number: int) -> tuple[int, ...]:
        """Return the parts of an object; none if it has none."""
        value = self._keys[number][1]
        return value if isinstance(value, tuple) else ()

    def text(self, number: int) -> str:
        """Return the text of a string, or the beginning of a very long one; empty if it is none."""
        value = self._keys[number][1]
        return value[:_TEXT_MAX].decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


@dataclass(frozen=True, slots=True)
class Tree:
    """An object of `Objects`, and how the elements of the sets in it were ordered."""

    root: int
    layout: tuple[str, ...]
    set_orders: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Code:
    """A code object without those nested in it: its file name and its other fields by name, as numbers of objects."""

    filename: int
    fields: Mapping[str, int]


def read(content: bytes, version: tuple[int, int], objects: Objects) -> Tree | None:
    """Read one object of a Python of this version; None if the bytes are damaged or beyond all reason."""
    reader = _Reader(content, _layout(version), objects)
    try:
        root = reader.read(0)
    except _DAMAGED:
        return None
    return Tree(root, reader.layout, reader.set_orders) if reader.position == len(content) else None


def first_filename(content: bytes, version: tuple[int, int]) -> tuple[int, int] | None:
    """Return where the file name of the first complete code object lies; None if there is none.

    All others usually refer back to it, so that nothing behind it need be read to tell files apart that differ in it.
    """
    try:
        _FilenameReader(content, _layout(version), Objects()).read(0)
    except _Found as found:
        return found.start, found.end
    except _DAMAGED:
        pass
    return None


def codes(tree: Tree, objects: Objects) -> Mapping[str, Code]:
    """Return the code objects of a module by their dotted names (`<module>`, `Class.method`); none if it is no code.

    The second of a name gets `#2` behind it, the third `#3`.
    """
    found: dict[str, Code] = {}
    names: Counter[str] = Counter()
    constants: dict[int, int] = {}
    waiting = [("", tree.root)]
    while waiting and len(found) < _CODES_MAX:
        prefix, number = waiting.pop()
        if objects.key(number)[0] != "code":
            continue
        fields = dict(zip(tree.layout, objects.parts(number), strict=True))
        name = f"{prefix}{objects.text(fields['name'])}"[:_NAME_MAX]
        names[name] += 1
        if fields["consts"] not in constants:  # hostile code objects may share theirs without end
            constants[fields["consts"]] = _without_code(fields["consts"], objects)
            below = f"{name}." if prefix or found else ""
            waiting += [(below, part) for part in reversed(objects.parts(fields["consts"]))]
        fields["consts"] = constants[fields["consts"]]
        found[name if names[name] == 1 else f"{name}#{names[name]}"] = Code(fields.pop("filename"), fields)
    return found


def show(number: int, objects: Objects) -> str:
    """Say what an object is in a few words."""
    kind, value = objects.key(number)
    if isinstance(value, tuple):
        if kind != "tuple" or len(value) > _SHOWN or any(isinstance(objects.key(part)[1], tuple) for part in value):
            return f"{kind} of {len(value)}"
        return f"({', '.join(show(part, objects) for part in value)})"
    match kind:
        case "str":
            return repr(objects.text(number)[:80])
        case "bytes":
            return repr(value[:40])
        case "int":
            return str(int.from_bytes(value, "little", signed=True))
        case "float":
            return repr(struct.unpack("<d", value)[0])
        case _:
            return kind


def _without_code(constants: int, objects: Objects) -> int:
    """Return constants in which code objects only hold their places."""
    place = objects.number("nested", b"")
    parts = (place if objects.key(part)[0] == "code" else part for part in objects.parts(constants))
    return objects.number("tuple", tuple(parts))


def _layout(version: tuple[int, int]) -> tuple[str, ...]:
    return _LAYOUT_3_11 if version >= (3, 11) else _LAYOUT_3_8


@dataclass(slots=True)
class _Reader:
    content: bytes
    layout: tuple[str, ...]
    objects: Objects
    position: int = 0
    count: int = 0
    # The objects that may be referred to; -1 until one is complete.
    references: list[int] = field(default_factory=list)
    set_orders: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def read(self, depth: int) -> int:
        self.count += 1
        if depth > _DEPTH_MAX or self.count > _OBJECTS_MAX:
            raise ValueError
        code = self.content[self.position]
        self.position += 1
        kind = code & ~_FLAG_REF
        if kind == _REF:
            return self._reference()
        singleton = _SINGLETONS.get(kind)
        if singleton is not None:
            return self.objects.number(singleton, b"")
        place = len(self.references)
        if code & _FLAG_REF:
            self.references.append(-1)
        number = _KINDS[kind](self, depth)
        if code & _FLAG_REF:
            self.references[place] = number
        return number

    def _reference(self) -> int:
        place = self.long()
        number = self.references[place] if place >= 0 else -1
        if number < 0:  # no such object, or one that would contain itself
            raise ValueError
        return number

    def take(self, size: int) -> bytes:
        taken = self.content[self.position : self.position + size]
        if size < 0 or len(taken) != size:
            raise ValueError
        self.position += size
        return taken

    def long(self) -> int:
        number: int = _LONG.unpack_from(self.content, self.position)[0]
        self.position += 4
        return number

    def short(self) -> int:
        number = self.content[self.position]
        self.position += 1
        return number

    def parts(self, count: int, depth: int) -> tuple[int, ...]:
        if not 0 <= count <= len(self.content):
            raise ValueError
        return tuple([self.read(depth + 1) for _ in range(count)])

    def set(self, kind: str, depth: int) -> int:
        parts = self.parts(self.long(), depth)
        number = self.objects.number(kind, tuple(sorted(parts)))
        self.set_orders[number] = parts
        return number

    def dict(self, kind: str, depth: int) -> int:
        parts: list[int] = []
        while self.content[self.position] != _NULL:
            parts += self.parts(2, depth)
        self.position += 1
        return self.objects.number(kind, tuple(parts))

    def large(self) -> int:
        """Read an integer of more than 32 bits. Its digits are as good as its value; making that is quadratic."""
        count = self.long()
        return self.objects.number("large int", bytes([count < 0]) + self.take(2 * abs(count)))

    def integer(self, value: int) -> int:
        return self.objects.number("int", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))

    def code(self, depth: int) -> int:
        return self.objects.number("code", tuple([self.field(name, depth) for name in self.layout]))

    def field(self, name: str, depth: int) -> int:
        return self.integer(self.long()) if name in _NUMBERS else self.read(depth + 1)


class _Found(Exception):
    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end


class _FilenameReader(_Reader):
    """Reads up to the first file name."""

    def code(self, depth: int) -> int:
        for name in self.layout[: self.layout.index("filename")]:
            self.field(name, depth)
        start = self.position
        self.read(depth + 1)
        raise _Found(start, self.position)


def _plain(kind: str, size: int) -> Callable[[_Reader, int], int]:
    return lambda reader, _: reader.objects.number(kind, reader.take(size))


def _long(kind: str) -> Callable[[_Reader, int], int]:
    return lambda reader, _: reader.objects.number(kind, reader.take(reader.long()))


def _short(kind: str) -> Callable[[_Reader, int], int]:
    return lambda reader, _: reader.objects.number(kind, reader.take(reader.short()))


_SINGLETONS = {ord("N"): "None", ord("T"): "True", ord("F"): "False", ord("."): "Ellipsis", ord("S"): "StopIteration"}
_KINDS: dict[int, Callable[[_Reader, int], int]] = {
    ord("i"): lambda reader, _: reader.integer(reader.long()),
    ord("I"): lambda reader, _: reader.integer(int.from_bytes(reader.take(8), "little", signed=True)),
    ord("l"): lambda reader, _: reader.large(),
    ord("g"): _plain("float", 8),
    ord("y"): _plain("complex", 16),
    ord("s"): _long("bytes"),
    ord("t"): _long("str"),
    ord("u"): _long("str"),
    ord("a"): _long("str"),
    ord("A"): _long("str"),
    ord("z"): _short("str"),
    ord("Z"): _short("str"),
    ord("("): lambda reader, depth: reader.objects.number("tuple", reader.parts(reader.long(), depth)),
    ord(")"): lambda reader, depth: reader.objects.number("tuple", reader.parts(reader.short(), depth)),
    ord("["): lambda reader, depth: reader.objects.number("list", reader.parts(reader.long(), depth)),
    ord("<"): lambda reader, depth: reader.set("set", depth),
    ord(">"): lambda reader, depth: reader.set("frozenset", depth),
    ord("{"): lambda reader, depth: reader.dict("dict", depth),
    ord("}"): lambda reader, depth: reader.dict("frozendict", depth),
    ord(":"): lambda reader, depth: reader.objects.number("slice", reader.parts(3, depth)),
    ord("c"): lambda reader, depth: reader.code(depth),
}
