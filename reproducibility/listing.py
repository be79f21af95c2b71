"""Listings: what the tar of a layer holds, as values."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from layers.values import dataclass
from reproducibility.content import Content

Records = tuple[tuple[str, bytes], ...]


class Style(NamedTuple):
    """How a header is written, apart from what it says: what tools do in ways of their own.

    `numbers` has one character for every digit, `mode` are bits of the mode that are no rights, `extended` tells the
    extended headers before it. `rest` are bytes without a meaning.
    """

    type: bytes
    magic: bytes
    numbers: bytes
    mode: int
    device: bytes
    prefix: bool
    leading: bytes
    trailing: bytes
    extended: tuple[str, ...]
    rest: bytes


@dataclass(frozen=True, slots=True)
class Meta:
    """What many members have in common, kept once. `form` is `v7`, `ustar`, `gnu` or `pax`."""

    kind: str
    mode: int
    uid: int
    gid: int
    uname: str
    gname: str
    device: str
    form: str
    style: Style


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a tar: `path` without leading `./` and trailing `/`, `.` for the root.

    `mtime` is decimal seconds, with a fraction if it has one. `link` is the verbatim target of a symbolic link, the
    path that a hard link names. `records` are those of the extended header that are no fields, sorted by key. The
    content is `size` bytes at `offset` of an open file.
    """

    path: str
    meta: Meta
    mtime: str
    link: str
    records: Records
    descriptor: int
    offset: int
    size: int

    @property
    def kind(self) -> str:
        """What it is: `file`, `folder`, `symbolic link`, …."""
        return self.meta.kind

    @property
    def content(self) -> Content:
        """Its bytes."""
        return Content(self.descriptor, self.offset, self.size)


Members = Mapping[str, Member]


@dataclass(frozen=True, slots=True)
class Listing:
    """A tar as its members by path, in their order. Of those with one path the last counts; `earlier` has the others.

    `common` are the records of global extended headers. `tail` is what follows the last member: zeros, if all is well.
    """

    members: Members
    earlier: Mapping[str, Sequence[Member]]
    common: Records
    tail: Content


@dataclass(frozen=True, slots=True)
class Held:
    """What the layers of a pair hold that are not the same, and the pair's label."""

    label: str
    left: Members
    right: Members
