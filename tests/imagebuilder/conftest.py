"""What tests of the program share: a registry, and an environment that says nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry import Registry

_TELLING = ("IMAGEBUILDER_", "BP_", "BPE_", "GITHUB_", "XDG_", "DOCKER_")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take from this process the variables that the command line reads, and give it a home of its own."""
    for name in list(os.environ):
        if name.startswith(_TELLING) or name in ("CI", "NO_COLOR", "FORCE_COLOR", "SOURCE_DATE_EPOCH"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry that lets everybody in."""
    with Registry().running() as running:
        yield running
