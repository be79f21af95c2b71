"""A Docker engine for tests: Debian's dockerd on a socket, in a folder and with a containerd of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_S = 60
STOP_S = 30


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start an engine, yield the environment that leads a client to it, and leave nothing behind.

    It has no bridge network: containers run with `network_mode` `none` or `host`.
    """
    # Not tmp_path: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(_command(folder), stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(process, f"{folder}/socket", folder / "log")
        yield {**os.environ, "DOCKER_HOST": f"unix://{folder}/socket"}
    finally:
        _stop(process)
        _unmount(folder)
        shutil.rmtree(folder)


@contextmanager
def forgetting(environment: dict[str, str]) -> Iterator[None]:
    """Remove the images that come into an engine in the block, so that the next test finds what it expects."""
    import docker  # not for every session of tests

    client = docker.from_env(environment=environment)
    try:
        before = {image.id for image in client.images.list()}
        yield
        for image in client.images.list():
            if image.id not in before:
                client.images.remove(image.id, force=True)
    finally:
        client.close()


def _command(folder: Path) -> list[str]:
    return [
        "dockerd",
        f"--host=unix://{folder}/socket",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
    ]


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(address)
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            if b" 200 " in probe.recv(100):
                return
        time.sleep(0.05)
    raise RuntimeError(f"dockerd does not start:\n{log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        # The session is the engine's own: the engine, its containerd and the shims.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _unmount(folder: Path) -> None:
    """Remove what the engine leaves mounted: its network namespace, and more if it had to be killed."""
    mounts = [line.split(" ")[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", mount], check=True)
