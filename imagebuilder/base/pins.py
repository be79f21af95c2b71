"""The pins of a Debian base: which packages, by name, version and hash. Plain values; the lock writes them down."""

from dataclasses import dataclass

from buildpacks.api import Source
from layers.canonical import Json
from layers.digest import Digest

TIERS = ("base", "interpreter", "packages")


@dataclass(frozen=True, slots=True)
class PinnedDeb:
    """A package file. `path` is its place in the pool behind the archive's name: `debian/pool/main/z/zlib/…`."""

    name: str
    version: str
    architecture: str
    path: str
    digest: Digest
    size: int

    @property
    def source(self) -> Source:
        """The file to fetch."""
        return Source("deb", self.path.rpartition("/")[2], self.digest, self.size, self.path)

    def to_json(self) -> list[Json]:
        """Return what decides the bytes that come out of it."""
        return [self.name, self.version, self.digest.value]


@dataclass(frozen=True, slots=True)
class BasePins:
    """The packages of an image in three tiers: the base, the interpreter, what the application asked for.

    `architecture` is Debian's name, which for amd64 and arm64 is that of OCI too. `snapshot` is a moment, as the
    snapshot archive writes it (`20261120T141110Z`), at which that archive has all of these files.
    """

    suite: str
    architecture: str
    snapshot: str
    tiers: tuple[tuple[PinnedDeb, ...], ...]

    def __post_init__(self) -> None:
        if len(self.tiers) != len(TIERS):
            raise TypeError(f"a base has {len(TIERS)} tiers, not {len(self.tiers)}")
