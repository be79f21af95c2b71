"""Builds images with the command line and runs them in a Docker engine: on a read-only root, without a network."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

ROOT = Path(__file__).parent.parent
START_S = 90
_ASK = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


def imagebuilder(
    *arguments: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; it reaches whatever this machine reaches."""
    return subprocess.run(
        [sys.executable, "-m", "imagebuilder", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Containers:
    """Starts containers, and removes them in the end."""

    client: DockerClient
    started: list[Container] = field(default_factory=list)

    def run(self, image: str, command: list[str] | None = None, **options: object) -> Container:
        """Start a container; `command` is what is added to the command of the image."""
        container = self.client.containers.run(
            image, command, detach=True, read_only=True, network_mode="none", **options
        )
        self.started.append(container)
        return container


@contextmanager
def running(environment: Mapping[str, str]) -> Iterator[Containers]:
    """Connect to the engine that the environment leads to, and leave no container behind."""
    client = docker.from_env(environment=dict(environment), timeout=120)
    containers = Containers(client)
    try:
        yield containers
    finally:
        for container in containers.started:
            container.remove(force=True)
        client.close()


def ask(container: Container, url: str) -> str:
    """Ask a server from inside its container, which has no network; wait until it answers."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            code, output = container.exec_run(["python", "-c", _ASK, url])
        except APIError as error:  # it is not running any more
            raise AssertionError(container.logs().decode()) from error
        if code == 0:
            return str(output.decode())
        if time.monotonic() > deadline:
            raise AssertionError(output.decode() + container.logs().decode())
        time.sleep(0.2)


def finished(container: Container) -> str:
    """Wait until a program has ended well and return what it printed."""
    code = container.wait(timeout=120)["StatusCode"]
    output = str(container.logs().decode())
    assert code == 0, output
    return output


def stop(container: Container) -> tuple[int, float]:
    """Stop a container as an engine does; return its exit code and the seconds it took."""
    started = time.monotonic()
    container.stop(timeout=START_S)
    return container.wait(timeout=START_S)["StatusCode"], time.monotonic() - started
