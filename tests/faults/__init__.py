"""Faults: for every cause a way to bring it into a build, and what a check must say of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
APP, VENDORED, BUILDER = FOLDER / "app", FOLDER / "vendored", FOLDER / "builder.py"

_STEP = re.compile(r"^#: (\S+) (\S+) (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """What a check must say: where something differs, why, and which variation brings it about.

    `path` is that of a file of the image, or of a field of its config.
    """

    cause: str
    path: str
    blamed: str


def steps(script: str) -> Iterator[Fault]:
    """Read what stands above the steps of a script of the application."""
    for cause, path, blamed in _STEP.findall((APP / "steps" / script).read_text()):
        yield Fault(cause, f"workspace/{path}", blamed)


# Mistakes of the faulty builder (builder.py), one check for each of them.
MISTAKES = {
    "files": (
        Fault("mtime", "workspace/mtime.txt", "clock"),
        Fault("umask", "workspace/modes.txt", "umask"),
        Fault("owner", "workspace/owner.txt", "user"),
        Fault("owner-name", "workspace/owner-name.txt", "user"),
        Fault("order", "", "order"),
        Fault("xattr", "workspace/attribute.txt", "hostname"),
        Fault("tar-format", "workspace/format.txt", "zone"),
        Fault("hard-link", "workspace/twins/second", "filesystem"),
    ),
    "documents": (
        Fault("created", "created", "clock"),
        Fault("label", "config.Labels.build.day", "clock"),
        Fault("config-field", "config.Env[BUILDER]", "hostname"),
        Fault("history", "history[0].created_by", "cpus"),
    ),
    "gzip_header": (Fault("gzip-header", "", "clock"),),
    "compressor": (Fault("compressor", "", "cpus"),),
    "compression": (Fault("compression", "", "cpus"),),
    "layering": (Fault("layering", "", "cpus"),),
}
STEPS = tuple(steps("prepare.sh"))
NATIVE = tuple(steps("native.sh"))
