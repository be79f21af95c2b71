"""The pins of a base: Debian packages by name, version and hash, or an image by its digests and what was found in it.

Plain values; the lock writes them down.
"""

from collections.abc import Iterable

from buildpacks.api import Source, Target
from imagebuilder.base.probe import Found
from layers.canonical import Json
from layers.descriptor import Descriptor, Platform
from layers.digest import Digest
from layers.errors import BuildError
from layers.expression import expression
from layers.layer import Layer
from layers.values import dataclass

TIERS = ("base", "interpreter", "packages")
# What the lock calls the packages of no image.
BUILD = "build"
_GLIBC = expression(r"([0-9]+)\.([0-9]+)")


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

    `build` are there besides while something is built, and never in the image. `architecture` is Debian's name, which
    for amd64 and arm64 is that of OCI too. `snapshot` is a moment, as the snapshot archive writes it
    (`20261120T141110Z`), at which that archive has all of these files.
    """

    suite: str
    architecture: str
    snapshot: str
    tiers: tuple[tuple[PinnedDeb, ...], ...]
    build: tuple[PinnedDeb, ...] = ()

    def __post_init__(self) -> None:
        if len(self.tiers) != len(TIERS):
            raise TypeError(f"a base has {len(TIERS)} tiers, not {len(self.tiers)}")

    @property
    def name(self) -> str:
        """The base as a user asks for it."""
        return f"debian:{self.suite}"

    @property
    def target(self) -> Target:
        """What wheels have to fit. Raises BuildError IB555 for a base without a C library."""
        return target(self.suite, self.architecture, (deb for tier in self.tiers for deb in tier))

    @property
    def packages(self) -> frozenset[str]:
        """The names of all packages."""
        return frozenset(deb.name for tier in (*self.tiers, self.build) for deb in tier)

    @property
    def layer_count(self) -> int:
        """How many layers the base has."""
        return sum(1 for tier in self.tiers if tier)

    @property
    def identity(self) -> Json:
        """What decides the bytes of the base, and of what is built upon it."""
        tiers = (*self.tiers, self.build) if self.build else self.tiers
        return [[deb.digest.value for deb in tier] for tier in tiers]


@dataclass(frozen=True, slots=True)
class ImagePins:
    """An image of a registry as the base: one platform's manifest, and what its layers were found to hold.

    `name` is the base as the user asks for it; the tag in it may name another image by now. `layers` have the media
    types of the OCI image specification, whatever the manifest called them; their other fields are the manifest's.
    """

    name: str
    platform: Platform
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Layer, ...]
    found: Found

    @property
    def architecture(self) -> str:
        """The name of the architecture."""
        return self.platform.architecture

    @property
    def target(self) -> Target:
        """What wheels have to fit."""
        major, minor = self.found.glibc.split(".")
        return Target(self.platform, self.found.distribution, (int(major), int(minor)))

    @property
    def packages(self) -> frozenset[str]:
        """No package of the image can be chosen."""
        return frozenset()

    @property
    def layer_count(self) -> int:
        """How many layers the base has."""
        return len(self.layers)

    @property
    def identity(self) -> Json:
        """What decides the bytes of the base."""
        return self.manifest.digest.value


Base = BasePins | ImagePins


def target(suite: str, architecture: str, debs: Iterable[PinnedDeb]) -> Target:
    """Say what wheels have to fit: the platform and the glibc among the packages. Raises BuildError IB555 for none."""
    glibc = next((match for deb in debs if deb.name == "libc6" and (match := _GLIBC.match(deb.version))), None)
    if glibc is None:
        raise BuildError(
            f"the base debian:{suite} has no libc6",
            hint="remove imagebuilder.lock and run `imagebuilder lock`",
            code="IB555",
        )
    return Target(Platform("linux", architecture), f"debian:{suite}", (int(glibc[1]), int(glibc[2])))
