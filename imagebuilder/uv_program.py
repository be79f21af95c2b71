"""The uv program: the one place that runs it. It resolves requirements; it installs and builds nothing."""

import functools
import re
import subprocess  # noqa: TID251 uv's resolver is a program, not a library
from collections.abc import Mapping, Sequence
from pathlib import Path

from layers.errors import BuildError


def run(
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    """Run uv in a folder with exactly this environment and return what it wrote."""
    import uv  # only what is not locked is resolved

    return subprocess.run(
        [uv.find_uv_bin(), *arguments],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


@functools.cache
def default_index() -> str:
    """Return the index that uv asks if none is configured, so that resolver and downloads cannot differ in it."""
    return named_default(run(["pip", "compile", "--help"], environment={}, folder=Path("/")).stdout)


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
