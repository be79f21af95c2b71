"""Mirrors: where files are fetched from. Never part of the bytes: all that comes is checked by signature or hash."""

import re
from collections.abc import Iterator
from pathlib import Path

from buildpacks.api import Source
from layers.expression import expression
from layers.values import dataclass, replace

_DEBIAN = "https://mirrors.kernel.org/debian"
_SNAPSHOT = "https://snapshot.debian.org/archive"
_LINE = expression(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(https?://\S+)\s+\S")
_FIELD = expression(r"^([A-Za-z-]+):(.*)$", re.MULTILINE)


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

    def address(self, archive: str) -> str:
        """Return where an archive is: `debian` or `debian-security`."""
        return self.security if archive == "debian-security" else self.debian


def find_mirrors(
    *, mirror: str = "", snapshot: str = "", keyring: Path | None = None, host: Path = Path("/")
) -> Mirrors:
    """Choose mirrors: the configured one, else those of the host's apt, else the public default.

    The security archive of a configured mirror has the same address with `-security`. `host` is the root folder whose
    etc/apt is read; of its options only `Check-Valid-Until: no` counts.
    """
    if mirror:
        address = mirror.rstrip("/")
        found = Mirrors(address, f"{address}-security")
    else:
        found = _host_mirrors(host / "etc" / "apt")
    return replace(found, snapshot=snapshot.rstrip("/") or _SNAPSHOT, keyring=keyring)


def candidates(source: Source, *, mirrors: Mirrors, snapshot: str) -> tuple[str, ...]:
    """Return the addresses of a pinned deb in the order to try; the last is the snapshot archive's.

    Files that a newer version replaced vanish from mirrors within months, so an old lock needs the snapshot.
    """
    archive, _, path = source.locator.partition("/")
    return f"{mirrors.address(archive)}/{path}", f"{mirrors.snapshot}/{archive}/{snapshot}/{path}"


def _host_mirrors(apt: Path) -> Mirrors:
    found = Mirrors()
    for source in reversed(list(_apt_sources(apt))):
        if source.address.endswith("/debian"):
            found = replace(found, debian=source.address, check_age=source.check_age)
        elif source.address.endswith("/debian-security"):
            found = replace(found, security=source.address)
    return found


@dataclass(frozen=True, slots=True)
class _AptSource:
    address: str
    check_age: bool = True


def _apt_sources(apt: Path) -> Iterator[_AptSource]:
    """Read what sources.list(5) describes, in both formats; what cannot be read or understood is passed over."""
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        for line in _text(path).splitlines():
            if match := _LINE.match(line):
                yield _AptSource(match[2].rstrip("/"), "check-valid-until=no" not in (match[1] or "").lower())
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", _text(path)):
            yield from _deb822_sources(stanza)


def _deb822_sources(stanza: str) -> Iterator[_AptSource]:
    fields = {match[1].lower(): match[2].split() for match in _FIELD.finditer(stanza)}
    if "deb" in fields.get("types", ()) and fields.get("enabled") != ["no"]:
        for address in fields.get("uris", ()):
            if address.startswith(("http://", "https://")):
                yield _AptSource(address.rstrip("/"), fields.get("check-valid-until") != ["no"])


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
