"""Failures: what a process of a check that failed said, as an error."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from layers.canonical import Json
from layers.errors import BuildError, StorageError, TransientError

Told = Callable[[int, Path], BuildError]

_LINES = 3
_TAIL = 64 << 10
_KINDS: dict[int, type[BuildError]] = {kind.exit_code: kind for kind in BuildError.__subclasses__()}


def of_preparation(code: int, log: Path) -> BuildError:
    """Say that a command of the user failed, with its last lines."""
    return BuildError(
        f"the command given with --prepare {_ended(code)}",
        details=_last(log),
        hint="see that it works in a copy of the folder, or leave out what it cannot bear, as `--vary all,-clock`",
        code="IB832",
    )


def of_build(code: int, log: Path, title: str) -> BuildError:
    """Say why a build failed. `title` names it if it was under other conditions than usual, else it is empty.

    What is wrong anyway, or has nothing to do with conditions, is told as the build told it.
    """
    told = _error(log)
    kind = _KINDS.get(code, BuildError)
    if told and (not title or kind in (StorageError, TransientError)):
        return kind(told["message"], details=tuple(told["details"].splitlines()), hint=told["hint"], code=told["code"])
    details = (f"{told['code']}: {told['message']}", *told["details"].splitlines()[:1]) if told else _last(log)
    return BuildError(
        f"{title or 'the build'} {_ended(code)}",
        details=details,
        hint="narrow it down with --vary; what a build needs may not depend on such conditions",
        code="IB833",
    )


def _ended(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"


def _tail(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        return file.read().decode("utf-8", "replace").splitlines()


def _last(log: Path) -> tuple[str, ...]:
    return tuple(line for line in _tail(log) if line.strip())[-_LINES:]


def _error(log: Path) -> dict[str, str] | None:
    """Find the error among what a build wrote with `--progress jsonl`."""
    for line in reversed(_tail(log)):
        try:
            event: Json = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "error":
            details = event.get("details")
            lines = map(str, details) if isinstance(details, list) else ()
            return {name: str(event.get(name, "")) for name in ("code", "message", "hint")} | {
                "details": "\n".join(lines)
            }
    return None
