"""The uv program: the one place that runs it. It resolves requirements; it installs and builds nothing."""

import functools
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from layers.errors import BuildError
from layers.values import dataclass

# Looking for uv asks sysconfig, whose first answers are wrong if two threads ask at a time.
_finding = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: exit code, and what was written to stdout and stderr."""

    code: int
    output: str
    errors: str


def run(arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> Ran:
    """Run uv in a folder with exactly this environment."""
    import subprocess  # noqa: TID251 uv's resolver is a program, not a library; a build that is locked does not run it

    ran = subprocess.run(
        [_program(), *arguments],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def _program() -> str:
    import uv  # for its program alone

    try:
        with _finding:
            return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise BuildError(
            "the program uv is not where its package puts it",
            hint="install imagebuilder again, with its dependencies",
            code="IB410",
        ) from error


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
