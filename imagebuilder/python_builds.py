"""Standalone builds of CPython: which there are for a target, and where their archives can be had.

What there is says the catalogue in the package pbs-installer, or the list that uv is given instead of its own. Archives
are found on a mirror by their place in the project's releases, and the hash decides.
"""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, unquote

from buildpacks import selection, standalone
from buildpacks.api import Interpreter, Source, Target
from imagebuilder import documents
from imagebuilder.documents import Document
from layers.digest import Digest
from layers.errors import IntegrityError
from layers.values import dataclass

_RELEASES = "https://github.com/astral-sh/python-build-standalone/releases/download"
_CATALOGUE = "versions.json"
_LIST_MAX = 64 << 20
_OLDEST = (3, 9)
# What the builds are linked against.
_GLIBC = (2, 17)
_KINDS = ("install_only_stripped.tar.gz", "install_only.tar.gz")


@dataclass(frozen=True, slots=True)
class PythonBuilds:
    """Where archives are, and the list of them: an address or a path, empty for the catalogue that comes with us."""

    download: Callable[[str, int], bytes]
    mirror: str = _RELEASES
    listed: str = ""

    def interpreters(self, target: Target) -> tuple[Interpreter, ...]:
        """Return what runs on a target, the newest first. Raises IntegrityError IB891 if the list cannot be read."""
        if target.glibc < _GLIBC:
            return ()
        machine = selection.MACHINES[target.platform.architecture]
        try:
            found = list(_in_uv_list(self._list(), machine) if self.listed else _in_catalogue(machine))
            fitting = [each for each in found if each.release >= _OLDEST and each.name.endswith(_KINDS)]
            return tuple(each.interpreter for each in sorted(fitting, key=lambda each: each.order, reverse=True))
        except IntegrityError as error:
            raise IntegrityError(
                f"cannot read the list of standalone Pythons {self.listed or _CATALOGUE}: {error.message}",
                hint="correct what UV_PYTHON_DOWNLOADS_JSON_URL names, or install pbs-installer again",
                code="IB891",
            ) from error

    def candidates(self, source: Source) -> tuple[str, ...]:
        """Return the addresses of an archive: as uv asks for it, then as pbs-installer does."""
        encode = quote if "://" in self.mirror else str
        return tuple(f"{self.mirror}/{encode(path)}" for path in (source.locator, source.name))

    def _list(self) -> Document:
        return documents.parse(self.download(self.listed, _LIST_MAX), "list")


def find(mirror: str, environment: Mapping[str, str], download: Callable[[str, int], bytes]) -> PythonBuilds:
    """Take the mirror that is configured, or the one for uv or pbs-installer, and the list for uv."""
    given = mirror or environment.get("UV_PYTHON_INSTALL_MIRROR") or environment.get("PBS_INSTALLER_BASE_URL")
    return PythonBuilds(download, (given or _RELEASES).rstrip("/"), environment.get("UV_PYTHON_DOWNLOADS_JSON_URL", ""))


@dataclass(frozen=True, slots=True)
class _Build:
    """A build as a list has it; `suffix` marks a pre-release (`rc1`)."""

    release: tuple[int, int, int]
    suffix: str
    url: str
    sha256: str

    @property
    def name(self) -> str:
        return unquote(self.url.rpartition("/")[2])

    @property
    def order(self) -> tuple[tuple[int, int, int], bool, str]:
        return self.release, not self.suffix, self.suffix

    @property
    def interpreter(self) -> Interpreter:
        major, minor, micro = self.release
        published = self.url.removeprefix(f"{_RELEASES}/")
        if published == self.url:
            origin, archive = "standalone", Source("url", self.name, self._digest, None, self.url)
        else:
            origin = f"python-build-standalone {published.partition('/')[0]}"
            archive = Source("python", self.name, self._digest, None, unquote(published))
        return Interpreter(
            f"{major}.{minor}.{micro}{self.suffix}",
            f"/{standalone.PREFIX}/bin/python{major}.{minor}",
            origin,
            archive=archive,
        )

    @property
    def _digest(self) -> Digest:
        return Digest(f"sha256:{self.sha256}")


def _in_catalogue(machine: str) -> Iterator[_Build]:
    """Read the catalogue as data: its package's own functions look at the environment, and would download."""
    from importlib import resources  # only pinning asks what there is

    try:
        content = resources.files("pbs_installer").joinpath(_CATALOGUE).read_bytes()
    except OSError as error:
        raise IntegrityError(str(error), hint="", code="IB891") from error
    for each in documents.parse_list(content, "catalogue"):
        version = each.child("python_version")
        if version.text("implementation") != "cpython" or version.fields.get("freethreaded"):
            continue
        release = (version.number("major"), version.number("minor"), version.number("micro"))
        for file in each.children("files"):
            wanted = file.text("platform") == "linux" and file.text("arch") == machine
            # Old builds were published without hashes.
            if wanted and file.fields.get("install_only") and file.fields.get("sha256"):
                yield _Build(release, "", file.text("url"), file.text("sha256"))


def _in_uv_list(listed: Document, machine: str) -> Iterator[_Build]:
    """Read a list as uv has it: an object for each build, by a name that says the same again."""
    for key in listed.fields:
        each = listed.child(key)
        architecture = each.child("arch", {})
        wanted = (each.text("name", ""), each.text("os", ""), each.text("libc", ""), architecture.text("family", ""))
        variant = architecture.text("variant", "") or each.text("variant", "")
        if wanted == ("cpython", "linux", "gnu", machine) and not variant and each.fields.get("sha256"):
            release = (each.number("major"), each.number("minor"), each.number("patch"))
            yield _Build(release, each.text("prerelease", ""), each.text("url"), each.text("sha256"))
