"""Explanations: why the contents of two files differ, from the bytes themselves."""

from reproducibility.content import Content
from reproducibility.difference import Difference, Known


def explain(path: str, left: Content, right: Content, *, known: Known, views: bool = True) -> tuple[Difference, ...]:
    """Explain why two files of one path differ in their bytes: usually one difference, several inside archives.

    Without `views` none of them has a closer look. `layer` and `blamed` are left to the caller.
    """
    raise NotImplementedError


def refine(difference: Difference, blamed: tuple[str, ...]) -> Difference:
    """Return the difference with the variations to blame, and with the cause they give away if its content did not."""
    raise NotImplementedError
