"""Blobs of a layout that were whole when they were hashed last: not hashed again as long as the system says the same.

What it says of a file is what `imagebuilder.application` goes by: inode, size and both times, of which nobody can set
back the time of the last change. A blob that was only written, or that changed a moment ago, is hashed once more.
"""

import os
import time  # noqa: TID251 is compared with the times of files, and reaches no image
from collections.abc import Mapping
from contextlib import suppress

from imagebuilder.cache import Cache
from layers import content
from layers.blobs import BlobStore
from layers.canonical import Json
from layers.descriptor import Descriptor
from layers.errors import IntegrityError, StorageError


class Intact:
    """What is known of the blobs of one layout. `cache` keeps it from build to build; without one all are hashed."""

    def __init__(self, target: BlobStore, cache: Cache | None) -> None:
        self._target = target
        self._cache = cache
        self._key: Mapping[str, Json] = {"intact": os.path.realpath(target.root)}
        self._before = cache.find_stamps(self._key) if cache else {}
        self._known = dict(self._before)

    def has(self, blob: Descriptor) -> bool:
        """Say whether a blob is there, undamaged: whoever wrote to the folder since, the image in it is as promised."""
        path = self._target.path(blob.digest)
        if not self._target.has(blob.digest, blob.size):
            return False
        seen_ns = time.time_ns()
        stamp = content.stamp(path.stat())
        if self._known.get(path.name) == stamp:
            return True
        try:
            self._target.verify(blob.digest)
        except IntegrityError:
            return False
        if content.is_settled(stamp[-1], seen_ns):
            self._known[path.name] = stamp
        return True

    def remember(self) -> None:
        """Keep what is known of the blobs that are still there; that it cannot be kept is no error."""
        folder = self._target.root / "blobs" / "sha256"
        known = {name: stamp for name, stamp in self._known.items() if (folder / name).exists()}
        if self._cache and known != self._before:
            with suppress(StorageError):
                self._cache.remember_stamps(self._key, known)
