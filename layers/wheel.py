"""Wheels as entries: what an installer would write, straight from the archive (PyPA binary distribution format)."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from layers.entry import Entry


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on disk whose archive, metadata and RECORD were checked. `name` is normalised; `version` is verbatim."""

    path: Path
    name: str
    version: str
    dist_info: str
    tags: tuple[str, ...]
    root_is_purelib: bool


@dataclass(frozen=True, slots=True)
class Scheme:
    """Where a wheel goes in the image: a virtual environment at `prefix`, for `series` (`3.13`), run by `python`."""

    prefix: str = "layers/site-packages"
    series: str = "3.13"
    python: str = "/layers/site-packages/bin/python"

    @property
    def site_packages(self) -> str:
        """The folder of importable packages."""
        return f"{self.prefix}/lib/python{self.series}/site-packages"


def read_wheel(path: Path) -> Wheel:
    """Check a wheel and return what it is. The name of the file does not matter, so it may be a blob of the store."""
    raise NotImplementedError


def wheel_entries(wheel: Wheel, scheme: Scheme) -> tuple[Entry, ...]:
    """Return what pip would install, without bytecode and installer state; contents are read and checked later."""
    raise NotImplementedError


def merge(installed: Iterable[tuple[str, Iterable[Entry]]]) -> tuple[Entry, ...]:
    """Merge what several named wheels (or other sources) install; equal files are kept once.

    Raises IntegrityError IB512, naming both and the path, if two bring different bytes for one path. It reads no
    archive but for hashes of different kinds, so it is also the check across layers: merge all and drop the result.
    """
    raise NotImplementedError
