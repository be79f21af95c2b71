"""The request: everything a build may depend on, as one value."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from buildpacks.api import App, Setting
from layers.descriptor import Platform
from layers.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Output:
    """Where an image goes: `oci:DIR[:name]`, `archive:FILE` or `docker:NAME` / `podman:NAME` (to be loaded)."""

    type: Literal["oci", "archive", "docker", "podman"]
    target: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.type}:{self.target}" + (f":{self.name}" if self.name else "")


@dataclass(frozen=True)
class BuildRequest:
    """What the command line, the environment and the configuration files asked for, resolved by precedence.

    What changes the bytes of the image stands first; the rest decides only how and where. `created` is RFC 3339 in
    UTC. `title` is the name that the user or the project gave, empty if there is none: `name` may then come from the
    folder, and must not be in the image. `native`: package managers install, and not we. `environment` is the process
    environment: index settings are taken from its PIP_* and UV_* variables.
    """

    source: Path
    name: str
    platform: Platform
    title: str = ""
    base: str = "debian:trixie"
    packages: tuple[str, ...] = ()
    build_packages: tuple[str, ...] = ()
    native: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)
    processes: Mapping[str, Setting] = field(default_factory=dict)
    buildpacks: tuple[str, ...] = ()
    own_buildpack: Setting | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    created: str = "1980-01-01T00:00:01Z"
    bytecode: bool = False
    collectstatic: str = ""
    collectstatic_env: Mapping[str, str] = field(default_factory=dict)
    compression: Literal["gzip", "zstd", "none"] = "gzip"
    ignored: Callable[[str], bool] = lambda _path: False
    on_look: Callable[[str], None] = lambda _path: None

    trust_buildpack: bool = False
    tags: tuple[str, ...] = ()
    push: bool = False
    skip_unchanged: bool = False
    insecure_registries: frozenset[str] = frozenset()
    token_hosts: frozenset[str] = frozenset()
    outputs: tuple[Output, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: str = ""
    locked: bool = False
    offline: bool = False
    use_cache: bool = True
    cache_dir: Path = Path(".cache")
    digest_file: Path | None = None
    metadata_file: Path | None = None
    workers: int = 2
    python_mirror: str = ""
    conda_channel_alias: str = ""
    debian_mirror: str = ""
    debian_snapshot: str = ""
    debian_keyring: Path | None = None
    debian_expired: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def app(self) -> App:
        """The application as buildpacks see it."""
        return App(self.source, self.settings, self.processes, self.ignored, on_look=self.on_look)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Which pins to forget: all of them, or those of some packages by normalised name."""

    everything: bool = False
    names: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.everything or bool(self.names)
