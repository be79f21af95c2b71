"""A push that is killed, wherever it is, and repeated: only what is missing is uploaded, and no tag is ever half."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Literal

import pytest

from imagebuilder import layout
from layers import entry
from tests import images
from tests.registry import Registry
from tests.serving import Answer, Application, Request, Reset

ROOT = Path(__file__).parent.parent
POINTS = 20
LAYERS = 4
# What the registry is; the tag; HEAD, POST and PUT of each layer and of the config; the manifest.
REQUESTS = 2 + 3 * (LAYERS + 1) + 1


class Killer:
    """A fault that kills the pusher at a request: before it is answered, while its body arrives, or afterwards."""

    def __init__(self, turn: int, when: Literal["before", "during", "after"]) -> None:
        self.turn = turn
        self.when = when
        self.process: subprocess.Popen[bytes] | None = None
        self._turns = count()
        self._lock = threading.Lock()

    def __call__(self, request: Request, answer: Application) -> Answer:
        with self._lock:
            turn = next(self._turns)
        if turn != self.turn:
            return answer(request)
        if self.when == "after":
            answer(request)
        elif self.when == "during":
            next(iter(request.body), None)
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        raise Reset


def push(folder: Path, registry: Registry) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "imagebuilder", "push", f"oci:{folder}", f"{registry.address}/app:1", "-q"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def whole(registry: Registry, digest: str, blobs: set[str]) -> bool:
    there = registry.repository("app")
    return there.tags == {"1": digest} and blobs <= set(there.blobs)


@pytest.mark.parametrize("seed", range(POINTS))
def test_a_push_that_was_killed_and_is_repeated_uploads_only_what_is_missing(seed: int, tmp_path: Path) -> None:
    choose: Callable[[range], int] = random.Random(seed).choice
    killer = Killer(choose(range(REQUESTS)), ("before", "during", "after")[choose(range(3))])
    content = random.Random(seed).randbytes
    made = images.make(tmp_path / "store", *([entry.file("f", content(600_000))] for _ in range(LAYERS)))
    layout.write_layout(made.image, made.store, tmp_path / "app", names=["1"])
    digest = made.image.manifest.digest.value
    sizes = {blob.digest.value: blob.size for blob in made.image.blobs[:-1]}
    with Registry().running() as registry:
        registry.faults.append(killer)
        killer.process = push(tmp_path / "app", registry)
        assert killer.process.wait(60) == -signal.SIGKILL
        there = registry.repository("app")
        assert there.tags == {} or whole(registry, digest, set(sizes))
        missing = set(sizes) - set(there.blobs)
        done = bool(there.tags)
        registry.faults.clear()
        registry.traffic.requests.clear()
        assert push(tmp_path / "app", registry).wait(60) == 0
        assert whole(registry, digest, set(sizes))
        manifest = 0 if done else made.image.manifest.size
        assert registry.traffic.received == sum(sizes[blob] for blob in missing) + manifest
