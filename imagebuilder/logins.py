"""Logins for servers: of an address itself, of the configured places, or of a netrc file."""

import threading
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imagebuilder import destinations
from imagebuilder.addresses import Credentials, origin

if TYPE_CHECKING:
    from netrc import netrc


class Logins:
    """The credentials of each origin; `environment` says where the netrc file is. Safe to use from threads."""

    def __init__(self, configured: Mapping[str, Credentials], environment: Mapping[str, str]) -> None:
        self._configured = configured
        self._environment = environment
        self._lock = threading.Lock()
        self._read = False
        self._file: netrc | None = None

    def headers(self, address: str, own: Credentials | None) -> dict[str, str]:
        """Return the header that logs in at an address, if there are credentials; `own` are those that it names."""
        login = own if own and own[1] else self._configured.get(origin(address), own)
        login = login or self._of_file(urlsplit(address).hostname or "")
        if not login:
            return {}
        text = ":".join(login)
        try:
            token = b64encode(text.encode("latin-1"))
        except UnicodeEncodeError:
            token = b64encode(text.encode())
        return {"Authorization": f"Basic {token.decode()}"}

    def _of_file(self, host: str) -> Credentials | None:
        with self._lock:
            if not self._read:
                self._file = _netrc(self._environment)
                self._read = True
        found = self._file.authenticators(host) if self._file else None
        return (found[0] or found[1] or "", found[2] or "") if found and any(found) else None


def _netrc(environment: Mapping[str, str]) -> "netrc | None":
    """Read the file that NETRC names, or ~/.netrc, or ~/_netrc; one that cannot be read says nothing."""
    import netrc  # who downloads nothing needs none

    home = destinations.home(environment) or Path("/")
    named = environment.get("NETRC")
    if named is None:
        paths = [home / ".netrc", home / "_netrc"]
    else:
        paths = [home / named[2:] if named.startswith("~/") else Path(named)]
    for path in paths:
        try:
            return netrc.netrc(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (netrc.NetrcParseError, OSError, ValueError):
            break
    return None
