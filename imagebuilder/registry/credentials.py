"""Credentials as Docker keeps them: config.json with entries, a store, or helpers for single hosts.

DOCKER_CONFIG names the folder, else it is ~/.docker. Nothing else is looked at: no netrc, no variables with secrets.
A helper that is missing or broken is no error until the registry wants credentials; then it is named.
"""

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from imagebuilder.reference import HUB
from layers.errors import UsageError
from layers.expression import expression
from layers.values import dataclass, field

_HELPER_TIMEOUT_S = 30
_LIMIT = 1 << 20
_HELPER = expression(r"[A-Za-z0-9._-]+")
_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = (HUB, "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password, or an identity token, or nothing; `source` says in words where they are from."""

    source: str
    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """User and password as the Authorization header has them; empty if there are none."""
        if not self.user:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def empty(self) -> bool:
        """Say whether there is nothing to log in with."""
        return not self.user and not self.identity_token


class _HelperError(Exception):
    """A helper gave nothing; the text says why."""


def find(registry: str, environment: Mapping[str, str]) -> Credentials:
    """Find the credentials for a registry. Raises UsageError IB207 for a configuration that cannot be read.

    A helper for this host comes first, then the store, then what stands in the file itself.
    """
    path = _path(environment)
    config = _read(path) if path else {}
    helpers = config.get("credHelpers")
    helper = helpers.get(_key(registry)) or helpers.get(registry) if isinstance(helpers, dict) else None
    helper = helper or config.get("credsStore")
    problem = ""
    if isinstance(helper, str) and helper:
        try:
            return _ask(helper, _key(registry), environment)
        except _HelperError as error:
            problem = f"docker-credential-{helper} {error}; "
    found = _in_file(config, registry, path)
    return found or Credentials(
        f"no credentials ({problem}none for {registry} in {path or 'any docker configuration'})"
    )


def _path(environment: Mapping[str, str]) -> Path | None:
    if folder := environment.get("DOCKER_CONFIG"):
        return Path(folder) / "config.json"
    return Path(home) / ".docker" / "config.json" if (home := environment.get("HOME")) else None


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            document: object = json.loads(file.read(_LIMIT))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _malformed(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _malformed(path, "it is not JSON") from error  # the parser's own words could quote a secret
    if not isinstance(document, dict):
        raise _malformed(path, "it is not a JSON object")
    return document


def _in_file(config: Mapping[str, object], registry: str, path: Path | None) -> Credentials | None:
    entries = config.get("auths")
    for key, entry in entries.items() if isinstance(entries, dict) else ():
        if not isinstance(entry, dict) or not path or not _names(str(key), registry):
            continue
        user, password = _decode(_text(entry, "auth"), path, str(key))
        user, password = user or _text(entry, "username"), password or _text(entry, "password")
        token = _text(entry, "identitytoken")
        if user or token:
            return Credentials(_described(user, str(path)), user, password, token)
    return None


def _decode(auth: str, path: Path, key: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(auth, validate=True).decode("utf-8")
    except ValueError as error:  # not base64, not ASCII, not UTF-8
        raise _malformed(path, f"`auth` of {key} is not base64 of `user:password`") from error
    user, _, password = text.rstrip("\0").partition(":")
    return user, password


def _ask(helper: str, key: str, environment: Mapping[str, str]) -> Credentials:
    """Ask a credential helper, as described in docker/docker-credential-helpers."""
    import subprocess  # noqa: TID251 a credential helper is a program; nothing else is run here

    program = shutil.which(f"docker-credential-{helper}", path=environment.get("PATH", ""))
    if not _HELPER.fullmatch(helper) or program is None:
        raise _HelperError("is not on PATH")
    try:
        ran = subprocess.run(
            [program, "get"],
            input=key.encode(),
            env=dict(environment),
            capture_output=True,
            timeout=_HELPER_TIMEOUT_S,
            check=True,
        )
        answer: object = json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        raise _HelperError(f"gave no answer in {_HELPER_TIMEOUT_S} seconds") from None
    except subprocess.CalledProcessError as error:
        missing = b"not found" in error.stdout + error.stderr
        raise _HelperError("has none" if missing else f"failed with exit code {error.returncode}") from None
    except (OSError, ValueError, RecursionError):
        raise _HelperError("did not answer as helpers do") from None
    user = _text(answer, "Username")
    secret = _text(answer, "Secret")
    if not user or not secret:
        raise _HelperError("has none")
    source = _described("" if user == "<token>" else user, f"docker-credential-{helper}")
    return Credentials(source, identity_token=secret) if user == "<token>" else Credentials(source, user, secret)


def _key(registry: str) -> str:
    return _HUB_KEY if registry == HUB else registry


def _names(key: str, registry: str) -> bool:
    """Say whether an entry is for this registry: keys are hosts, or addresses such as `https://host/v1/`."""
    scheme, separator, rest = key.partition("://")
    host, _, path = (rest if separator else scheme).partition("/")
    if path.strip("/") not in ("", "v1", "v2"):
        return False
    return host in _HUB_HOSTS if registry == HUB else host == registry


def _described(user: str, place: str) -> str:
    return f'user "{user}" from {place}' if user else f"an identity token from {place}"


def _text(entry: object, key: str) -> str:
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else ""


def _malformed(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"cannot read the docker configuration {path}: {reason}",
        hint="correct it, or name another folder in DOCKER_CONFIG",
        code="IB207",
    )
