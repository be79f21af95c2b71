"""Requirement files (pip's format): which files there are, and what is asked for directly."""

from collections.abc import Mapping

from buildpacks.api import App


def files(app: App, roots: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files and everything they include by `-r` and `-c`, each once, in reading order."""
    raise NotImplementedError


def names(app: App, roots: tuple[str, ...]) -> tuple[str, ...]:
    """Return the normalised names of the projects asked for, sorted; constraints do not count."""
    raise NotImplementedError


def hashes(app: App, roots: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """Return the `--hash` values (`sha256:…`) by project, for the projects that have any."""
    raise NotImplementedError
