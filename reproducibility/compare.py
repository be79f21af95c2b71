"""Comparison: two images from their manifests down to the bytes of their files, stopping wherever they are equal."""

from pathlib import Path

from reproducibility.difference import Comparison, Known
from reproducibility.images import Subject


def compare(
    left: Subject, right: Subject, *, scratch: Path, known: Known | None = None, rootfs: bool = False
) -> Comparison:
    """Compare two subjects. Equal digests end it: nothing below them is read.

    `scratch` is an empty folder for unpacked tars, emptied again at the end. With `rootfs` only the final file systems
    count, however they came to be: layers, order and documents do not.
    """
    raise NotImplementedError
