"""The root in which the commands of a build run: the target's own files, and those that only a build needs.

It is made once for each set of packages, below CACHE/roots, and then only read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from buildpacks.api import Files, Source
from imagebuilder.base.pins import BasePins
from imagebuilder.cache import Cache


def build_root(pins: BasePins, fetch: Callable[[Sequence[Source]], Files], cache: Cache) -> Path:
    """Return the folder with the files of a base, its interpreter, its packages and its build-only packages.

    It has the bytes that the image has, wherever the image has them. Two builds that make it at once make the same.
    Nothing is fetched if it is there already.
    """
    raise NotImplementedError
