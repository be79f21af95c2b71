"""GitHub Actions: the outputs of a step and its summary (docs.github.com, "Workflow commands")."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from imagebuilder import text
from imagebuilder.outcome import BuildOutcome


def publish(outcome: BuildOutcome, environment: Mapping[str, str]) -> None:
    """Tell of a build: the outputs `digest`, `config-digest` and `ref` and a summary."""
    outputs = {
        "digest": outcome.manifest_digest.value,
        "config-digest": outcome.config_digest.value,
        "ref": outcome.reference,
    }
    append(outputs, _summary(outcome), environment)


def append(outputs: Mapping[str, str], summary: Iterable[str], environment: Mapping[str, str]) -> None:
    """Append outputs and lines of a summary in Markdown, where a runner asks for them."""
    if environment.get("GITHUB_ACTIONS") == "true":
        lines = [f"{name}={text.printable(value)}" for name, value in outputs.items()]
        _append(environment.get("GITHUB_OUTPUT"), lines)
        _append(environment.get("GITHUB_STEP_SUMMARY"), summary)


def cell(name: str) -> str:
    """Escape a name from outside for a cell of a table: it must not become markup."""
    escaped = text.printable(name).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{character}" if character in r"\`*_[]|#!" else character for character in escaped)


def _summary(outcome: BuildOutcome) -> list[str]:
    rows = [
        f"| {cell(layer.name)} | {text.size(layer.size)} | {'cached' if layer.cached else 'made'} "
        f"| `{layer.digest.hex[:12]}` |"
        for layer in outcome.layers
    ]
    return [
        f"### {cell(outcome.name)}: {text.size(outcome.size)} for {outcome.platform}",
        "",
        f"manifest digest `{outcome.manifest_digest}`, config digest `{outcome.config_digest}`",
        "",
        "| layer | size | | digest |",
        "|---|---:|---|---|",
        *rows,
    ]


def _append(path: str | None, lines: Iterable[str]) -> None:
    if path:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{line}\n" for line in lines)
