"""GitHub Actions: the outputs of a step and its summary (docs.github.com, "Workflow commands")."""

from collections.abc import Mapping
from pathlib import Path

from imagebuilder import text
from imagebuilder.outcome import BuildOutcome


def publish(outcome: BuildOutcome, environment: Mapping[str, str]) -> None:
    """Append the outputs `digest`, `config-digest` and `ref` and a summary, where a runner asks for them."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    outputs = {
        "digest": outcome.manifest_digest.value,
        "config-digest": outcome.config_digest.value,
        "ref": outcome.reference,
    }
    _append(environment.get("GITHUB_OUTPUT"), [f"{name}={value}" for name, value in outputs.items()])
    _append(environment.get("GITHUB_STEP_SUMMARY"), _summary(outcome))


def _summary(outcome: BuildOutcome) -> list[str]:
    rows = [
        f"| {_cell(layer.name)} | {text.size(layer.size)} | {'cached' if layer.cached else 'made'} "
        f"| `{layer.digest.hex[:12]}` |"
        for layer in outcome.layers
    ]
    return [
        f"### {_cell(outcome.name)}: {text.size(outcome.size)} for {outcome.platform}",
        "",
        f"manifest digest `{outcome.manifest_digest}`, config digest `{outcome.config_digest}`",
        "",
        "| layer | size | | digest |",
        "|---|---:|---|---|",
        *rows,
    ]


def _cell(name: str) -> str:
    """A name from outside must not become markup."""
    escaped = text.printable(name).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{character}" if character in r"\`*_[]|#!" else character for character in escaped)


def _append(path: str | None, lines: list[str]) -> None:
    if path:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{line}\n" for line in lines)
