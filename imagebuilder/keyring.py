"""Passwords of package indexes that a keyring keeps, asked of the program `keyring` as pip and uv ask it.

Only who says so in their settings (`keyring-provider = subprocess`), for an index whose address names a user without a
password. The program is given the address and the user; the password is never in arguments.
"""

import functools
import shutil
from collections.abc import Mapping
from urllib.parse import urlsplit

# A keyring may ask its owner for a password of its own.
_TIMEOUT_S = 60


def password(url: str, user: str, environment: Mapping[str, str]) -> str:
    """Return the password of a user for an index; empty if the keyring has none, or there is no keyring.

    It is asked for the address, then for the host, as pip's and uv's users have stored them.
    """
    return _asked(url, user, tuple(sorted(environment.items())))


@functools.cache
def _asked(url: str, user: str, environment: tuple[tuple[str, str], ...]) -> str:
    import subprocess  # noqa: TID251 a keyring is a program; only a build that downloads with its help runs it

    variables = dict(environment)
    program = shutil.which("keyring", path=variables.get("PATH", ""))
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    for service in (parts._replace(netloc=host).geturl(), host) if program else ():
        try:
            ran = subprocess.run(
                [str(program), "get", service, user],
                env={**variables, "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if found := ran.stdout.decode("utf-8", "replace").strip("\r\n"):
            return found
    return ""
