"""Small files, read whole: configuration and locks of projects and users.

Whatever stands in the place of one, reading ends and takes little memory: a pipe is not waited for, and a file without
end is not read to its end.
"""

import os
import stat
from pathlib import Path

# No file that somebody wrote is near this.
LIMIT = 16 << 20


def read(path: Path, *, limit: int = LIMIT) -> bytes:
    """Return what is in a file. Raises OSError, and ValueError if it is a pipe or has more than `limit` bytes."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is a pipe")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit >> 20} MiB")
    return content
