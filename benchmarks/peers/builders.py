"""The builders, each as somebody who knows it uses it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.measure import Cost, run
from benchmarks.peers.workloads import Application
from benchmarks.peers.world import Index, Registry, sha256

ROOT = Path(__file__).parent.parent.parent

_HEAD = """\
ARG REGISTRY
FROM $REGISTRY/uv:1 AS uv
FROM $REGISTRY/base:1
ARG INDEX SOURCE_DATE_EPOCH
ENV PATH=/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
WORKDIR /workspace
COPY requirements.txt .
"""
_UV = """\
RUN --mount=type=bind,from=uv,source=/uv,target=/usr/local/bin/uv --mount=type=cache,target=/root/.cache/uv \\
    UV_LINK_MODE=copy /usr/local/bin/uv venv -q /venv && UV_LINK_MODE=copy /usr/local/bin/uv pip install -q \\
    --python /venv/bin/python --default-index $INDEX --no-deps --require-hashes -r requirements.txt
"""
_PIP = """\
RUN --mount=type=cache,target=/root/.cache/pip python3 -m venv /venv && /venv/bin/pip install -q --no-compile \\
    --disable-pip-version-check -i $INDEX --no-deps --require-hashes -r requirements.txt
"""
_TAIL = """\
COPY . .
CMD ["python", "app.py"]
"""
DOCKERFILES = {"uv": _HEAD + _UV + _TAIL, "pip": _HEAD.replace("FROM $REGISTRY/uv:1 AS uv\n", "") + _PIP + _TAIL}


class Builder(ABC):
    """A builder with a registry of its own, so that none finds what another one has pushed."""

    name: str
    starts_fresh = True  # whether it knows how to begin with what is in the registry

    def __init__(self, folder: Path, registry: Registry, index: Index) -> None:
        self.folder, self.registry, self.index = folder, registry, index
        self.environment: Mapping[str, str] = os.environ
        folder.mkdir()

    def close(self) -> None:
        """Leave nothing that runs."""
        self.registry.stop()

    def prepare(self, application: Application) -> None:  # noqa: B027 the others need nothing
        """Do once for an application what its developers have done."""

    @abstractmethod
    def forget(self, *, base: bool) -> None:
        """Empty all caches, but for the base image if `base`."""

    @abstractmethod
    def commands(self, folder: Path, reference: str, *, fresh: bool) -> list[list[str]]:
        """Return what builds and pushes; `fresh`: nothing is here, the last image is in the registry."""

    def daemons(self) -> tuple[int, ...]:
        """Return the sessions of processes that work for the commands."""
        return ()

    def build(self, application: Application, name: str, *, fresh: bool = False) -> Cost:
        """Build and push, and return what it cost."""
        before = (self.registry.stored(), self.index.sent, self.registry.requests(), self.index.requests)
        commands = self.commands(application.folder, f"{self.registry.address}/{name}:1", fresh=fresh)
        cost = run(commands, self.environment, self.daemons())
        after = (self.registry.stored(), self.index.sent, self.registry.requests(), self.index.requests)
        counts = (new - old for new, old in zip(after, before, strict=True))
        return Cost(cost.seconds, cost.cpu_s, cost.memory, *counts)


class Ours(Builder):
    """This program."""

    name = "imagebuilder"

    def __init__(self, folder: Path, registry: Registry, index: Index) -> None:
        super().__init__(folder, registry, index)
        (folder / "home").mkdir()  # of nothing but its own: that a file of settings appears there would be noticed
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "IMAGEBUILDER_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever installs the program has its bytecode
        self.environment = kept | {
            "PYTHONPATH": str(ROOT),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": index.url,
            "HOME": str(folder / "home"),
            "IMAGEBUILDER_BASE": f"{registry.address}/base:1",
            "IMAGEBUILDER_INSECURE_REGISTRY": registry.address,
        }

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "imagebuilder", *words]

    def prepare(self, application: Application) -> None:
        # What is pinned does not depend on what is in the folders of the application, which may have gigabytes.
        top = replace(application, folder=self.folder / "locked application")
        shutil.rmtree(top.folder, ignore_errors=True)
        top.folder.mkdir()
        for file in filter(Path.is_file, application.folder.iterdir()):
            shutil.copyfile(file, top.folder / file.name)
        for variant in sorted(folder.name for folder in application.pins.iterdir()):
            top.take(variant)
            # A build, not `lock`: it records the layers, too.
            places = ("--cache-dir", f"{self.folder}/locking", "--output", f"oci:{self.folder}/locking.oci")
            run([self._command("build", str(top.folder), *places)], self.environment)
            shutil.move(top.folder / "imagebuilder.lock", application.pins / variant / "imagebuilder.lock")

    def forget(self, *, base: bool) -> None:  # noqa: ARG002 of a base image nothing is kept
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

    def commands(self, folder: Path, reference: str, *, fresh: bool) -> list[list[str]]:  # noqa: ARG002 the lock says what it needs
        places = ("--cache-dir", f"{self.folder}/cache", "--tag", reference)
        return [self._command("build", str(folder), "--locked", "--push", *places)]


class Floor(Builder):
    """What the same bytes cost at least: a program that checks nothing."""

    name = "floor"
    starts_fresh = False

    def forget(self, *, base: bool) -> None:  # noqa: ARG002 as ours
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        (self.folder / "cache").mkdir()
        names = {sha256(wheel): name for name, wheel in self.index.wheels.items()}
        (self.folder / "cache" / "state.json").write_text(json.dumps({"names": names, "layers": {}}))

    def commands(self, folder: Path, reference: str, *, fresh: bool) -> list[list[str]]:  # noqa: ARG002 starts_fresh
        program = str(Path(__file__).with_name("floor.py"))
        return [[sys.executable, program, str(folder), reference, self.index.address, str(self.folder / "cache")]]


class Docker(Builder):
    """Docker with BuildKit, and an engine of its own; `installer` is pip or uv."""

    def __init__(self, folder: Path, registry: Registry, index: Index, installer: str) -> None:
        super().__init__(folder, registry, index)
        self.name = f"docker, {installer}"
        self.file = folder / "Dockerfile"
        self.file.write_text(DOCKERFILES[installer])
        self.images = ("base", "uv") if installer == "uv" else ("base",)
        self.engine: subprocess.Popen[bytes] | None = None
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{folder}/socket", "DOCKER_BUILDKIT": "1"}
        # Not one of the path that may need a plugin for BuildKit.
        self.client = "/usr/bin/docker"

    def daemons(self) -> tuple[int, ...]:
        return (self.engine.pid,) if self.engine else ()

    def forget(self, *, base: bool) -> None:
        self._stop()
        with (self.folder / "log").open("wb") as log:
            self.engine = subprocess.Popen(self._engine(), stdout=log, stderr=log, start_new_session=True)
        self._wait()
        for image in self.images if base else ():
            run([[self.client, "pull", "-q", f"{self.registry.address}/{image}:1"]], self.environment)

    def commands(self, folder: Path, reference: str, *, fresh: bool) -> list[list[str]]:
        words = {"REGISTRY": self.registry.address, "INDEX": self.index.url}
        words |= {"SOURCE_DATE_EPOCH": "1", "BUILDKIT_INLINE_CACHE": "1"}
        flags = [flag for key, value in words.items() for flag in ("--build-arg", f"{key}={value}")]
        cache = ["--cache-from", reference] if fresh else []
        build = [self.client, "build", "-q", "--network=host", "-f", str(self.file), "-t", reference, *flags, *cache]
        return [[*build, str(folder)], [self.client, "push", "-q", reference]]

    def close(self) -> None:
        self._stop()
        super().close()

    def _engine(self) -> list[str]:
        places = {"host": f"unix://{self.folder}/socket", "data-root": f"{self.folder}/data"}
        places |= {"exec-root": f"{self.folder}/exec", "pidfile": f"{self.folder}/pid"}
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        return ["dockerd", *(f"--{key}={value}" for key, value in places.items()), *network]

    def _wait(self) -> None:
        for _ in range(3_000):
            with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
                probe.connect(f"{self.folder}/socket")
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                if b" 200 " in probe.recv(100):
                    return
            time.sleep(0.02)
        raise TimeoutError((self.folder / "log").read_text()[-2000:])

    def _stop(self) -> None:
        """Stop the engine and remove all it has, mounts included."""
        if not self.engine:
            return
        self.engine.terminate()
        try:
            self.engine.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.engine.pid, signal.SIGKILL)  # the session is the engine's own
            self.engine.wait()
        self.engine = None
        unmount(self.folder)
        shutil.rmtree(self.folder / "data")
        shutil.rmtree(self.folder / "exec", ignore_errors=True)


class Buildah(Builder):
    """Buildah with uv, as root, without containers of their own namespaces."""

    name = "buildah, uv"

    def __init__(self, folder: Path, registry: Registry, index: Index) -> None:
        super().__init__(folder, registry, index)
        self.file = folder / "Dockerfile"
        self.file.write_text(DOCKERFILES["uv"])
        self.environment = {**os.environ, "TMPDIR": str(folder / "tmp")}  # where it keeps the caches of mounts

    def _command(self, *words: str) -> list[str]:
        places = ("--root", f"{self.folder}/data", "--runroot", f"{self.folder}/run", "--storage-driver", "overlay")
        return ["buildah", *places, *words]

    def forget(self, *, base: bool) -> None:
        unmount(self.folder)
        for name in ("data", "run", "tmp"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "tmp").mkdir()
        for image in ("base", "uv") if base else ():
            pull = self._command("pull", "-q", "--tls-verify=false", f"{self.registry.address}/{image}:1")
            run([pull], self.environment)

    def commands(self, folder: Path, reference: str, *, fresh: bool) -> list[list[str]]:  # noqa: ARG002 see docs/performance.md
        words = {"REGISTRY": self.registry.address, "INDEX": self.index.url, "SOURCE_DATE_EPOCH": "1"}
        flags = [flag for key, value in words.items() for flag in ("--build-arg", f"{key}={value}")]
        shape = ["-q", "--layers", "--isolation=chroot", "--network=host", "--timestamp=1", "--tls-verify=false"]
        build = self._command("build", *shape, "-f", str(self.file), "-t", reference, *flags, str(folder))
        return [build, self._command("push", "-q", "--tls-verify=false", reference)]

    def close(self) -> None:
        unmount(self.folder)
        super().close()


def unmount(folder: Path) -> None:
    """Remove what is still mounted below a folder."""
    mounts = [line.split(" ")[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", mount], check=True)
