"""What is pinned: files known by their hash, folders of the application, and the wheels that come of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from layers.digest import Digest
from layers.values import dataclass

Files = Mapping[Digest, Path]


@dataclass(frozen=True, slots=True)
class Source:
    """A file known by its hash, and how to find it: a wheel or a source distribution by project, anything by its URL.

    A deb is found by its path in the pool, a standalone Python by that in the releases, a conda package by channel and
    architecture, a layer by the image that is the base. Of kind `git` is the tree of a commit as a tar that we write;
    its locator is `git+URL@COMMIT`, where `#subdirectory=PATH` names a part of the tree. `index` is the name of the
    only index that may be asked for it, if the project names one.
    """

    kind: Literal["wheel", "sdist", "deb", "python", "conda", "git", "url", "layer"]
    name: str
    digest: Digest
    size: int | None
    locator: str
    index: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """A project in a folder of the application, `.` for the application itself.

    What is in it is hashed when it is built: a lock does not hold it, so that it fits whatever is changed there.
    """

    path: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"./{self.path.removeprefix('.')}"


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """One wheel of the environment; `name` is the normalised name of its project.

    It may have to be built: then `source` is no wheel, and `requires` are the wheels that it is built with, None as
    long as nobody has asked it (docs/decisions/0130-wheels-built-from-source.md). What a folder holds may say its
    version; here it has none.
    """

    name: str
    version: str
    source: Source | Folder
    requires: "tuple[PinnedWheel, ...] | None" = None

    def __str__(self) -> str:
        """What messages call it."""
        if isinstance(self.source, Folder):
            return f"{self.name} ({self.source.name})"
        return f"{self.name} {self.version}".rstrip()

    @property
    def built(self) -> bool:
        """Whether it is built from source."""
        if isinstance(self.source, Folder):
            return True
        return self.source.kind != "wheel" and not self.source.name.endswith(".whl")

    @property
    def size(self) -> int:
        """The size of the file it comes from, 0 if that is not known."""
        return 0 if isinstance(self.source, Folder) else self.source.size or 0

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files it comes from, its own first if it is one."""
        own = () if isinstance(self.source, Folder) else (self.source,)
        return (*own, *(source for wheel in self.requires or () for source in wheel.sources))


@dataclass(frozen=True, slots=True)
class PinnedConda:
    """One package of a conda environment: a build of a version."""

    name: str
    version: str
    build: str
    source: Source

    @property
    def size(self) -> int:
        """The size of its file, 0 if that is not known."""
        return self.source.size or 0

    @property
    def sources(self) -> tuple[Source, ...]:
        """The file it comes from."""
        return (self.source,)


@dataclass(frozen=True, slots=True)
class Built:
    """A project that is built before what it requires can be resolved, and the extras that are wanted of it."""

    wheel: PinnedWheel
    extras: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Repository:
    """A commit that was fetched, and the files in it that say what project it is, as far as it has them."""

    source: Source
    texts: Mapping[str, str]
