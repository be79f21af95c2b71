"""What tests may need, why a test is skipped where it is missing, and the engine and registries that tests share."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import hypothesis
import pytest
from pytest_docker.plugin import Services

from tests import engine, registries
from tests.registries import Registries

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell has what it starts in the background ignore these, and so would every program that a test starts and signals.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)

TOOLS = ("skopeo", "umoci", "crun", "podman")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-faults", action="store_true", help="try every fault of a build, not a sample of them")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) and (reason := missing()):
            pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_environment() -> Iterator[dict[str, str]]:
    """The variables that lead a Docker client to an engine of our own; it starts with the first test that asks."""
    with engine.running() as environment:
        yield environment


@pytest.fixture(scope="session")
def _compose(
    docker_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Registries]]:
    if not registries.compose_program():
        pytest.skip("docker-compose is not installed")
    folder = tmp_path_factory.mktemp("registries")
    registries.load_image(folder, docker_environment)
    with registries.compose(folder, docker_environment) as (command, places):
        yield shlex.join(command), places


# The next three are how pytest-docker is told what to start; it stops what it started.
@pytest.fixture(scope="session")
def docker_compose_command(_compose: tuple[str, Registries]) -> str:
    return _compose[0]


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(registries.COMPOSE_FILE)


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    return ["up --detach"]  # docker-compose 1.29 has no --wait


@pytest.fixture(scope="session")
def running_registries(_compose: tuple[str, Registries], docker_services: Services) -> Registries:
    """Real registries of four kinds; they start with the first test that asks."""
    places = _compose[1]
    try:
        docker_services.wait_until_responsive(lambda: registries.answer(places), timeout=30, pause=0.1)
    except Exception as error:
        raise RuntimeError(docker_services._docker_compose.execute("logs").decode()) from error
    return places


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
