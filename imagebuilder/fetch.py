"""Downloads: files known by their hash, from wherever they are, into the store.

A lock holds no addresses: a wheel is looked for on every configured index, a Debian package on every mirror and in
the snapshot archive. Which of them answered cannot matter, because the hash decides.
"""

import functools
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from buildpacks.api import Files, Source
from imagebuilder import uv_program
from imagebuilder.addresses import Credentials, credentials_of, host, local_path, origin
from imagebuilder.index import IndexSettings, Place, expand
from imagebuilder.web import Web
from layers.blobs import BlobStore
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, RefusedError, StorageError, TransientError
from layers.values import dataclass, field

if TYPE_CHECKING:
    from imagebuilder.simple import IndexFile

_PAGE_LIMIT = 64 << 20
_FILE_LIMIT = 16 << 30
Progress = Callable[[Source, int], None]
# Is told, from any thread, of files that are there, whole.
Arrived = Callable[[Files], object]


@dataclass(frozen=True, slots=True)
class Downloader:
    """How files are asked for. `locate` gives the addresses of what is in no index: `deb`, `python`, `conda`, `git`.

    `bring` fetches a commit. `bound` names by project the index that it comes from, and from nowhere else.
    """

    index: IndexSettings = field(default_factory=IndexSettings)
    offline: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    locate: Callable[[Source], tuple[str, ...]] = lambda _source: ()
    bring: Callable[[Source], None] = lambda _source: None
    backoff_s: float = 0.5
    bound: Mapping[str, str] = field(default_factory=dict)

    def get(self, url: str, limit: int) -> bytes:
        """Return a document of at most `limit` bytes.

        Raises BuildError IB703 if there is none at this address, and what `web.Web.read` raises.
        """
        with self.web() as web:
            return web.get(url, limit=limit)

    def fetch_all(
        self,
        sources: Sequence[Source],
        store: BlobStore,
        *,
        workers: int = 8,
        on_progress: Progress = lambda _source, _size: None,
        arrived: Arrived = lambda _files: None,
    ) -> Files:
        """Bring files into the store, in parallel, and return where they are; what is there already is hashed again.

        `on_progress` is called from several threads with the number of bytes that arrived. Raises BuildError IB700
        naming every file that is missing if offline, IB703 if nobody has a file, IntegrityError IB704 if a file
        has other bytes everywhere, and what `web.Web.read` raises.
        """
        files = {source.digest: store.path(source.digest) for source in sources}
        wanted = {source.digest: source for source in sources}
        with ThreadPoolExecutor(max(1, workers)) as pool:
            whole = dict(zip(wanted, pool.map(functools.partial(_is_whole, store), wanted), strict=True))
            arrived({digest: path for digest, path in files.items() if whole[digest]})
            missing = [source for digest, source in wanted.items() if not whole[digest]]
            missing.sort(key=lambda source: -(source.size or 0))  # what is made of the largest takes longest
            if missing:

                def bring(web: Web, source: Source) -> bool:
                    there = self._bring(web, source, store, on_progress)
                    arrived({source.digest: files[source.digest]} if there else {})
                    return there

                self._fetch_missing(missing, bring, pool)
        return files

    def keep(self, address: str, store: BlobStore) -> Source:
        """Bring what is at an address into the store, and name it by its hash. Raises what `web.Web.read` raises."""
        url = expand(address, self.environment)
        with self.web() as web, store.writer() as blob:
            web.read(url, blob.write, limit=_FILE_LIMIT)
        return Source("url", unquote(posixpath.basename(urlsplit(address).path)), blob.digest, blob.size, address)

    def files(self, project: str) -> tuple["IndexFile", ...]:
        """List what the indexes and pages of links offer for a project; those that cannot be asked offer nothing."""
        found: list[IndexFile] = []
        with self.web() as web:
            for place, is_index in self._places(self.bound.get(project, "")):
                try:
                    found += _listed(web, place, project if is_index else "")
                except BuildError:
                    continue
        return tuple(found)

    def web(self) -> Web:
        """Open a session with the credentials and certificates of the settings."""
        places = (*self.index.indexes, *self.index.find_links, *self.index.named.values())
        given = {origin(place.url): self._credentials(place.url) for place in reversed(places)}
        return Web(
            {place: credentials for place, credentials in given.items() if credentials},
            certificate=self.index.certificate,
            trusted_hosts=self.index.trusted_hosts,
            environment=self.environment,
            offline=self.offline,
            backoff_s=self.backoff_s,
        )

    def _credentials(self, url: str) -> Credentials | None:
        found = credentials_of(url)
        if not found or found[1] or not self.index.keyring:
            return found
        from imagebuilder import keyring  # few are configured so

        return found[0], keyring.password(url, found[0], self.environment)

    def _fetch_missing(
        self, missing: Sequence[Source], bring: Callable[[Web, Source], bool], pool: ThreadPoolExecutor
    ) -> None:
        with self.web() as web:
            running = [pool.submit(bring, web, one) for one in missing]
            try:
                absent = [source for source, one in zip(missing, running, strict=True) if not one.result()]
            except BaseException:
                web.cancel()
                pool.shutdown(cancel_futures=True)
                raise
        if absent:
            raise _not_in_cache(absent)

    def _bring(self, web: Web, source: Source, store: BlobStore, on_progress: Progress) -> bool:
        """Bring one file or commit into the store; say False if it is not here and we are offline."""
        if source.kind != "git":
            return self._fetch(web, source, store, on_progress)
        if not self.offline:
            self.bring(source)
        return not self.offline

    def _fetch(self, web: Web, source: Source, store: BlobStore, on_progress: Progress) -> bool:
        """Bring one file into the store; say False if it is not here and we are offline."""
        failures: list[BuildError] = []
        for url in self._addresses(web, source, failures):
            try:
                _download(web, source, store, url=url, on_progress=on_progress)
            except StorageError:
                raise
            except BuildError as error:
                failures.append(error)
            else:
                return True
        # The most telling failure: that one place has no such file says less than that another refused us.
        for kind in (IntegrityError, RefusedError, TransientError):
            for failure in failures:
                if isinstance(failure, kind):
                    raise failure
        if self.offline:
            return False
        raise failures[0] if source.kind == "url" else self._nowhere(source)

    def _addresses(self, web: Web, source: Source, failures: list[BuildError]) -> Iterator[str]:
        match source.kind:
            case "url":
                yield expand(source.locator, self.environment)
            case "layer":
                pass  # registries are asked for those, by imagebuilder.base.image
            case "deb" | "python" | "conda" | "git":
                yield from self.locate(source)
            case "wheel" | "sdist":
                for place, is_index in self._places(source.index):
                    try:
                        yield from _offers(web, place, source, is_index=is_index)
                    except BuildError as error:
                        failures.append(error)

    def _places(self, index: str = "") -> Iterator[tuple[Place, bool]]:
        """Yield where wheels may be, and whether it is an index (a page for each project) or a page of links.

        What comes from one index alone is nowhere else; others are not even asked, they need not know its name.
        """
        if index and not self.index.none:
            yield self.index.place(index), True
            return
        yield from ((place, False) for place in self.index.find_links)
        yield from ((place, True) for place in self.index.indexes)
        if self.index.public and not self.offline:
            yield Place(uv_program.default_index(), "uv's default"), True

    def _nowhere(self, source: Source) -> BuildError:
        asked = {"deb": "no mirror", "python": "no mirror", "conda": "no channel"}.get(source.kind, "no index")
        places = ", ".join(dict.fromkeys(str(place) for place, _ in self._places(source.index)))
        return BuildError(
            f"{source.name} is on {asked} that was asked",
            details=() if source.kind in ("deb", "conda") else (f"asked {places}",),
            hint="configure a place that has it, or pin again with `imagebuilder lock --upgrade`",
            code="IB703",
        )


