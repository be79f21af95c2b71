"""The registry client: manifests and blobs of one repository, each byte checked on its way in and out."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imagebuilder import documents
from imagebuilder.reference import Reference
from imagebuilder.registry import failures
from imagebuilder.registry.download import Download
from imagebuilder.registry.session import Session
from imagebuilder.registry.settings import RegistrySettings
from imagebuilder.registry.upload import Source, Upload, Uploaded
from layers.descriptor import INDEX, MANIFEST, Descriptor
from layers.digest import Digest
from layers.errors import IntegrityError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["Repository", "Source", "Uploaded", "open_repository"]

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_LIST_OF = {MANIFEST: "layers", DOCKER_MANIFEST: "layers", INDEX: "manifests", DOCKER_INDEX: "manifests"}
_ACCEPT = {"Accept": ", ".join(_LIST_OF)}
_LONGEST_MANIFEST = 4 << 20


def open_repository(reference: Reference, *, settings: RegistrySettings, push: bool = False) -> "Repository":
    """Open the repository of a reference; asks nothing yet. `push` asks for both rights with the first token."""
    return Repository(reference, settings=settings, push=push)


class Repository:
    """One repository of a registry. Safe to use from threads: connections and tokens are shared by them."""

    def __init__(self, reference: Reference, *, settings: RegistrySettings, push: bool) -> None:
        self.reference = reference
        self._session = Session(reference, settings=settings, push=push)
        self._absent: set[Digest] = set()  # blobs that were asked for, so that an upload need not ask again

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the connections."""
        self._session.transport.close()

    def head(self, tag: str | Digest) -> Descriptor | None:
        """Ask what a tag or a digest stands for; None if the registry does not have it."""
        return self._session.persist(lambda: self._head(tag))

    def _head(self, tag: str | Digest) -> Descriptor | None:
        url = self._session.url(f"manifests/{tag}")
        with self._session.once("HEAD", url, what=self._named(tag), headers=_ACCEPT, expected=(200, 404)) as response:
            if response.status == 404:
                return None
            found = response.headers.get("Docker-Content-Digest", "")
            size = response.headers.get("Content-Length", "")
            media_type = _content_type(response)
        if not found or not size.isdecimal() or media_type not in _LIST_OF:
            return self.manifest(tag)[0]  # the header is optional; the document has it
        return Descriptor(media_type, _same(Digest(found), tag, self._named(tag)), int(size))

    def manifest(self, tag: str | Digest) -> tuple[Descriptor, bytes]:
        """Return a manifest or an index and its exact bytes (at most 4 MiB), verified.

        The descriptor's media type is what Content-Type and the document itself agree on.
        """
        return self._session.persist(lambda: self._manifest(tag))

    def _manifest(self, tag: str | Digest) -> tuple[Descriptor, bytes]:
        what = self._named(tag)
        url = self._session.url(f"manifests/{tag}")
        with self._session.once("GET", url, what=what, headers=_ACCEPT) as response:
            content = self._session.transport.whole(response, url, limit=_LONGEST_MANIFEST)
            promised = response.headers.get("Docker-Content-Digest", "")
            media_type = _content_type(response)
        found = _same(Digest.of(content), tag, what)
        if promised and promised != found.value:
            raise failures.wrong_bytes(what, f"its bytes are {found}, not {promised[:100]}")
        _check_manifest(content, media_type, what)
        return Descriptor(media_type, found, len(content)), content

    def has_blob(self, blob: Descriptor) -> bool:
        """Say whether the repository has a blob, in its size."""
        return self._session.persist(lambda: self._has_blob(blob))

    def _has_blob(self, blob: Descriptor) -> bool:
        url = self._session.url(f"blobs/{blob.digest}")
        with self._session.once("HEAD", url, what=f"blob {blob.digest}", expected=(200, 404)) as response:
            if response.status == 404:
                self._absent.add(blob.digest)
                return False
            length = response.headers.get("Content-Length", "")
            return not length.isdecimal() or int(length) == blob.size

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Yield a blob; the last chunk comes only if the whole was what the descriptor promised.

        A broken connection is resumed where it broke. Addresses in the descriptor are not looked at.
        """
        return Download(self._session, descriptor).chunks()

    def push_blob(
        self,
        descriptor: Descriptor,
        source: Source,
        *,
        mount_from: str = "",
        on_progress: Callable[[int], object] = lambda _size: None,
    ) -> Uploaded:
        """Bring a blob into the repository unless it is there; `mount_from` is a repository that has it.

        It is not asked for if `has_blob` has just said that it is not there.
        `on_progress` is told how many bytes were sent; a negative number if some must be sent again.
        """
        absent = descriptor.digest in self._absent
        self._absent.discard(descriptor.digest)
        return Upload(self._session, descriptor, source, on_progress).run(mount_from, absent=absent)

    def push_manifest(self, descriptor: Descriptor, content: bytes, tag: str) -> None:
        """Put the exact bytes of a manifest or an index under a tag, or under its own digest if `tag` is empty."""
        if Digest.of(content) != descriptor.digest:
            raise failures.wrong_bytes(f"manifest {descriptor.digest}", "other bytes were given for it")
        kept = self._session.persist(lambda: self._put_manifest(descriptor, content, tag or str(descriptor.digest)))
        if not kept:
            found = self.head(tag or descriptor.digest)
            kept = str(found.digest) if found else "nothing"
        if kept != descriptor.digest.value:
            raise failures.kept_otherwise(f"manifest {descriptor.digest}", f"it has {kept[:100]}")

    def _put_manifest(self, descriptor: Descriptor, content: bytes, tag: str) -> str:
        with self._session.once(
            "PUT",
            self._session.url(f"manifests/{tag}"),
            what=self._named(tag),
            headers={"Content-Type": descriptor.media_type},
            body=content,
            expected=(200, 201, 202, 204),
        ) as response:
            return response.headers.get("Docker-Content-Digest", "")

    def _named(self, tag: str | Digest) -> str:
        return f"{self.reference.name}{'@' if ':' in str(tag) else ':'}{tag}"


def _content_type(response: "BaseHTTPResponse") -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip()


def _same(found: Digest, tag: str | Digest, what: str) -> Digest:
    if ":" in str(tag) and found.value != str(tag):
        raise failures.wrong_bytes(what, f"its bytes are {found}")
    return found


def _check_manifest(content: bytes, media_type: str, what: str) -> None:
    """Let a document pass only as what it is served as (CVE-2021-41190)."""
    if media_type not in _LIST_OF:
        raise failures.not_a_manifest(what, f"its type is {media_type[:100]!r}")
    try:
        fields = documents.parse(content, "it").fields
    except IntegrityError as error:
        raise failures.not_a_manifest(what, error.message) from error
    if (own := fields.get("mediaType", media_type)) != media_type:
        raise failures.not_a_manifest(what, f"it calls itself {str(own)[:100]!r} and is served as {media_type!r}")
    lists = [name for name in ("layers", "manifests", "fsLayers") if name in fields]
    if lists != [_LIST_OF[media_type]]:
        raise failures.not_a_manifest(what, f"{media_type!r} cannot have {' and '.join(lists) or 'no layers'}")
