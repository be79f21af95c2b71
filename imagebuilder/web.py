"""The web: one address read to its end, with retries, resumption, redirects and credentials.

Credentials go to the origin they were given for and to no other; an address with https is never left for one without.
Answers are errors of ours, so that nothing above knows of HTTP: 401 and 403 are refusals, what may pass is transient.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from layers.blobs import storage_error
from layers.errors import BuildError, IntegrityError, RefusedError, TransientError
from layers.expression import expression

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 16
_TIMEOUTS = (10, 60)  # seconds to connect, and between two packets
_RETRIES = 3
_LONGEST_WAIT_S = 30.0
_REDIRECTS = 5
_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOKEN = expression(r"/t/[^/]+/")
Credentials = tuple[str, str]


class Web:
    """An open session. `certificate` is a file of trusted authorities; `backoff_s` the first wait before a retry."""

    def __init__(
        self,
        credentials: Mapping[str, Credentials],
        *,
        certificate: str = "",
        trusted_hosts: tuple[str, ...] = (),
        offline: bool = False,
        backoff_s: float = 0.5,
    ) -> None:
        self._credentials = credentials
        self._certificate = certificate
        self._trusted_hosts = trusted_hosts
        self._offline = offline
        self._backoff_s = backoff_s
        self._session = _session() if not offline else None
        self._cancelled = threading.Event()

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._session:
            self._session.close()

    def cancel(self) -> None:
        """End whatever other threads are reading, with CancelledError."""
        self._cancelled.set()

    def get(self, url: str, *, limit: int, accept: str = "*/*") -> bytes:
        """Return a small document."""
        chunks: list[bytes] = []
        self.read(url, chunks.append, limit=limit, accept=accept)
        return b"".join(chunks)

    def read(self, url: str, sink: Callable[[bytes], object], *, limit: int, accept: str = "*/*") -> None:
        """Feed the bytes at an address to `sink`; after a broken connection go on where it broke.

        Raises TransientError IB701, RefusedError IB702 and IB705, BuildError IB700 and IB703, IntegrityError IB706.
        """
        if (path := local_path(url)) is not None:
            _read_file(path, sink, limit=limit)
            return
        received = _Received(sink, limit, url)
        for retry in range(_RETRIES + 1):
            if self._cancelled.is_set():
                raise CancelledError
            try:
                self._read_once(url, received, accept)
            except _MayPassError as error:
                if retry == _RETRIES:
                    raise _unreachable(url, error.reason) from error
                self._cancelled.wait(min(error.wait_s or self._backoff_s * 2**retry, _LONGEST_WAIT_S))
            else:
                return

    def _read_once(self, url: str, received: "_Received", accept: str) -> None:
        import requests  # 60 ms, which a build that downloads nothing must not pay

        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if received.size:
            headers["Range"] = f"bytes={received.size}-"
        with self._open(url, headers) as response:
            # A server that ignores Range begins again: what is known already is passed over.
            received.skip = 0 if response.status_code == requests.codes.partial_content else received.size
            for chunk in response.iter_content(_CHUNK):
                if self._cancelled.is_set():
                    raise CancelledError
                received.take(chunk)

    @contextmanager
    def _open(self, url: str, headers: Mapping[str, str]) -> Iterator["requests.Response"]:
        """Follow redirects to an answer that is none; every failure becomes an error of ours."""
        import requests  # 60 ms, which a build that downloads nothing must not pay

        if self._session is None:
            raise _offline(url)
        address, own = _split_credentials(url)
        try:
            for _ in range(_REDIRECTS + 1):
                with self._get(self._session, address, headers, own=own) as response:
                    if not response.is_redirect:
                        _check(response, address)
                        yield response
                        return
                    target = _target(address, response.headers["Location"])
                if address.startswith("https:") and not target.startswith("https:"):
                    raise _refused(address, "it sends us on to an address without TLS", "IB705")
                own = own if origin(target) == origin(address) else None
                address = target
        except requests.exceptions.SSLError as error:
            raise _refused(address, "its certificate is not trusted", "IB705") from error
        except requests.exceptions.InvalidURL as error:
            raise _not_found(address) from error
        except requests.exceptions.RequestException as error:
            raise _MayPassError(_reason(error)) from error
        raise _refused(address, f"it sends us on more than {_REDIRECTS} times", "IB705")

    def _get(
        self, session: "requests.Session", address: str, headers: Mapping[str, str], *, own: Credentials | None
    ) -> "requests.Response":
        import requests  # as in `_open`

        try:
            return session.get(
                address,
                headers=headers,
                auth=own if own and own[1] else self._credentials.get(origin(address), own),
                verify=self._verification(address),
                timeout=_TIMEOUTS,
                stream=True,
                allow_redirects=False,
            )
        except requests.exceptions.RequestException:
            raise
        except ValueError as error:  # requests looks at where it leads, although it is not to go there
            raise _astray(address) from error

    def _verification(self, url: str) -> bool | str:
        parts = urlsplit(url)
        if {parts.hostname, f"{parts.hostname}:{parts.port}"} & {*self._trusted_hosts}:
            return False
        return self._certificate or True


def _target(address: str, location: str) -> str:
    """Return where a redirect leads."""
    try:
        target = urljoin(address, location)
        origin(target)
    except ValueError as error:  # brackets that do not match, a port that is no number
        raise _astray(address) from error
    return target


def _astray(address: str) -> RefusedError:
    return _refused(address, "it sends us on to something that is no address", "IB705")


class _MayPassError(Exception):
    """An answer or a failure that another try may not meet."""

    def __init__(self, reason: str, wait_s: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class _Received:
    """What has been read of an address so far: counts, passes over what came twice, and stops at the limit."""

    def __init__(self, sink: Callable[[bytes], object], limit: int, url: str) -> None:
        self._sink = sink
        self._limit = limit
        self._url = url
        self.size = 0
        self.skip = 0

    def take(self, chunk: bytes) -> None:
        """Pass on what is new."""
        new = chunk[self.skip :]
        self.skip -= len(chunk) - len(new)
        self.size += len(new)
        if self.size > self._limit:
            raise _too_large(self._url, self._limit)
        if new:
            self._sink(new)


def origin(url: str) -> str:
    """Return scheme, host and port: what credentials belong to."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def host(url: str) -> str:
    """Return host and port as written, without credentials: what may be shown."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def local_path(url: str) -> Path | None:
    """Return the path of a `file:` address or of a plain path; None for anything else."""
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    return None if "://" in url else Path(url)


def credentials_of(url: str) -> Credentials | None:
    """Return the user and password in an address."""
    return _split_credentials(url)[1]


def _split_credentials(url: str) -> tuple[str, Credentials | None]:
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return parts._replace(netloc=place).geturl(), (unquote(name), unquote(password)) if at else None


def _session() -> "requests.Session":
    import requests  # 60 ms, which a build that downloads nothing must not pay
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # for trusted hosts, which the user named
    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_connections=16, pool_maxsize=64)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read_file(path: Path, sink: Callable[[bytes], object], *, limit: int) -> None:
    received = _Received(sink, limit, str(path))
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                received.take(chunk)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise _not_found(str(path)) from error
    except OSError as error:
        raise storage_error(error, path) from error


def _check(response: "requests.Response", url: str) -> None:
    status = response.status_code
    if status in _MAY_PASS:
        wait = response.headers.get("Retry-After", "")
        raise _MayPassError(f"it answers {status}", float(wait) if wait.isdigit() else 0)
    if status in (401, 403, 407):
        raise _refused(url, f"it answers {status}", "IB702")
    if status in (404, 410):
        raise _not_found(url)
    if not response.ok:
        raise _refused(url, f"it answers {status}", "IB702")


def _reason(error: Exception) -> str:
    import requests  # 60 ms, which a build that downloads nothing must not pay

    if isinstance(error, requests.exceptions.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refuses or cannot be reached"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection breaks"
    return "no connection"


def _offline(url: str) -> BuildError:
    return BuildError(
        f"cannot ask {host(url)}: --offline was given",
        hint="run once without --offline, so that everything needed is in the cache",
        code="IB700",
    )


def _unreachable(url: str, reason: str) -> TransientError:
    return TransientError(
        f"cannot reach {host(url)}: {reason}",
        hint="check the network, proxy settings and the address, then try again",
        code="IB701",
    )


def _refused(url: str, reason: str, code: str) -> RefusedError:
    hint = (
        "give credentials in the index address, a netrc file, a keyring, or UV_INDEX_<NAME>_USERNAME and _PASSWORD"
        if code == "IB702"
        else "correct the address, or name the authority's certificate in SSL_CERT_FILE"
    )
    return RefusedError(f"{host(url)} refuses: {reason}", hint=hint, code=code)


def _not_found(url: str) -> BuildError:
    return BuildError(
        f"there is nothing at {_shown(url)}", hint="check the address of the index or mirror", code="IB703"
    )


def _too_large(url: str, limit: int) -> IntegrityError:
    return IntegrityError(
        f"{_shown(url)} has more than {limit} bytes",
        hint="the server answers with something else than was asked for; check its address",
        code="IB706",
    )


def _shown(url: str) -> str:
    """Leave out credentials: of servers of conda packages also those that stand in the path."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    path = _TOKEN.sub("/t/…/", parts.path)
    return parts._replace(netloc=host(url), path=path, query="", fragment="").geturl()