def _download(web: Web, source: Source, store: BlobStore, *, url: str, on_progress: Progress) -> None:
    received = 0
    try:
        # Not durable: what is there is hashed before it is used, and fetched again if it is damaged.
        with store.writer(source.digest, source.size, durable=False) as blob:

            def sink(chunk: bytes) -> None:
                nonlocal received
                blob.write(chunk)
                received += len(chunk)
                on_progress(source, len(chunk))

            web.read(url, sink, limit=_FILE_LIMIT if source.size is None else source.size)
    except IntegrityError as error:
        on_progress(source, -received)
        raise _wrong_bytes(source, host(url), (error.message, *error.details)) from error
    except BuildError:
        on_progress(source, -received)
        raise


def _offers(web: Web, place: Place, source: Source, *, is_index: bool) -> list[str]:
    """Return the addresses in a place that may be the file: those with its hash, or with its name and no hash."""
    listed = _listed(web, place, source.locator if is_index else "")
    fitting = [file.url for file in listed if file.sha256 == source.digest.hex]
    fitting += [file.url for file in listed if file.name == source.name and not file.sha256]
    if not fitting and (others := [file.sha256 for file in listed if file.name == source.name]):
        raise _wrong_bytes(source, str(place), (f"expected {source.digest}", f"offered  sha256:{others[0]}"))
    return fitting


def _listed(web: Web, place: Place, project: str) -> tuple["IndexFile", ...]:
    """Read a folder, a page of links, or the page of a project; an unknown project has no files."""
    from imagebuilder import simple  # a build that downloads nothing reads no pages

    address = f"{place.url.rstrip('/')}/{project}/" if project else place.url
    folder = local_path(address)
    if folder and folder.is_dir():
        if not project:
            found = (path for kind in ("*.whl", "*.tar.gz", "*.zip") for path in folder.glob(kind))
            return tuple(simple.IndexFile(path.name, str(path)) for path in sorted(found))
        address = (folder / "index.html").as_uri()
    try:
        page = web.get(address, limit=_PAGE_LIMIT, accept=simple.ACCEPT)
        return simple.parse(page, address)
    except ValueError as error:
        raise IntegrityError(
            f"cannot read what {place} says about {project or 'its files'}: {error}",
            hint="check the address of the index",
            code="IB707",
        ) from error
    except BuildError as error:
        if error.code == "IB703":
            return ()
        raise


def _is_whole(store: BlobStore, digest: Digest) -> bool:
    """Say whether a file is in the store, undamaged; a damaged one is fetched again and replaced."""
    if not store.has(digest):
        return False
    try:
        store.verify(digest)
    except IntegrityError:
        return False
    return True


def _wrong_bytes(source: Source, place: str, details: tuple[str, ...]) -> IntegrityError:
    return IntegrityError(
        f"{source.name} from {place} is not the file that was pinned",
        details=details[:2],
        hint="find out why it changed; to accept it, pin again with `imagebuilder lock --upgrade`",
        code="IB704",
    )


def _not_in_cache(sources: Sequence[Source]) -> BuildError:
    names = ", ".join(sorted(source.name for source in sources))
    return BuildError(
        f"{len(sources)} files are not in the cache, and --offline was given",
        details=(f"missing: {names}",),
        hint="run once without --offline, or name a folder that has them in PIP_FIND_LINKS",
        code="IB700",
    )
