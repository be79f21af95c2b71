"""The report as a page."""

from imagebuilder.reports.findings import Findings


def html(found: Findings) -> bytes:
    """Write the page."""
    raise NotImplementedError(found)
