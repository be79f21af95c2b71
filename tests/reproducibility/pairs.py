"""Pairs of contents for the tests of explanations."""

import dataclasses
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from reproducibility.content import Content
from reproducibility.difference import Difference

_EVIDENCE = re.compile('("[^"]*") against ("[^"]*")')


@contextmanager
def content(value: bytes) -> Iterator[Content]:
    """Put bytes where contents lie: in the middle of a larger file."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"before" + value + b"behind")
        yield Content(file.fileno(), 6, len(value))


def mirrored(found: tuple[Difference, ...] | None) -> tuple[Difference, ...] | None:
    """Return the differences as they must be with the sides swapped. Views are left to their own tests."""
    if found is None:
        return None
    return tuple(
        dataclasses.replace(one, left=one.right, right=one.left, note=_EVIDENCE.sub(r"\2 against \1", one.note))
        for one in found
    )
