"""The creation time of an image: asked for, never guessed. The only module that reads the clock for an image."""

import datetime as dt  # noqa: TID251 the one door to the clock: `--created now`
import os
from collections.abc import Mapping
from pathlib import Path

from layers.errors import UsageError

_LAST = 253402300799  # 9999-12-31T23:59:59Z, the last that RFC 3339 can write


def of(value: str, origin: str, *, source: Path, environment: Mapping[str, str]) -> str:
    """Return RFC 3339 in UTC for `git`, `now`, seconds since 1970 or an RFC 3339 time.

    Raises UsageError IB107 for anything else, IB108 if git cannot tell.
    """
    if value == "now":
        return _format(dt.datetime.now(dt.UTC))
    if value == "git":
        return _format(dt.datetime.fromtimestamp(_commit_time(source, environment), dt.UTC))
    if value.isascii() and value.isdigit():
        return from_epoch(value, origin)
    try:
        time = dt.datetime.fromisoformat(value)
        if time.tzinfo:
            return _format(time.astimezone(dt.UTC))
    except (ValueError, OverflowError):
        pass
    raise _malformed(value, origin, "`git`, `now`, seconds since 1970, or a time such as 2026-01-31T12:00:00Z")


def from_epoch(value: str, origin: str) -> str:
    """Return RFC 3339 for seconds since 1970 as SOURCE_DATE_EPOCH has them (reproducible-builds.org specification)."""
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(_LAST)) and int(value) <= _LAST):
        raise _malformed(value, origin, "seconds since 1970 in digits, for example 1767225600")
    return _format(dt.datetime.fromtimestamp(int(value), dt.UTC))


def _commit_time(source: Path, environment: Mapping[str, str]) -> int:
    """Ask git for the committer's time of HEAD, by a command that runs no program named in the repository."""
    import subprocess  # noqa: TID251 asks git for the time of the commit: `--created git`

    command = ["git", "--no-replace-objects", "-C", str(source), "cat-file", "commit", "HEAD"]
    try:
        ran = subprocess.run(
            command,
            env={**environment, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_commit(source, str(error)) from error
    header = ran.stdout.split(b"\n\n", 1)[0]
    for line in header.split(b"\n"):
        if line.startswith(b"committer ") and line.split()[-2].isdigit():
            return min(int(line.split()[-2]), _LAST)
    raise _no_commit(source, os.fsdecode(ran.stderr).partition("\n")[0] or "HEAD has no committer")


def _no_commit(source: Path, reason: str) -> UsageError:
    return UsageError(
        f"cannot learn the time of the commit in {source}: {reason}",
        hint="build in a git checkout with a commit, or give a time: `--created 2026-01-31T12:00:00Z`",
        code="IB108",
    )


def _malformed(value: str, origin: str, wanted: str) -> UsageError:
    return UsageError(f"not a time: {value!r} (from {origin})", hint=f"give {wanted}", code="IB107")


def _format(time: dt.datetime) -> str:
    return time.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
