"""Which files of the application stay out of the image, and by which rule.

`.imagebuilderignore`, else `.dockerignore` (both in the syntax of .dockerignore), on top of what is left out by default.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ignore:
    """The rules of an application. Called with a path, it says whether the path is left out (see layers.tree)."""

    def __call__(self, path: str) -> bool:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file, or a folder with all that is in it, and the rule that leaves it out: `.venv/` by `**/.venv` (default)."""

    path: str
    pattern: str
    origin: str


def read(root: Path, *, written: tuple[str, ...] = ()) -> Ignore:
    """Read the rules of an application. `written` are paths in it that the build itself writes, such as its outputs.

    Raises UsageError IB306 for a malformed pattern.
    """
    raise NotImplementedError


def left_out(root: Path, ignore: Ignore) -> tuple[LeftOut, ...]:
    """List what the rules leave out of an application, without looking into folders that are left out whole."""
    raise NotImplementedError
