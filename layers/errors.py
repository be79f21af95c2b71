"""The errors a user can meet, each with a code, a hint and an exit code.

    BuildError          4   a dependency or a build step failed
    ├── UsageError      2   the command line or the configuration is wrong
    ├── DetectionError  3   no group of buildpacks fits the application
    ├── RefusedError    5   a registry, an engine or a server said no
    ├── IntegrityError  6   bytes are not what their digest, size or signature promised
    ├── StorageError    7   local input or output failed, or the source changed while it was read
    └── TransientError  75  the same command may succeed later

A subclass exists only for its own exit code. The code of an error (`IB…`) names its page in imagebuilder/explain.
"""


class BuildError(Exception):
    """What could not be done, what to do about it, and the code under which it is explained.

    `message` is lower case without a full stop and carries the offending value; `hint` says what to do;
    `details` are at most two further lines, for example what was tried.
    """

    exit_code = 4

    def __init__(self, message: str, *, hint: str, code: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.details = details


class UsageError(BuildError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class DetectionError(BuildError):
    """No group of buildpacks fits the application."""

    exit_code = 3


class RefusedError(BuildError):
    """A registry, an engine or a server said no."""

    exit_code = 5


class IntegrityError(BuildError):
    """Bytes are not what their digest, size, signature or format promised."""

    exit_code = 6


class StorageError(BuildError):
    """Local input or output failed, or the source changed while it was read."""

    exit_code = 7


class TransientError(BuildError):
    """The same command may succeed later: a timeout, a 429 or a 5xx that outlived its retries."""

    exit_code = 75
