"""Texts of an image as this process has to write them, whatever its locale."""

import os


def on_disk(text: str) -> str:
    """Return a path or another text of an image, which is UTF-8, in the form that calls of this system take."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))
