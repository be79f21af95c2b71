"""The uv program: the one place that runs it. It resolves requirements; it installs and builds nothing."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from layers.errors import BuildError


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: exit code, and what was written to stdout and stderr."""

    code: int
    output: str
    errors: str


def run(arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Ran:
    """Run uv in a folder with exactly this environment."""
    import subprocess  # noqa: TID251 uv's resolver is a program, not a library; a build that is locked does not run it

    import uv

    ran = subprocess.run(
        [uv.find_uv_bin(), *arguments],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@functools.cache
def default_index() -> str:
    """Return the index that uv asks if none is configured, so that resolver and downloads cannot differ in it."""
    return named_default(run(["pip", "compile", "--help"], environment={}, folder=Path("/")).output)


def named_default(shown: str) -> str:
    """Find the default index in what uv says of its options; BuildError IB710 if it is not there."""
    found = re.search(r"--default-index\b.*?by\s+default:\s+<(\S+)>", shown, re.DOTALL)
    if not found:
        raise BuildError(
            "no package index is configured, and this uv does not say which is the default",
            hint="name an index in PIP_INDEX_URL or UV_DEFAULT_INDEX",
            code="IB710",
        )
    return found[1]
