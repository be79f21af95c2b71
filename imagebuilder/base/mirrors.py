"""Mirrors: where files are fetched from. Never part of the bytes: all that comes is checked by signature or hash."""

from dataclasses import dataclass
from pathlib import Path

from buildpacks.api import Source

_DEBIAN = "https://mirrors.kernel.org/debian"
_SNAPSHOT = "https://snapshot.debian.org/archive"


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Addresses of the two archives and of the snapshot archive, and the keys that must have signed the indexes.

    `keyring` is a file of OpenPGP certificates; None means Debian's own, which come with this package. `check_age`
    refuses an index whose Valid-Until has passed: a mirror that stands still, or one that hides updates.
    """

    debian: str = _DEBIAN
    security: str = _DEBIAN + "-security"
    snapshot: str = _SNAPSHOT
    keyring: Path | None = None
    check_age: bool = True


def find_mirrors(
    *, mirror: str = "", snapshot: str = "", keyring: Path | None = None, host: Path = Path("/")
) -> Mirrors:
    """Choose mirrors: the configured one (of its security archive: the same with `-security`), else those that the
    host's apt uses, else the public default. `host` is the root folder whose etc/apt is read.
    """
    raise NotImplementedError


def candidates(source: Source, *, mirrors: Mirrors, snapshot: str) -> tuple[str, ...]:
    """Return the addresses of a pinned deb in the order to try; the last is the snapshot archive's.

    Files that a newer version replaced vanish from mirrors within months, so a lock that is old needs the snapshot.
    """
    raise NotImplementedError
