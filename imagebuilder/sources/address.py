"""Addresses of commits: `git+URL@REVISION#subdirectory=PATH`, in the one form that locks have."""

import posixpath
import re
from urllib.parse import urlsplit, urlunsplit

from layers.errors import BuildError
from layers.expression import expression
from layers.values import dataclass

_SCHEMES = ("https", "ssh", "file")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SCP = expression(r"([\w.-]+@[\w.-]+):(?!/)(.+)")
_REVISION = expression(r"[A-Za-z0-9][\w./+-]*")
_SECRET_BY_NAME = expression(r"([^:]*:)?\$\{[A-Z0-9_]+\}:?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a repository is, the revision, and the folder of it that holds the project, if not all does.

    `url` may name secrets (`${TOKEN}`), and holds none.
    """

    url: str
    revision: str
    folder: str = ""

    def __str__(self) -> str:
        """The form that `parse` reads."""
        return f"git+{self.url}@{self.revision}" + (f"#subdirectory={self.folder}" if self.folder else "")

    @property
    def name(self) -> str:
        """A short name for people: the last part of the address, and of the revision what tells it apart."""
        return f"{posixpath.basename(self.url.rstrip('/')).removesuffix('.git')}@{self.revision[:12]}"

    @property
    def shown(self) -> str:
        """The address without a user."""
        parts = urlsplit(self.url)
        return f"{urlunsplit(parts._replace(netloc=parts.netloc.rpartition('@')[2]))}@{self.revision}"


def parse(text: str) -> Address:
    """Read an address. Raises BuildError IB882 if it is none that can be fetched, IB885 for one with a password."""
    url, _, fragment = text.removeprefix("git+").partition("#")
    found = _SCP.fullmatch(url)
    try:
        parts = urlsplit(f"ssh://{found[1]}/{found[2]}" if found and "://" not in url else url)
    except ValueError:  # brackets that do not match
        parts = urlsplit("")
    path, _, revision = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "HEAD")
    folder = next((part.removeprefix("subdirectory=") for part in fragment.split("&") if "subdirectory=" in part), "")
    folder = posixpath.normpath(folder) if folder else ""
    revision = revision or "HEAD"
    fits = parts.scheme in _SCHEMES or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    outside = folder.startswith(("/", "../")) or folder == ".."
    if not fits or not path.strip("/") or outside or not _REVISION.fullmatch(revision) or ".." in revision:
        raise BuildError(
            f"cannot fetch a commit from {_without_user(text)[:200]}",
            hint="write it as git+https://HOST/PATH@REVISION or git+ssh://git@HOST/PATH@REVISION",
            code="IB882",
        )
    user = parts.netloc.rpartition("@")[0]
    if user and not _SECRET_BY_NAME.fullmatch(user) and (parts.scheme != "ssh" or ":" in user):
        raise BuildError(
            f"the address of {posixpath.basename(path)} has a password in it",
            hint="write ${NAME} for it and set the variable, or leave it to git's credential helper or a netrc file",
            code="IB885",
        )
    return Address(urlunsplit((parts.scheme, parts.netloc, path, "", "")), revision, "" if folder == "." else folder)


def _without_user(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)
