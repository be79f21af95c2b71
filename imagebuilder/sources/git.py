"""Repositories of Git: a commit becomes a tar of its files, the same for everyone, whoever fetched it and how.

The program git fetches, with the user's own settings, so that credential helpers and keys work; what it checks out does
not count, since files are taken from the commit itself. No hook runs, and nothing of a repository is executed.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from buildpacks.api import Repository, Source
from imagebuilder.index import expand, without_credentials
from imagebuilder.sources.address import Address, parse
from layers import entry, scratch, tar, tree
from layers.blobs import BlobStore
from layers.entry import Entry, Stored
from layers.errors import BuildError, IntegrityError
from layers.expression import expression
from layers.values import dataclass, replace

_TEXTS = ("pyproject.toml", "setup.cfg", "setup.py")
_TEXT_MAX = 4 << 20
_SIZE_MAX = 4 << 30
_TIMEOUT_S = 900
_REMOTE = "imagebuilder"
_COMMIT = expression(r"[0-9a-f]{40}")
_SHORT = expression(r"[0-9a-f]{7,40}")
_LINK, _MODULE = "120000", "160000"
# Variables that would lead git to another repository; those that say how to reach one are the user's business.
_KEPT = (
    "GIT_SSH",
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSL_",
    "GIT_PROXY_",
)


@dataclass(frozen=True, slots=True)
class _Blob:
    """A file of a commit: its mode, name, size in bytes and path."""

    mode: str
    object: str
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Repositories:
    """Fetches commits into a store; `folder` is where scratch folders can be made."""

    store: BlobStore
    folder: Path
    environment: Mapping[str, str]
    offline: bool = False

    def fetch(self, address: str) -> Repository:
        """Fetch what `git+URL@REVISION#subdirectory=PATH` names now.

        Raises BuildError IB700 if offline, IB880 if it cannot be fetched, IB881 without git, IB884 for submodules, and
        what `address.parse` raises.
        """
        asked = parse(address)
        if self.offline:
            raise BuildError(
                f"{asked.shown} is not in the cache, and --offline was given",
                hint="run `imagebuilder lock` once without --offline",
                code="IB700",
            )
        with scratch.folder(self.folder) as made:
            clone = _Clone(made, asked, self.environment)
            commit = clone.fetch()
            entries = clone.entries(commit)
            texts = {each.path: clone.text(each) for each in entries if each.path in _TEXTS and each.size <= _TEXT_MAX}
            top = (replace(each, path=f"source/{each.path}") for each in entries)
            stored = self.store.write("application/x-tar", tar.chunks(tar.ordered(top)))
        pinned = replace(asked, revision=commit)
        return Repository(Source("git", pinned.name, stored.digest, stored.size, str(pinned)), texts)

    def bring(self, source: Source) -> None:
        """Fetch a pinned commit into the store; IntegrityError IB883 if its files are not those that were pinned."""
        found = self.fetch(source.locator).source
        if found.digest != source.digest:
            raise IntegrityError(
                f"{source.name} has not the files that were pinned",
                details=(f"expected {source.digest}", f"found    {found.digest}"),
                hint="the lock was changed by hand, or the commit was forged; find out before you pin again",
                code="IB883",
            )


@dataclass(frozen=True, slots=True)
class _Clone:
    """A repository with one commit, in a scratch folder."""

    made: Path
    asked: Address
    environment: Mapping[str, str]

    def fetch(self) -> str:
        """Fetch the commit alone where the server lets us, else all there is; return its name."""
        revision = self.asked.revision
        self._git("init", "--quiet", "--bare", "--template=", str(self._repository), at=self.made)
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance")
        try:
            self._git("fetch", *options, "--depth=1", _REMOTE, revision)
            name = "FETCH_HEAD"
        except BuildError:
            if not _SHORT.fullmatch(revision):
                raise
            self._git("fetch", *options, _REMOTE, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            name = revision
        commit = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
        if _COMMIT.fullmatch(revision) and commit != revision:
            raise _failed(self.asked, f"there is another commit, {commit}")
        return commit

    def entries(self, commit: str) -> tuple[Entry, ...]:
        """Return the files of a commit, or of the folder of it that is asked for."""
        every = {each.path: each for each in self._listed(commit)}
        top = f"{self.asked.folder}/" if self.asked.folder else ""
        wanted = [each for path, each in every.items() if path.startswith(top)]
        if not wanted:
            raise _failed(self.asked, f"it has no folder {self.asked.folder}")
        if modules := [each.path for each in wanted if each.mode == _MODULE]:
            raise BuildError(
                f"{self.asked.shown} has submodules: {', '.join(modules[:3])}",
                hint="name a released version of it: what is pinned is one commit, and submodules are others",
                code="IB884",
            )
        if sum(each.size for each in wanted) > _SIZE_MAX:
            raise _failed(self.asked, f"its files have more than {_SIZE_MAX} bytes")
        return tuple(self._entries(wanted, every, top))

    def text(self, file: Entry) -> str:
        """Return a text of the commit; what is no UTF-8 is replaced, and then says no name."""
        if not isinstance(file.content, Stored):
            return ""
        with file.content.file.open("rb") as spool:
            spool.seek(file.content.offset)
            return spool.read(file.size).decode("utf-8", "replace")

    def _entries(self, wanted: Sequence[_Blob], every: Mapping[str, _Blob], top: str) -> Iterator[Entry]:
        spool = self.made / "contents"
        offsets = self._contents(wanted, spool)
        with spool.open("rb") as contents:
            for each, offset in zip(wanted, offsets, strict=True):
                path = each.path.removeprefix(top)
                if each.mode != _LINK:
                    content = Stored(spool, offset, each.size) if each.size else b""
                    yield entry.file(path, content, executable=each.mode == "100755")
                    continue
                contents.seek(offset)
                target = contents.read(each.size).decode("utf-8", "surrogateescape")
                if not tree.leaves(path, target):
                    yield entry.symlink(path, target)
                # A link that leads out of the folder, and to a file of the commit, becomes that file.
                elif file := every.get(posixpath.normpath(posixpath.join(posixpath.dirname(each.path), target))):
                    yield entry.file(path, self._git("cat-file", "blob", file.object))

    def _listed(self, commit: str) -> Iterator[_Blob]:
        listed = self._git("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        for line in filter(None, listed.split(b"\0")):
            about, _, path = line.partition(b"\t")
            mode, _kind, name, size = about.decode().split()
            yield _Blob(mode, name, 0 if size == "-" else int(size), path.decode("utf-8", "surrogateescape"))

    def _contents(self, wanted: Sequence[_Blob], spool: Path) -> list[int]:
        """Write the contents one behind the other, each after a line about it and before a line feed."""
        self._git("cat-file", "--batch", told="".join(f"{each.object}\n" for each in wanted).encode(), into=spool)
        offsets, position = [], 0
        for each in wanted:
            position += len(f"{each.object} blob {each.size}\n")
            offsets.append(position)
            position += each.size + 1
        if spool.stat().st_size != position:
            raise _failed(self.asked, "git does not give the files that it lists")
        return offsets

    @property
    def _repository(self) -> Path:
        return self.made / "repository"

    def _git(self, *words: str, told: bytes = b"", into: Path | None = None, at: Path | None = None) -> bytes:
        import subprocess  # noqa: TID251 fetching is the work of git: it has the user's credentials

        command = [
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
            "--no-replace-objects",
            *words,
        ]
        try:
            with (into or Path("/dev/null")).open("wb") as file:
                ran = subprocess.run(
                    command,
                    cwd=at or self._repository,
                    env=self._environment(),
                    input=told,
                    stdout=file if into else subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
        except FileNotFoundError as error:
            raise BuildError(
                f"cannot fetch {self.asked.shown}: there is no program git",
                hint="install git, or name a released version of the package",
                code="IB881",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise _failed(self.asked, f"git took more than {_TIMEOUT_S} s") from error
        if ran.returncode:
            said = without_credentials(ran.stderr.decode("utf-8", "replace")).strip().splitlines()
            raise _failed(self.asked, f"git {words[0]} failed", tuple(said[-3:]))
        return ran.stdout or b""

    def _environment(self) -> dict[str, str]:
        """Return the user's variables, and the address, which may hold a secret that no argument is to show."""
        kept = {
            name: value
            for name, value in self.environment.items()
            if not name.startswith("GIT_") or name.startswith(_KEPT)
        }
        return kept | {
            "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
            "GIT_CEILING_DIRECTORIES": str(self.made.parent),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"remote.{_REMOTE}.url",
            "GIT_CONFIG_VALUE_0": expand(self.asked.url, self.environment),
            "GIT_SSH_COMMAND": self.environment.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }


def _failed(asked: Address, reason: str, details: tuple[str, ...] = ()) -> BuildError:
    return BuildError(
        f"cannot fetch {asked.shown}: {reason}",
        details=details,
        hint="check its address and revision, and that `git ls-remote` of it works here without asking for a password",
        code="IB880",
    )
