"""The package index: what a suite has, from its signed Release files down to every package's hash."""

import re
import time  # noqa: TID251 only formats a date that was signed
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from imagebuilder.base import version
from imagebuilder.base.mirrors import Mirrors
from imagebuilder.base.pins import PinnedDeb
from imagebuilder.base.release import Release, read_release
from layers import xz
from layers.digest import Digest
from layers.errors import IntegrityError, UsageError
from layers.expression import expression
from layers.values import dataclass

Download = Callable[[str, int], bytes]

# Of each suite the places that bring newer packages, as (archive, suffix of the suite's name).
_UPDATED = (("debian", ""), ("debian", "-updates"), ("debian-security", "-security"))
SUITES = {"bookworm": _UPDATED, "trixie": _UPDATED, "forky": _UPDATED, "sid": (("debian", ""),)}
ARCHITECTURES = ("amd64", "arm64")

_RELEASE_MAX = 4 << 20
_PACKAGES_MAX = 64 << 20
_PLAIN_MAX = 512 << 20
# The snapshot archive is behind what it copies by some hours; a file stays in the pool for a day or more.
_SNAPSHOT_DELAY_S = 12 * 3600
_ASKED = expression(
    rb"^(?:Package|Version|Architecture|Filename|Size|SHA256|(?:Pre-)?Depends|Provides):.*", re.MULTILINE
)
_POOL_PATH = expression(r"pool/(?:[A-Za-z0-9][A-Za-z0-9.+~_-]*/)+[A-Za-z0-9][A-Za-z0-9.+~_:%-]*\.deb")
_RELATION = expression(r"([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)?(?:\s*\((<<|<=|=|>=|>>)\s*([^\s)]+)\))?")


