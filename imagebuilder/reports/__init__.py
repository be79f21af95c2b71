"""Reports: what a check, a diff or an audit came to, for people, programs, browsers and CI."""

from pathlib import Path

from imagebuilder.config import Chosen
from imagebuilder.console import Console
from imagebuilder.reports import findings
from imagebuilder.reports.findings import Result
from layers.blobs import write_file

_WIDTH = 120  # columns where there is no terminal


def publish(result: Result, chosen: Chosen, console: Console) -> int:
    """Tell a result to whoever asked: `--html`, `--junit`, the runner of GitHub Actions, and last stdout.

    Returns the exit code: 0 if everything is the same, 1 if not. Raises StorageError IB601 for what cannot be written.
    """
    # Each form is imported where it is wanted: most runs want one.
    found = findings.of(result)
    if path := chosen.values.text("html"):
        from imagebuilder.reports import panels

        write_file(Path(path), panels.html(found))
    if path := chosen.values.text("junit"):
        from imagebuilder.reports import junit

        write_file(Path(path), junit.xml(found))
    if console.github:
        from imagebuilder import github
        from imagebuilder.reports import summary

        github.append(summary.outputs(found), summary.markdown(found), chosen.environment)
    if console.json:
        from imagebuilder.reports import document

        console.result_json(document.document(found))
    else:
        from imagebuilder.reports import terminal

        to = terminal.Terminal(console.width(_WIDTH), console.colour_result)
        console.result("\n".join(terminal.lines(found, to)))
    return 0 if found.same else 1
