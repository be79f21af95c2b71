"""A session with a registry: requests with authorization, redirects followed with care, retries with patience.

Credentials go to the registry itself and to nobody it sends us on to. What is tried again is bounded in number, and
every wait in time.
"""

import threading
import time  # noqa: TID251 waiting before a retry reaches no image
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from imagebuilder.reference import HUB, Reference
from imagebuilder.registry import addresses, failures
from imagebuilder.registry.auth import Authorization, retry_after, transient
from imagebuilder.registry.failures import CutError
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.registry.transport import Transport
from layers.errors import BuildError, IntegrityError, UsageError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_Value = TypeVar("_Value")
_RETRIES = 3
_LONGEST_WAIT_S = 60.0
_REDIRECTS = 5
_CHALLENGES = 2  # a token may expire between two threads that use it
_ERROR_BODY = 64 << 10
_HUB_HOST = "registry-1.docker.io"
Body = bytes | Iterable[bytes] | None


class Session:
    """Requests about one repository. Safe to use from threads."""

    def __init__(self, reference: Reference, *, settings: RegistrySettings, push: bool) -> None:
        self.registry = reference.registry
        self.repository = reference.repository
        self.transport = Transport(settings)
        self._host = _HUB_HOST if reference.registry == HUB else reference.registry
        self._settings = settings
        self._push = push
        self._authorization = Authorization(reference.registry, self.transport, settings, self.persist)
        self._scheme = "http" if {self.registry, self._host} & settings.insecure else "https"
        self._decided = self._scheme == "http" or not addresses.is_loopback(self._hostname)
        self._deciding = threading.Lock()

    @property
    def _hostname(self) -> str:
        return addresses.origin(f"https://{self._host}")[1]

    def url(self, path: str) -> str:
        """Return the address of something in the repository: `manifests/latest`."""
        self._decide()
        return f"{self._scheme}://{self._host}/v2/{self.repository}/{path}"

    def persist(self, attempt: Callable[[], _Value]) -> _Value:
        """Make an attempt until it is not cut. Raises TransientError IB201 when patience ends."""
        for retry in range(_RETRIES):
            try:
                return attempt()
            except CutError as error:
                self.wait(error, retry)
        try:
            return attempt()
        except CutError as error:
            raise failures.unreachable(self.registry, error.reason) from error

    def wait(self, error: CutError, retry: int, *, retries: int = _RETRIES) -> None:
        """Wait before a retry. Raises TransientError IB201 if there were enough, or it would be too long."""
        if retry >= retries or error.wait_s > _LONGEST_WAIT_S:
            raise failures.unreachable(self.registry, error.reason) from error
        wait_s = error.wait_s or min(self._settings.backoff_s * 2**retry, _LONGEST_WAIT_S)
        self._settings.note(f"{self.registry}: {error.reason}; trying again in {wait_s:.1f} s")
        time.sleep(wait_s)

    @contextmanager
    def once(
        self,
        method: str,
        url: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        expected: tuple[int, ...] = (200,),
        mount_from: str = "",
        patience_s: float = 0.0,
    ) -> Iterator["BaseHTTPResponse"]:
        """Ask once and give the answer, if its status is an expected one; every other becomes an error.

        `what` is asked for, in words. Raises CutError for what may pass, and what failures.py makes of the rest.
        """
        scope = self._scope(method, mount_from)
        response = self._exchange(method, url, headers or {}, body, scope=scope, patience_s=patience_s)
        try:
            if response.status not in expected:
                raise self._refusal(response, what)
            yield response
        finally:
            self._leave(response)

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, *, scope: str, patience_s: float
    ) -> "BaseHTTPResponse":
        """Follow redirects and challenges to an answer that is neither."""
        redirects = challenges = 0
        replayable = body is None or isinstance(body, bytes)
        while True:
            own = self._is_own(url)
            authorization = self._authorization.header(scope) if own else {}
            sent = authorization.get("Authorization", "")
            response = self.transport.send(method, url, {**headers, **authorization}, body, patience_s=patience_s)
            response.url = url
            if response.status == 401 and own and challenges < _CHALLENGES:
                challenges += 1
                self._leave(response)
                self._authorization.learn(response, url, sent=sent, scope=scope)
                if not replayable:
                    raise CutError("it wants a new token")
            elif _redirects(response.status, method) and replayable and "Location" in response.headers:
                redirects += 1
                if redirects > _REDIRECTS:
                    response.close()
                    raise failures.bad_place(addresses.host(url), f"more than {_REDIRECTS} times")
                self._leave(response)
                url = addresses.next_address(url, response.headers["Location"])
            else:
                return response

    def _scope(self, method: str, mount_from: str) -> str:
        actions = "pull,push" if self._push or method not in ("GET", "HEAD") else "pull"
        mounted = f" repository:{mount_from}:pull" if mount_from else ""
        return f"repository:{self.repository}:{actions}{mounted}"

    def _refusal(self, response: "BaseHTTPResponse", what: str) -> BuildError | CutError:
        """Make the error of an answer that was not expected."""
        if reason := transient(response):
            return CutError(reason, retry_after(response))
        url = response.url or ""
        if not self._is_own(url):
            return failures.bad_place(self.registry, f"to {addresses.host(url)}, which answers {response.status}")
        tried = self._authorization.tried
        lacking = "insufficient_scope" in response.headers.get("WWW-Authenticate", "")
        if response.status == 403 or (response.status == 401 and lacking):
            return failures.forbidden(self.repository, self.registry, tried)
        if response.status == 401:
            return failures.unauthorized(self.repository, self.registry, tried)
        words = self._authorization.redact(self._words(response, url))
        if response.status == 400 and url.startswith("http:") and (b"HTTPS" in words or not response.headers):
            return failures.with_tls(self.registry)
        return failures.refused(what, self.registry, response.status, words, tried)

    def _words(self, response: "BaseHTTPResponse", url: str) -> bytes:
        """Return what an answer says, if it is short; if not, its connection is not used again."""
        try:
            return self.transport.whole(response, url, limit=_ERROR_BODY)
        except (CutError, IntegrityError):
            response.close()
            return b""

    def _leave(self, response: "BaseHTTPResponse") -> None:
        """Be done with an answer: its connection is kept if little of it is left to read."""
        if (response.length_remaining or 0) > _ERROR_BODY:
            response.close()
        self._words(response, response.url or "")
        response.release_conn()

    def _is_own(self, url: str) -> bool:
        return addresses.origin(url) == addresses.origin(f"{self._scheme}://{self._host}")

    def _decide(self) -> None:
        """Find out, the first time, whether a registry on loopback that nobody told us of speaks TLS."""
        with self._deciding:
            if self._decided:
                return
            try:
                self._leave(self.transport.send("GET", f"https://{self._host}/v2/", {}))
                self._scheme = "https"
            except UsageError as error:
                if error.code != "IB203":
                    raise
                self._scheme = "http"
            self._decided = True


def _redirects(status: int, method: str) -> bool:
    return status in (307, 308) or (status in (301, 302, 303) and method in ("GET", "HEAD"))
