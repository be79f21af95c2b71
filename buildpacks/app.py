"""The application as buildpacks see it: its files, and the settings that its user gave."""

import fnmatch
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import tomli

from layers import tree
from layers.errors import UsageError
from layers.tree import Listing
from layers.values import dataclass, field

# The folder of the image that holds the application.
WORKSPACE = "workspace"

# No file that a buildpack reads as text is near this; it bounds what a mistaken name can cost.
_TEXT_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Setting:
    """A value the user gave, and where: `--python`, `BP_CPYTHON_VERSION`, `pyproject.toml [tool.imagebuilder]`."""

    value: str
    origin: str


@dataclass(frozen=True)
class App:
    """The application as a buildpack may see it: its files, and the settings its user gave.

    `settings` is keyed by configuration key (`python`, `requirements`, `entry`) or variable (`BP_PIP_REQUIREMENT`).
    `processes` are those of the configuration: type to command line. `on_read` is told every path that `text` reads,
    so that the lock can name the files its pins were made from; `on_look` of every path that is looked at.
    """

    root: Path
    settings: Mapping[str, Setting] = field(default_factory=dict)
    processes: Mapping[str, Setting] = field(default_factory=dict)
    ignored: Callable[[str], bool] = lambda _path: False
    on_read: Callable[[str], None] = lambda _path: None
    on_look: Callable[[str], None] = lambda _path: None

    @cached_property
    def listing(self) -> Listing:
        """All that would go into the image, as it was when somebody first asked."""
        return tree.listing(self.root, at=WORKSPACE, ignored=self.ignored)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Every file that would go into the image, sorted by the bytes of its path."""
        return self.listing.files

    def list_again(self) -> None:
        """Forget the listing: so much time has passed that it may not hold any more."""
        for name in ("listing", "files"):
            vars(self).pop(name, None)

    def has(self, path: str) -> bool:
        """Say whether there is a regular file at `path`, or a link to one in the tree. Ignored files count too."""
        try:
            return stat.S_ISREG(os.stat(self._resolve(path)).st_mode)  # noqa: PTH116 asked a hundred times in a build
        except (OSError, ValueError):
            return False

    def text(self, path: str) -> str:
        """Return a file's text; UsageError IB103 if it is missing, outside the tree, no regular file, or not UTF-8."""
        self.on_read(path)
        try:
            with os.fdopen(os.open(self._resolve(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise _unreadable(path, "it is not a regular file")
                content = file.read(_TEXT_LIMIT + 1)
        except (OSError, ValueError) as error:
            raise _unreadable(path, (isinstance(error, OSError) and error.strerror) or str(error)) from error
        if len(content) > _TEXT_LIMIT:
            raise _unreadable(path, f"it has more than {_TEXT_LIMIT} bytes")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _unreadable(path, "it is not UTF-8") from error

    def toml(self, path: str) -> Mapping[str, object]:
        """Return a parsed TOML file; UsageError IB103 if it cannot be read or parsed."""
        try:
            return tomli.loads(self.text(path))
        except (ValueError, RecursionError) as error:  # numbers of too many digits are no TOMLDecodeError
            raise _unreadable(path, f"it is not TOML: {error}") from error

    def json(self, path: str) -> Mapping[str, object]:
        """Return a parsed JSON file that holds an object; UsageError IB103 if it cannot be read or parsed."""
        try:
            document: object = json.loads(self.text(path))
        except (ValueError, RecursionError) as error:
            raise _unreadable(path, f"it is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise _unreadable(path, "it is not a JSON object")
        return document

    @cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self.root)

    def _resolve(self, path: str) -> str:
        """Follow links, as long as they stay in the tree."""
        self.on_look(path)
        place = os.path.join(self._real_root, path)  # noqa: PTH118
        if "/" not in path and path not in ("", ".", "..") and not stat.S_ISLNK(os.lstat(place).st_mode):
            return place
        resolved = os.path.realpath(place, strict=True)  # Path.resolve has no OSError for a loop
        if not Path(resolved).is_relative_to(self._real_root):
            raise ValueError("it leads out of the application's folder")
        return resolved

    def real(self, folder: str) -> str:
        """Return a folder's path without links; UsageError IB103 if it is missing, or outside the tree."""
        try:
            return os.path.relpath(self._resolve(folder), self._real_root)
        except (OSError, ValueError) as error:
            raise _unreadable(folder, (isinstance(error, OSError) and error.strerror) or str(error)) from error

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Return the paths that match a pattern (`*.py`), sorted; `*` does not cross a folder."""
        parts = [re.compile(fnmatch.translate(part)) for part in pattern.split("/")]
        return tuple(
            path
            for path in self.files
            if path.count("/") == len(parts) - 1
            and all(part.match(name) for part, name in zip(parts, path.split("/"), strict=True))
        )

    def setting(self, *names: str) -> Setting | None:
        """Return the first of these settings that was given."""
        return next((self.settings[name] for name in names if name in self.settings), None)


def value_at(document: object, *keys: str) -> object:
    """Return what stands under a path of keys in a parsed document; None if there is nothing."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _unreadable(path: str, reason: str) -> UsageError:
    return UsageError(
        f"cannot read {path}: {reason}", hint="check the file's name, permissions, encoding and syntax", code="IB103"
    )