@dataclass(frozen=True, slots=True)
class Relation:
    """One name of a dependency, with the version that is asked for, if any is."""

    name: str
    operator: str = ""
    version: str = ""

    def holds(self, found: str) -> bool:
        """Say whether a version is one that is asked for."""
        return not self.operator or version.satisfies(found, self.operator, self.version)

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the index. `depends` has one tuple for each thing it needs: alternatives, the best first."""

    deb: PinnedDeb
    depends: tuple[tuple[Relation, ...], ...]
    provides: tuple[Relation, ...]


@dataclass(frozen=True)
class PackageIndex:
    """The packages of a suite with its updates, for one architecture; `stanzas` are read only when asked for."""

    suite: str
    architecture: str
    snapshot: str
    stanzas: Mapping[str, Sequence[tuple[str, bytes]]]

    def newest(self, name: str) -> Package | None:
        """Return the newest package of that name."""
        packages = [_package(archive, stanza) for archive, stanza in self.stanzas.get(name, ())]
        return max(packages, key=lambda package: version.key(package.deb.version), default=None)

    def providers(self, name: str) -> tuple[Package, ...]:
        """Return the packages that provide a virtual one, sorted by name."""
        return tuple(package for found in self._providers.get(name, ()) if (package := self.newest(found)))

    @cached_property
    def _providers(self) -> Mapping[str, Sequence[str]]:
        providers: dict[str, list[str]] = {}
        for name in sorted(self.stanzas):
            provided = {
                relation.name
                for _, stanza in self.stanzas[name]
                if b"\nProvides:" in stanza
                for alternatives in _relations(_fields(stanza).get("Provides", ""))
                for relation in alternatives
            }
            for virtual in provided:
                providers.setdefault(virtual, []).append(name)
        return providers


def load_index(suite: str, architecture: str, *, mirrors: Mirrors, download: Download) -> PackageIndex:
    """Fetch, verify and read the index of a suite. `download` is given an address and a limit in bytes.

    Raises UsageError IB556 for a suite or architecture that is not offered, IntegrityError IB550 to IB553 if what the
    mirror serves is not signed by the keyring, too old, of another suite, or not what the signed file promises.
    """
    _check_offered(suite, architecture)
    with ThreadPoolExecutor(len(_UPDATED)) as pool:
        parts = list(
            pool.map(
                lambda part: _load(part[0], suite + part[1], architecture, mirrors=mirrors, download=download),
                SUITES[suite],
            )
        )
    stanzas: dict[str, list[tuple[str, bytes]]] = {}
    for (archive, _), (_, packages) in zip(SUITES[suite], parts, strict=True):
        for stanza in packages:
            name = stanza[9 : stanza.index(b"\n")].decode()
            stanzas.setdefault(name, []).append((archive, stanza))
    newest = max(release.date for release, _ in parts)
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(newest + _SNAPSHOT_DELAY_S))
    return PackageIndex(suite, architecture, moment, stanzas)


def _check_offered(suite: str, architecture: str) -> None:
    for what, value, offered in (("suite", suite, tuple(SUITES)), ("architecture", architecture, ARCHITECTURES)):
        if value not in offered:
            raise UsageError(
                f"there is no Debian base for the {what} {value!r}", hint=f"choose {' or '.join(offered)}", code="IB556"
            )


def _load(
    archive: str, codename: str, architecture: str, *, mirrors: Mirrors, download: Download
) -> tuple[Release, list[bytes]]:
    root = f"{mirrors.address(archive)}/dists/{codename}"
    release = read_release(
        download(f"{root}/InRelease", _RELEASE_MAX),
        codename=codename,
        keyring=mirrors.keyring,
        check_age=mirrors.check_age,
    )
    folder = f"main/binary-{architecture}"
    digest, size = release.files.get(f"{folder}/Packages.xz", (None, 0))
    if digest is None or size > _PACKAGES_MAX:
        raise _damaged(codename, f"it has no {folder}/Packages.xz of a usual size")
    file = f"by-hash/SHA256/{digest.hex}" if release.by_hash else "Packages.xz"
    packed = download(f"{root}/{folder}/{file}", size)
    if Digest.of(packed) != digest:
        raise _damaged(codename, f"{folder}/Packages.xz is not what the signed Release file promises")
    return release, list(_split(packed, f"{folder}/Packages.xz of {codename}"))


def _split(packed: bytes, name: str) -> Iterator[bytes]:
    """Yield the stanzas of packages while they are unpacked: a suite has 50 MB of them, which fit in memory once."""
    size, rest = 0, b""
    for chunk in xz.plain([packed]):
        size += len(chunk)
        if size > _PLAIN_MAX:
            raise _damaged(name, f"it unpacks to more than {_PLAIN_MAX} bytes")
        *whole, rest = (rest + chunk).split(b"\n\n")
        yield from map(_shortened, filter(_is_package, whole))
    yield from map(_shortened, filter(_is_package, [rest]))


def _is_package(stanza: bytes) -> bool:
    return stanza.startswith(b"Package: ")


def _shortened(stanza: bytes) -> bytes:
    """Leave out the fields that nobody asks for, which are half of a suite."""
    return b"\n".join(_ASKED.findall(stanza)) + b"\n"


def _package(archive: str, stanza: bytes) -> Package:
    fields = _fields(stanza)
    try:
        path = fields["Filename"].removeprefix("./")
        if not _POOL_PATH.fullmatch(path):
            raise _damaged(fields["Package"], f"the path {path!r} is not in its pool")
        deb = PinnedDeb(
            fields["Package"],
            fields["Version"],
            fields["Architecture"],
            f"{archive}/{path}",
            Digest(f"sha256:{fields['SHA256']}"),
            int(fields["Size"]),
        )
    except (KeyError, ValueError) as error:
        raise _damaged(fields.get("Package", "?"), f"a field is missing or malformed: {error}") from error
    depends = _relations(fields.get("Pre-Depends", "")) + _relations(fields.get("Depends", ""))
    provides = tuple(relation for group in _relations(fields.get("Provides", "")) for relation in group)
    return Package(deb, depends, provides)


def _fields(stanza: bytes) -> dict[str, str]:
    """Read a stanza (deb822(5)). None of the fields used here goes on over several lines."""
    fields: dict[str, str] = {}
    for line in stanza.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(":")
        if colon and not name.startswith((" ", "\t")):
            fields[name] = value.strip()
    return fields


def _relations(text: str) -> tuple[tuple[Relation, ...], ...]:
    return tuple(
        tuple(Relation(match[1], match[2] or "", match[3] or "") for match in _RELATION.finditer(group))
        for group in text.split(",")
        if group.strip()
    )


def _damaged(what: str, how: str) -> IntegrityError:
    return IntegrityError(
        f"the package index of {what} is damaged: {how}", hint="try again, or choose another mirror", code="IB553"
    )
