"""What tests may need, why a test is skipped where it is missing, and the Docker engine that tests share."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import pytest

from tests import engine

TOOLS = ("skopeo", "umoci", "crun", "podman")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_environment() -> Iterator[dict[str, str]]:
    """The variables that lead a Docker client to an engine of our own; it starts with the first test that asks."""
    with engine.running() as environment:
        yield environment


@cache
def _no_network() -> str:
    # pip knows which index this machine uses.
    command = [sys.executable, "-m", "pip", "index", "versions", "pip"]
    found = subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    return "" if found else "the package index cannot be reached"


def _no_docker() -> str:
    return _no_root() or ("" if shutil.which("dockerd") else "dockerd is not installed")


def _no_tools() -> str:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _no_root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


MISSING = {"network": _no_network, "docker": _no_docker, "tools": _no_tools, "root": _no_root}
