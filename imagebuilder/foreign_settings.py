"""Files in which other tools keep their settings: TOML and what pip writes; one that is not there says nothing.

All raise UsageError IB709 for a file that cannot be read.
"""

from collections.abc import Mapping
from pathlib import Path

import tomli

from imagebuilder import smallfile
from layers.errors import UsageError


def toml(path: Path) -> Mapping[str, object]:
    """Return a TOML file."""
    try:
        return tomli.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise unreadable(path, str(error)) from error


def of_pip(path: Path) -> dict[str, str]:
    """Return what a configuration of pip says of installations."""
    text = _text(path)
    if not text:
        return {}
    import configparser  # few machines have such a file

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise unreadable(path, type(error).__name__) from error
    return {
        key.replace("_", "-"): value
        for section in ("global", "install")
        if parser.has_section(section)
        for key, value in parser.items(section)
    }


def unreadable(path: Path, reason: str) -> UsageError:
    """Return the error for a file that cannot be read."""
    return UsageError(f"cannot read {path}: {reason}", hint="correct the file, or remove it", code="IB709")


def _text(path: Path) -> str:
    try:
        return smallfile.read(path).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError as error:
        raise unreadable(path, "it is not UTF-8") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or str(error)) from error
