"""Uploads: one blob into a repository, found there, mounted from another, or sent; resumed where it was cut."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from imagebuilder.registry import addresses, failures
from imagebuilder.registry.download import CUTS
from imagebuilder.registry.failures import CutError
from imagebuilder.registry.session import Session
from imagebuilder.registry.settings import BLOCK
from layers.blobs import storage_error
from layers.descriptor import Descriptor
from layers.errors import RefusedError, StorageError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

Uploaded = Literal["present", "mounted", "uploaded"]
# Where the bytes of a blob are: a file, or a function that gives them from the beginning, each time it is called.
Source = Path | Callable[[], Iterable[bytes]]
# A registry may need a while to store what it has received, before it says so.
_STORE_RATE = 10 << 20


class Upload:
    """One blob on its way. `on_progress` is told how many bytes were sent; less than zero if they must go again."""

    def __init__(
        self, session: Session, descriptor: Descriptor, source: Source, on_progress: Callable[[int], object]
    ) -> None:
        self._session = session
        self._blob = descriptor
        self._source = source
        self._on_progress = on_progress
        self._what = f"blob {descriptor.digest}"
        self._told = 0

    def run(self, mount_from: str, *, absent: bool = False) -> Uploaded:
        """Bring the blob there in the cheapest way; `absent` says that it was asked for, and is not there."""
        if not absent and self.present():
            return "present"
        location = self._begin(mount_from)
        if not location:
            return "mounted"
        self._send(location)
        return "uploaded"

    def present(self) -> bool:
        """Ask whether the blob is there, in its size."""
        return self._session.persist(self._has)

    def _has(self) -> bool:
        url = self._session.url(f"blobs/{self._blob.digest}")
        with self._session.once("HEAD", url, what=self._what, expected=(200, 404)) as response:
            length = response.headers.get("Content-Length", "")
            if response.status == 200 and length.isdecimal() and int(length) != self._blob.size:
                raise failures.kept_otherwise(self._what, f"it has {int(length)} bytes, not {self._blob.size}")
            return response.status == 200

    def _begin(self, mount_from: str = "") -> str:
        """Ask for a mount, or for an upload: return where it goes; empty if the blob was mounted."""
        if mount_from:
            query = f"?mount={self._blob.digest}&from={quote(mount_from, safe='/')}"
            try:
                return self._session.persist(lambda: self._post(query, mount_from))
            except RefusedError:  # who may not read there, or a registry that does not know mounts
                pass
        return self._session.persist(lambda: self._post("", ""))

    def _post(self, query: str, mount_from: str) -> str:
        url = self._session.url(f"blobs/uploads/{query}")
        expected = (201, 202) if mount_from else (202,)
        with self._session.once(
            "POST", url, what=self._what, body=b"", expected=expected, mount_from=mount_from
        ) as response:
            if response.status == 201:
                self._check(response)
                return ""
            return self._next(response, url)

    def _send(self, location: str) -> None:
        """Send the bytes, as often as it takes; what the registry has kept of them is not sent again."""
        offset = 0
        for cut in range(CUTS + 1):
            try:
                self._put(location, offset)
            except CutError as error:
                self._session.wait(error, cut, retries=CUTS)
            else:
                return
            if self.present():  # the answer was lost, not the blob
                return
            location, offset = self._resume(location)

    def _put(self, location: str, offset: int) -> None:
        joint = "&" if "?" in location else "?"
        size = self._blob.size - offset
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        if offset:
            headers["Content-Range"] = f"{offset}-{self._blob.size - 1}"
        lost = (404, 416) if offset else ()
        with self._session.once(
            "PUT",
            f"{location}{joint}digest={quote(self._blob.digest.value, safe='')}",
            what=self._what,
            headers=headers,
            body=self._bytes(offset) if size else b"",
            expected=(201, 204, *lost),
            patience_s=size / _STORE_RATE,
        ) as response:
            if response.status in lost:
                raise CutError("it does not go on where it broke off")
            self._check(response)

    def _resume(self, location: str) -> tuple[str, int]:
        """Ask what the registry has kept of an upload: return where to go on, and from which byte."""
        expected = (200, 202, 204)
        try:
            return self._session.persist(lambda: self._state(location, expected))
        except RefusedError:  # it has forgotten the upload, or will not hear of it again
            return self._begin(), 0

    def _state(self, location: str, expected: tuple[int, ...]) -> tuple[str, int]:
        with self._session.once("GET", location, what=self._what, expected=expected) as response:
            first, _, last = response.headers.get("Range", "").removeprefix("bytes=").partition("-")
            # `0-0` is what registries say of one byte and of none; the latter is the case.
            kept = int(last) + 1 if first == "0" and last.isdecimal() and last != "0" else 0
            again = self._next(response, location) if "Location" in response.headers else location
            return again, kept if kept <= self._blob.size else 0

    def _bytes(self, offset: int) -> Iterator[bytes]:
        """Yield the source from an offset; it must have the size that was announced, or the registry would wait."""
        self._tell(offset)
        place = offset
        for chunk in _read(self._source, offset):
            place += len(chunk)
            if place > self._blob.size:
                break
            yield chunk
            self._tell(place)
        if place != self._blob.size:
            raise _changed(self._what, self._blob.size)

    def _tell(self, place: int) -> None:
        if place != self._told:
            self._on_progress(place - self._told)
        self._told = place

    def _next(self, response: "BaseHTTPResponse", url: str) -> str:
        if not (location := response.headers.get("Location", "")):
            raise failures.bad_place(addresses.host(url), "with an upload that has no address")
        return addresses.next_address(response.url or url, location)

    def _check(self, response: "BaseHTTPResponse") -> None:
        kept = response.headers.get("Docker-Content-Digest", "")
        if kept and kept != self._blob.digest.value:
            raise failures.kept_otherwise(self._what, f"it answers with {kept[:100]}")


def _read(source: Source, offset: int) -> Iterator[bytes]:
    if isinstance(source, Path):
        yield from _read_file(source, offset)
        return
    for chunk in source():
        if len(chunk) > offset:
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))


def _read_file(path: Path, offset: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            while chunk := file.read(BLOCK):
                yield chunk
    except OSError as error:
        raise storage_error(error, path) from error


def _changed(what: str, size: int) -> StorageError:
    return StorageError(
        f"the source of {what} does not have the {size} bytes it had before",
        hint="something changes the files of the image while it is pushed; build it again",
        code="IB216",
    )
