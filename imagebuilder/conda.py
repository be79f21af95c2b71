"""Conda channels: where they are, and which of their packages meet what is asked for, by py-rattler.

What channels offer is fetched by our own downloader, so that credentials, proxies and --offline count as everywhere;
rattler only solves. Of the host nothing counts: the virtual packages are those of the image.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from buildpacks import conda_files
from buildpacks.api import App, Source, Target
from buildpacks.conda_files import Named, channel_name
from buildpacks.pinned import PinnedConda
from layers import scratch, unzstd
from layers.descriptor import Platform
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, UsageError
from layers.values import dataclass, field

if TYPE_CHECKING:
    from rattler import GenericVirtualPackage, RepoDataRecord, SparseRepoData

# conda-forge has some 400 MB of JSON for an architecture.
_REPODATA_MAX = 2 << 30
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What nobody can know of a kernel that will run the image: that of the oldest Debian with support.
_KERNEL = "5.10"
_ARCHSPECS = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Channels:
    """Where channels are: those given by name below `alias`, others at their address, or in the application's folder.

    Variables in addresses (`${TOKEN}`) come from the environment, as conda has it.
    """

    app: App
    alias: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def address(self, channel: str) -> str:
        """Return the address or path of a channel; UsageError IB916 if it is not protected by TLS."""
        from imagebuilder.index import expand  # a build whose files are in the cache asks for no address

        address = expand(channel, self.environment).rstrip("/")
        if conda_files.is_local(channel):
            return address if address.startswith("file:") else str(self.app.root / address)
        if "://" not in address:
            address = f"{self._alias()}/{address}"
        parts = urlsplit(address)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise UsageError(
                f"the channel {channel_name(channel)} at {parts.hostname} is not protected by TLS",
                hint="use an address with https",
                code="IB916",
            )
        return address

    def candidates(self, source: Source, platform: Platform) -> tuple[str, ...]:
        """Return the addresses that may have a package: where the application says its channel is, then by its name."""
        channel, subdir, name = source.locator.rsplit("/", 2)
        named = [each for each in conda_files.channels(self.app, platform) if channel_name(each) == channel]
        # Without an alias it takes rattler to know where channels are.
        places = (*named, channel) if self._given or not named else named
        return tuple(dict.fromkeys(f"{self.address(each)}/{subdir}/{name}" for each in places))

    @property
    def _given(self) -> str:
        return (self.alias or self.environment.get("CONDA_CHANNEL_ALIAS", "")).rstrip("/")

    def _alias(self) -> str:
        if self._given:
            return self._given
        _import_rattler()
        from rattler import Channel, ChannelConfig  # who gives an alias can do without it

        return Channel("x", ChannelConfig()).base_url.rstrip("/").removesuffix("/x")


@dataclass(frozen=True, slots=True)
class RattlerSolver:
    """Solves with rattler; implements buildpacks.services.CondaSolver. `folder` is for what channels offer."""

    channels: Channels
    download: Callable[[str, int], bytes]
    folder: Path

    def solve(
        self,
        specs: Sequence[str],
        channels: Sequence[str],
        *,
        target: Target,
        previous: tuple[PinnedConda, ...],
    ) -> tuple[PinnedConda, ...]:
        """Choose packages for all specs, sorted by name; of several channels the first that has a package counts.

        Raises UsageError IB912 for a spec that cannot be understood, BuildError IB910 without rattler, IB913 if there
        is no solution, IntegrityError IB914 for a package without sha256, IB916 for a channel that cannot be read.
        """
        _import_rattler()
        import asyncio  # only what is not locked is solved

        import rattler
        from rattler.exceptions import InvalidMatchSpecError, SolverError

        try:
            wanted = [rattler.MatchSpec(spec) for spec in specs]
        except InvalidMatchSpecError as error:
            raise UsageError(
                f"cannot understand a conda package: {str(error)[:200]}",
                hint="write it like `numpy >=2,<3`",
                code="IB912",
            ) from error
        subdirs = (conda_files.SUBDIRS[target.platform.architecture], "noarch")
        with scratch.folder(self.folder) as folder:
            repodata = [
                each
                for number, channel in enumerate(channels)
                for each in self._load_all(channel, subdirs, folder / str(number))
            ]
            try:
                found = asyncio.run(
                    rattler.solve_with_sparse_repodata(
                        wanted,
                        repodata,
                        locked_packages=_still_there(previous, repodata),
                        virtual_packages=_virtual_packages(target),
                    )
                )
            except SolverError as error:
                raise _no_solution(str(error)) from error
            finally:
                for each in repodata:
                    each.close()
        return tuple(sorted(map(_pinned, found), key=lambda package: package.name))

    def find(self, packages: Sequence[Named]) -> tuple[PinnedConda, ...]:
        """Return what channels say of packages; IntegrityError IB914 if one is not there, or is another by its MD5."""
        if not packages:
            return ()
        _import_rattler()
        found = []
        with scratch.folder(self.folder) as folder:
            offers = dict.fromkeys((each.channel, each.subdir) for each in packages)
            for number, (channel, subdir) in enumerate(offers):
                with self._load(channel, subdir, folder / f"{number}.json") as repodata:
                    here = [each for each in packages if (each.channel, each.subdir) == (channel, subdir)]
                    found += [_find(each, repodata) for each in here]
        return tuple(found)

    def _load_all(self, channel: str, subdirs: Sequence[str], folder: Path) -> "list[SparseRepoData]":
        """Return what a channel has; it need not have anything for one of the architectures."""
        folder.mkdir()
        found, missing = [], []
        for subdir in subdirs:
            try:
                found.append(self._load(channel, subdir, folder / f"{subdir}.json"))
            except BuildError as error:
                if error.code != "IB703":
                    raise
                missing.append(error)
        if not found:
            raise missing[0]
        return found

    def _load(self, channel: str, subdir: str, path: Path) -> "SparseRepoData":
        import rattler  # see above

        name = channel_name(channel)
        address = f"{self.channels.address(channel)}/{subdir}/repodata.json"
        size = 0
        with path.open("wb") as file:
            for chunk in self._fetch(address):
                size += file.write(chunk)
                if size > _REPODATA_MAX:
                    raise _unreadable(name, f"it has more than {_REPODATA_MAX} bytes")
        try:
            return rattler.SparseRepoData(rattler.Channel(name), subdir, path)
        except (OSError, ValueError) as error:
            raise _unreadable(name, str(error)) from error

    def _fetch(self, address: str) -> Iterator[bytes]:
        """Yield what a channel says it has; most have it compressed as well."""
        try:
            compressed = self.download(f"{address}.zst", _REPODATA_MAX)
        except BuildError as error:
            if error.code != "IB703":
                raise
            yield self.download(address, _REPODATA_MAX)
        else:
            yield from unzstd.plain([compressed])


def _import_rattler() -> None:
    try:
        import rattler  # noqa: F401 it is an extra: who has no conda environment needs none of its 80 MB
    except ImportError as error:
        raise BuildError(
            "cannot choose conda packages: py-rattler is not installed",
            hint="install `imagebuilder[conda]`",
            code="IB910",
        ) from error


def _virtual_packages(target: Target) -> "list[GenericVirtualPackage]":
    """Say what the image has that no package brings (conda's documentation, "Managing virtual packages")."""
    from rattler import GenericVirtualPackage, PackageName, Version
    from rattler.package import BuildString

    major, minor = target.glibc
    return [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, version, build in (
            ("__unix", "0", "0"),
            ("__linux", _KERNEL, "0"),
            ("__glibc", f"{major}.{minor}", "0"),
            ("__archspec", "1", _ARCHSPECS[target.platform.architecture]),
        )
    ]


def _still_there(previous: Sequence[PinnedConda], repodata: "Sequence[SparseRepoData]") -> "list[RepoDataRecord]":
    """Return the records of what was pinned before, as far as channels still have it: it is kept where it fits."""
    known = {package.source.digest.hex for package in previous}
    names = sorted({package.name for package in previous})
    records = [record for each in repodata for name in names for record in each.load_records(name)]
    return [record for record in records if record.sha256 and record.sha256.hex() in known]


def _find(named: Named, repodata: "SparseRepoData") -> PinnedConda:
    name = named.file.rsplit("-", 2)[0]
    for record in repodata.load_records(name):
        if record.file_name == named.file:
            if named.md5 and record.md5 != bytes.fromhex(named.md5):
                raise _no_hash(named.file, "its MD5 is not that of the channel's")
            return _pinned(record)
    raise _no_hash(named.file, f"the channel {channel_name(named.channel)} does not have it")


def _pinned(record: "RepoDataRecord") -> PinnedConda:
    if record.sha256 is None:
        raise _no_hash(record.file_name, "its channel gives no sha256")
    channel, subdir, _ = record.url.rsplit("/", 2)
    locator = f"{channel_name(channel)}/{subdir}/{record.file_name}"
    source = Source("conda", record.file_name, Digest(f"sha256:{record.sha256.hex()}"), record.size, locator)
    return PinnedConda(record.name.normalized, str(record.version), str(record.build), source)


def _no_hash(file: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"cannot pin {file}: {why}",
        hint="use a channel that gives sha256 hashes, or write the sha256 into the lock",
        code="IB914",
    )


def _no_solution(explained: str) -> BuildError:
    lines = [line.strip() for line in explained.splitlines() if line.strip()]
    return BuildError(
        "no conda packages fit together",
        details=tuple(lines[:2]),
        hint="loosen the versions that are named, or add a channel that has the packages",
        code="IB913",
    )


def _unreadable(channel: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"cannot read what the channel {channel} offers: {why[:200]}",
        hint="check the address of the channel",
        code="IB916",
    )
