"""Explanations: why the contents of two files differ, from the bytes themselves.

What a file is decides how it is read: bytecode, programs and archives in their own terms, then records of tools and
documents, then text, then bytes. Whatever cannot be read as what it seems to be is compared as the next in this list.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from layers.values import replace
from reproducibility.content import Content
from reproducibility.contents import binary, hexdump, places, records, structured, text
from reproducibility.contents.traces import Finding
from reproducibility.difference import Difference, Known, View

# Of larger files only what is around the first difference is compared.
_WHOLE_MAX = 16 << 20
_EXCERPT = 1 << 20
_EXCERPT_BEFORE = 4 << 10

# Enough for the magic bytes of a tar.
_HEAD = 512

# What contents tell less surely than the place of a file.
_WEAK = ("", "random", "derived")
# What tells nothing yet: the variation to blame tells more.
_GENERIC = frozenset({"unknown", "source", "random", "elf-code"})
# What each variation makes of a generic cause, and which others it makes more precise.
_BLAMED: dict[str, tuple[str, frozenset[str]]] = {
    "hashseed": ("set-order", frozenset()),
    "order": ("file-order", frozenset({"set-order"})),
    "filesystem": ("file-order", frozenset({"set-order"})),
    "cpus": ("parallelism", frozenset({"set-order"})),
    "downloads": ("parallelism", frozenset({"set-order"})),
    "clock": ("timestamp", frozenset({"time-zone"})),
    "zone": ("time-zone", frozenset({"timestamp"})),
    "locale": ("locale", frozenset({"timestamp", "set-order"})),
    "source": ("build-path", frozenset()),
    "temp": ("build-path", frozenset()),
    "home": ("user", frozenset({"build-path"})),
    "user": ("user", frozenset()),
    "hostname": ("hostname", frozenset()),
    "noise": ("environment", frozenset()),
    "umask": ("umask", frozenset({"mode"})),
    "chance": ("random", frozenset({"database"})),
}


class _Kind(Protocol):
    """Explains files of one kind; None if they are none, or are damaged."""

    def __call__(
        self, path: str, left: Content, right: Content, *, known: Known, views: bool
    ) -> tuple[Difference, ...] | None: ...


def explain(path: str, left: Content, right: Content, *, known: Known, views: bool = True) -> tuple[Difference, ...]:
    """Explain why two files of one path differ in their bytes: usually one difference, several inside archives.

    Without `views` none of them has a closer look. `layer` and `blamed` are left to the caller.
    """
    found = None
    kind = _kind(path, left.read(0, _HEAD), right.read(0, _HEAD))
    if kind is not None:
        found = kind(path, left, right, known=known, views=views)
    found = found or (_by_content(path, left, right, known=known, views=views),)
    left_behind = places.left_behind(path)
    size = max(left.size, right.size)
    return tuple(replace(one, cause=left_behind or one.cause, size=one.size or size) for one in found)


def refine(difference: Difference, blamed: tuple[str, ...]) -> Difference:
    """Return the difference with the variations to blame, and with the cause they give away if its content did not.

    Variations joined by ` + ` brought it about together. A cause that one of them stands for is kept: `zone` does not
    make a zone of a time that `clock` changes as well.
    """
    for name in " + ".join(blamed).split(" + "):
        cause, less_precise = _BLAMED.get(name, ("", frozenset[str]()))
        if cause == difference.cause:
            break
        if cause and difference.cause in _GENERIC | less_precise:
            return replace(difference, cause=cause, blamed=blamed)
    return replace(difference, blamed=blamed)


def _kind(path: str, left: bytes, right: bytes) -> _Kind | None:
    """Return what reads files of this kind; its module is imported only now, as few images have all kinds."""
    if path.endswith((".pyc", ".pyo")):
        from reproducibility.contents import pyc

        return pyc.differences
    if _both_start(left, right, b"\x7fELF"):
        from reproducibility.contents import elf

        return elf.differences
    if _both_start(left, right, b"\x1f\x8b"):
        from reproducibility.contents import gzips

        return gzips.differences
    # Applications that are zip archives begin with the line that names their interpreter.
    zipped = _both_start(left, right, b"PK") or path.endswith((".pyz", ".pex"))
    if zipped or left[257:262] == right[257:262] == b"ustar":
        from reproducibility.contents import archives

        return archives.differences
    return None


def _both_start(left: bytes, right: bytes, magic: bytes) -> bool:
    return left.startswith(magic) and right.startswith(magic)


def _by_content(path: str, left: Content, right: Content, *, known: Known, views: bool) -> Difference:
    whole = max(left.size, right.size) <= _WHOLE_MAX
    first = 0 if whole else hexdump.first_difference_of_files(left, right)
    at = max(first // _EXCERPT_BEFORE - 1, 0) * _EXCERPT_BEFORE  # numbers stay aligned
    length = None if whole else _EXCERPT
    here, there = left.read(at, length), right.read(at, length)
    readable = text.is_text(here) and text.is_text(there)
    if readable and whole:
        found, view = _by_text(path, here, there, known=known)
    else:
        found = binary.finding(here, there, offset=at, shifted=left.size != right.size, known=known)
        view = partial(_hex_view, left, right)
    cause = found.cause
    if cause in _WEAK:
        cause = places.otherwise(path) or cause or ("source" if readable else "unknown")
    values = (found.left, found.right) if found.left or found.right else (f"{left.size} bytes", f"{right.size} bytes")
    return Difference(
        "file", path, "content", *values, cause,
        note=found.note, follows=found.follows, view=view() if views else None,
    )  # fmt: skip


def _by_text(path: str, left: bytes, right: bytes, *, known: Known) -> tuple[Finding, Callable[[], View]]:
    """Return why two texts differ, and what shows them."""
    found = records.finding(path, left, right, known=known)
    if found is None:
        fields = structured.differing(path, left, right)
        if fields:
            return structured.finding(fields, known=known), partial(structured.view, fields)
        found = text.finding(left, right, known=known)
        if fields is not None and not found.cause:
            found = structured.finding(fields, known=known)
    return found, partial(text.view, left, right)


def _hex_view(left: Content, right: Content) -> View:
    return hexdump.view(left, right, hexdump.first_difference_of_files(left, right))
