"""Downloads: the blobs of a repository as they arrive, each checked before its last bytes are given away."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagebuilder.registry import failures
from imagebuilder.registry.failures import CutError
from imagebuilder.registry.session import Session
from layers import digest
from layers.descriptor import Descriptor
from layers.digest import Digest

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

# How often one blob may break off. Each time it goes on where it broke.
CUTS = 6


class Download:
    """One blob on its way: what has come of it, and what that hashes to."""

    def __init__(self, session: Session, descriptor: Descriptor) -> None:
        self._session = session
        self._blob = descriptor
        self._what = f"blob {descriptor.digest}"
        self._hasher = digest.sha256()
        self._size = 0
        self._ranges = True

    def chunks(self) -> Iterator[bytes]:
        """Yield the blob; the last chunk comes only if the whole was what its descriptor promised."""
        held = b""
        for cut in range(CUTS + 1):
            try:
                for chunk in self._once():
                    self._take(chunk)
                    if held:
                        yield held
                    held = chunk
                break
            except CutError as error:
                self._session.wait(error, cut, retries=CUTS)
        if self._size != self._blob.size:
            raise failures.wrong_bytes(self._what, f"it has {self._size} bytes, not {self._blob.size}")
        if (found := Digest.from_hasher(self._hasher)) != self._blob.digest:
            raise failures.wrong_bytes(self._what, f"its bytes are {found}")
        if held:
            yield held

    def _take(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._blob.size:
            raise failures.wrong_bytes(self._what, f"it has more than {self._blob.size} bytes")
        self._hasher.update(chunk)

    def _once(self) -> Iterator[bytes]:
        """Yield what is new, until the end or a cut."""
        session, begin = self._session, self._size
        headers = {"Range": f"bytes={begin}-"} if begin and self._ranges else {}
        url = session.url(f"blobs/{self._blob.digest}")
        with session.once("GET", url, what=self._what, headers=headers, expected=(200, 206, 416)) as response:
            skip = self._known(response, begin)
            try:
                for chunk in session.transport.chunks(response, url):
                    if len(chunk) > skip:
                        yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
            finally:
                if response.length_remaining:
                    response.close()

    def _known(self, response: "BaseHTTPResponse", begin: int) -> int:
        """Return how many of the bytes that come are here already: a server that ignores Range begins again."""
        if response.status == 200:
            length = response.headers.get("Content-Length", "")
            if length.isdecimal() and int(length) != self._blob.size:
                raise failures.wrong_bytes(self._what, f"it has {int(length)} bytes, not {self._blob.size}")
            return begin
        if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            return 0
        self._ranges = False
        raise CutError("it does not go on where it broke off")
