"""Authorization: what to say to a registry so that it answers; passwords and tokens go nowhere else.

A token is asked for one repository and kept until the registry no longer takes it. A token server is told who we are
only if it is the registry's own, of its domain, or named in the settings; any other is asked without a name.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from imagebuilder.registry import addresses, credentials, failures
from imagebuilder.registry.credentials import Credentials
from imagebuilder.registry.failures import CutError
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.registry.transport import Transport
from layers.errors import RefusedError
from layers.expression import expression

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_LONGEST_TOKEN = 64 << 10
_CLIENT = "imagebuilder"
_WORD = expression(r'([a-z]+)="([^"\n]+)"')
_USUAL = expression(r'(?i:bearer) +(?:[a-z]+="[^"\n]+"(?:, *|$))+')
Ask = Callable[[Callable[[], str]], str]


class Authorization:
    """The authorization for the repositories of one registry. Safe to use from threads.

    `name` is the registry as in references, `persist` runs a request as often as it takes.
    """

    def __init__(self, name: str, transport: Transport, settings: RegistrySettings, persist: Ask) -> None:
        self._name = name
        self._transport = transport
        self._settings = settings
        self._persist = persist
        self._lock = threading.Lock()
        self._found: Credentials | None = None
        self._basic = False
        self._realm = ""
        self._service = ""
        self._tokens: dict[str, str] = {}

    @property
    def tried(self) -> str:
        """Name the source of the credentials that were tried."""
        return self._credentials.source if self._found else "no credentials: the registry did not ask for any"

    def header(self, scope: str) -> dict[str, str]:
        """Return what to send for a scope, as far as the registry has said what it wants."""
        with self._lock:
            if self._basic:
                return {"Authorization": self._credentials.basic}
            if not self._realm:
                return {}
            if scope not in self._tokens:
                self._tokens[scope] = self._persist(lambda: self._token(scope))
            return {"Authorization": f"Bearer {self._tokens[scope]}"}

    def learn(self, response: "BaseHTTPResponse", url: str, *, sent: str, scope: str) -> None:
        """Take in what a 401 asks for. Raises RefusedError IB204 if we have nothing better than what was sent."""
        challenges = response.headers.getlist("WWW-Authenticate")
        with self._lock:
            if bearer := _challenge(challenges, "bearer"):
                if sent == f"Bearer {self._tokens.get(scope)}":
                    del self._tokens[scope]
                self._set_realm(bearer, url)
            elif _challenge(challenges, "basic") and not sent and self._credentials.user:
                self._basic = True
            else:
                raise failures.unauthorized(scope_name(scope), self._name, self._credentials.source)

    @property
    def _credentials(self) -> Credentials:
        if self._found is None:
            self._found = credentials.find(self._name, self._settings.environment)
        return self._found

    def _set_realm(self, challenge: str, url: str) -> None:
        realm, service = read_challenge(challenge)
        if not _may_be_asked(realm, url):
            raise RefusedError(
                f"{self._name} names a token server that is asked nothing: {realm[:100]!r}",
                details=(f"tried: {self._credentials.source}",),
                hint="a token server must have an address with https; this is for who runs the registry",
                code="IB209",
            )
        self._realm, self._service = realm, service

    def redact(self, words: bytes) -> bytes:
        """Blot out our secrets in what a registry says: it knows them, and errors are shown."""
        with self._lock:
            found = self._found
            secrets = [found.password, found.identity_token, found.basic.removeprefix("Basic ")] if found else []
            for secret in filter(None, [*secrets, *self._tokens.values()]):
                words = words.replace(secret.encode(), b"***")
        return words

    def _token(self, scope: str) -> str:
        found = self._credentials
        query = [("service", self._service)] * bool(self._service) + [("scope", one) for one in scope.split()]
        trusted = self._trusts(self._realm)
        if trusted and found.identity_token:
            form = [*query, ("grant_type", "refresh_token"), ("client_id", _CLIENT)]
            form.append(("refresh_token", found.identity_token))
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._ask("POST", self._realm, headers, urlencode(form).encode(), scope=scope)
        headers = {"Authorization": found.basic} if trusted and found.basic else {}
        joint = "&" if urlsplit(self._realm).query else "?"
        return self._ask("GET", f"{self._realm}{joint}{urlencode(query)}", headers, None, scope=scope)

    def _trusts(self, realm: str) -> bool:
        """Say whether a token server may know who we are. On another port of an IP address may be anybody."""
        place, host, known = addresses.host(realm), urlsplit(realm).hostname or "", self._settings.token_hosts
        registry = urlsplit(f"//{self._name}").hostname or ""
        return place == self._name or addresses.related(host, registry) or bool({place, host} & known)

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, scope: str) -> str:
        response = self._transport.send(method, url, headers, body)
        try:
            content = self._transport.whole(response, url, limit=_LONGEST_TOKEN)
        finally:
            response.close()
        if reason := transient(response):
            raise CutError(f"{addresses.host(url)}: {reason}", retry_after(response))
        if response.status != 200:
            raise self._no_token(url, response.status, scope)
        return _read_token(content, addresses.host(url))

    def _no_token(self, url: str, status: int, scope: str) -> RefusedError:
        host, tried = addresses.host(url), self._credentials.source
        if not self._credentials.empty and not self._trusts(url):
            tried += f", but not at {host}: it is not of {self._name} and not named with --token-host"
        return failures.unauthorized(scope_name(scope), self._name, tried, reason=f"{host} answers {status}")


def _may_be_asked(realm: str, url: str) -> bool:
    """Say whether a token server can be asked at all: over TLS, or in the clear where the registry is so, too."""
    try:
        parts = urlsplit(realm)
        own = parts.scheme == "http" == urlsplit(url).scheme and parts.hostname == urlsplit(url).hostname
        return (parts.scheme == "https" or own) and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def scope_name(scope: str) -> str:
    """Return the repository of a scope, as people name it."""
    return scope.split()[0].split(":")[1] if scope else "this"


def transient(response: "BaseHTTPResponse") -> str:
    """Say why another try may have a better answer; empty if it would not."""
    may_pass = response.status in (408, 425, 429, 499) or (response.status >= 500 and response.status != 501)
    return f"it answers {response.status}" if may_pass else ""


def retry_after(response: "BaseHTTPResponse") -> float:
    """Return for how many seconds the server wants to be left alone; 0 if it does not say, or says it as a date."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0.0


def read_challenge(challenge: str) -> tuple[str, str]:
    """Return the realm and the service of a challenge to bring a token; what it lacks is empty."""
    if _USUAL.fullmatch(challenge):
        words: dict[str, str] = dict(_WORD.findall(challenge))
        return words.get("realm", ""), words.get("service", "")
    from oras.auth.utils import parse_auth_header  # 35 ms, which only a registry that puts it otherwise is worth

    parsed = parse_auth_header(challenge)
    return str(parsed.realm or ""), str(parsed.service or "")


def _challenge(challenges: Sequence[str], scheme: str) -> str:
    return next((one for one in challenges if one.split(" ")[0].lower() == scheme), "")


def _read_token(content: bytes, host: str) -> str:
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    fields = document if isinstance(document, dict) else {}
    token = fields.get("token") or fields.get("access_token")
    if not (isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token):
        raise RefusedError(
            f"the token server {host} gives no token",
            hint="try again; if it stays so, it is for the people who run the registry",
            code="IB209",
        )
    return token
