"""Index settings: where wheels are looked for, from pip's and uv's configuration and environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from buildpacks.api import App


@dataclass(frozen=True, slots=True)
class Place:
    """An index or a find-links location. `url` may hold credentials and is never shown; `str()` leaves them out."""

    url: str = field(repr=False)
    origin: str


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where wheels are looked for.

    `public` says that no default index was configured, so uv's own default is asked after `indexes`. `best_match`
    takes the best version of all indexes, as pip does; otherwise the first index that knows a project decides, as
    uv does.
    """

    indexes: tuple[Place, ...] = ()
    find_links: tuple[Place, ...] = ()
    no_index: bool = False
    public: bool = True
    best_match: bool = False
    trusted_hosts: tuple[str, ...] = ()
    certificate: str = ""


def load(app: App, environment: Mapping[str, str], *, home: Path, prefix: Path) -> IndexSettings:
    """Read the settings of requirement files, environment, project, user and system, in this order."""
    raise NotImplementedError
