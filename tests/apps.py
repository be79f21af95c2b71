"""Builds applications on disk, and what buildpacks are given to pin and build them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from buildpacks.api import (
    App,
    BuildContext,
    Circumstances,
    Interpreter,
    PinContext,
    Pins,
    Repository,
    Require,
    Setting,
    Source,
    Target,
)
from layers.canonical import Json
from layers.descriptor import Platform

TARGET = Target(Platform("linux", "amd64"), "debian-13", (2, 41))


def make(
    root: Path,
    files: Mapping[str, str],
    *,
    settings: Mapping[str, str] | None = None,
    processes: Mapping[str, str] | None = None,
) -> App:
    """Write files and return the application they make; settings come from `--name`, processes from `test`."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return App(
        root,
        {name: Setting(value, f"--{name}") for name, value in (settings or {}).items()},
        {name: Setting(value, "test") for name, value in (processes or {}).items()},
    )


def interpreter(version: str) -> Interpreter:
    """Return an interpreter of the base."""
    series = version.rpartition(".")[0]
    return Interpreter(version, f"/usr/bin/python{series}", "debian:trixie", (f"python{series}",))


class NoResolver:
    """A resolver for buildpacks that must not resolve anything."""

    def resolve(self, app: App, requirements: tuple[str, ...], circumstances: Circumstances) -> Mapping[str, Json]:
        """Fail."""
        raise AssertionError(requirements)

    def resolve_text(self, text: str, circumstances: Circumstances, *, dependencies: bool) -> Mapping[str, Json]:
        """Fail."""
        raise AssertionError(text)

    def repository(self, address: str) -> Repository:
        """Fail."""
        raise AssertionError(address)

    def archive(self, address: str) -> Source:
        """Fail."""
        raise AssertionError(address)

    def export_uv(
        self, files: Mapping[str, str], *, extras: Sequence[str], groups: Sequence[str]
    ) -> Mapping[str, Json]:
        """Fail."""
        raise AssertionError(files)


def pin_context(
    app: App, *, requires: tuple[Require, ...] = (), interpreters: tuple[str, ...] = (), pinned: str = ""
) -> PinContext:
    """Return what `pin` is given when the base offers these interpreters, or after one was pinned."""
    offered = tuple(map(interpreter, interpreters))
    chosen = interpreter(pinned) if pinned else None
    return PinContext(app, requires, TARGET, lambda: offered, chosen, NoResolver())


def build_context(app: App, *distributions: str) -> BuildContext:
    """Return what `build` is given when these distributions are installed."""
    return BuildContext(app, (), TARGET, interpreter("3.13.5"), Pins(), frozenset(distributions))
