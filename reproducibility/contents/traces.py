"""Traces: what two short pieces of content give away about the builds that wrote them."""

from dataclasses import dataclass

from reproducibility.difference import Known


@dataclass(frozen=True, slots=True)
class Trace:
    """A cause, and the two strings that show it."""

    cause: str
    left: str
    right: str


def trace(left: bytes, right: bytes, *, known: Known) -> Trace | None:
    """Tell why two pieces differ (a line, a string of a program, a field): the most telling trace, or None."""
    raise NotImplementedError
