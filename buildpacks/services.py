"""What buildpacks are given that works for them: it asks the network, or runs commands, which they never do."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from layers.canonical import Json
from layers.entry import Entry

if TYPE_CHECKING:  # those modules hand on what is defined here
    from buildpacks.api import (
        App,
        Circumstances,
        Files,
        LayerSpec,
        PinnedWheel,
        Repository,
        Source,
        Target,
    )
    from buildpacks.conda_files import Named
    from buildpacks.pinned import PinnedConda
    from layers.listing import Listing


class Resolver(Protocol):
    """Turns requirements into a PEP 751 document (`pylock.toml` as nested mappings) for one interpreter and target."""

    def resolve(self, app: "App", requirements: tuple[str, ...], circumstances: "Circumstances") -> Mapping[str, Json]:
        """Resolve requirement files (paths in the application)."""

    def resolve_text(self, text: str, circumstances: "Circumstances", *, dependencies: bool) -> Mapping[str, Json]:
        """Resolve the text of a requirement file; without `dependencies` what it names is all there is."""

    def repository(self, address: str) -> "Repository":
        """Fetch `git+URL@REVISION#subdirectory=PATH`, and name the commit that the revision is now."""

    def archive(self, address: str) -> "Source":
        """Fetch a source distribution at an address, and say by its hash what is there now."""

    def export_uv(
        self, files: Mapping[str, str], *, extras: Sequence[str], groups: Sequence[str]
    ) -> Mapping[str, Json]:
        """Return what a uv.lock holds, without the project: `files` are the lock and every pyproject.toml by path."""


class CondaSolver(Protocol):
    """Knows what channels offer. Channels are given as they are written: by name, address or folder."""

    def solve(
        self,
        specs: Sequence[str],
        channels: Sequence[str],
        *,
        target: "Target",
        previous: "tuple[PinnedConda, ...]",
    ) -> "tuple[PinnedConda, ...]":
        """Choose packages that meet all specs (conda's MatchSpec). Those of `previous` are kept where they fit."""

    def find(self, packages: "Sequence[Named]") -> "tuple[PinnedConda, ...]":
        """Return what channels say of packages that a lock names by file, and by MD5 at most."""


class WheelBuilder(Protocol):
    """Builds wheels from source, once for each recipe."""

    def recipe(self, wheel: "PinnedWheel") -> Mapping[str, Json]:
        """Name everything that the bytes of a built wheel depend on: equal recipes, equal contents."""

    def build(self, wheel: "PinnedWheel", files: "Files") -> Path:
        """Return a wheel built of `wheel.sources`, which are among the files. Safe to be called from threads."""


class Listings(Protocol):
    """Keeps from build to build what wheels install; the key names all that decides it."""

    def find_listing(self, key: Mapping[str, Json]) -> "Listing | None":
        """Return what was kept, or None."""

    def remember_listing(self, key: Mapping[str, Json], listing: "Listing") -> None:
        """Keep a listing; safe to be called from threads."""


class Compiler(Protocol):
    """Compiles modules with the interpreter that will run them."""

    def recipe(self) -> Mapping[str, Json]:
        """Name all that the bytecode of a module depends on, beside the module and its path."""

    def standard_library(self) -> "LayerSpec":
        """Describe the layer with the bytecode of the interpreter's own modules."""

    def modules(self, entries: Iterable[Entry], folder: str) -> Iterable[Entry]:
        """Return the bytecode of those entries that are modules below a folder; safe to be called from threads."""


class Installer(Protocol):
    """Installs wheels as a package manager does it, all of an environment at once."""

    @property
    def sources(self) -> "tuple[Source, ...]":
        """The files it needs beside the wheels."""

    def recipe(self) -> Mapping[str, Json]:
        """Name everything that what it installs depends on: equal recipes, equal contents."""

    def install(self, files: "Files") -> "Mapping[str, tuple[Entry, ...]]":
        """Return what it installs of the files, by project; the rest is left to us. Safe to be called from threads."""
