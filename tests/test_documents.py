"""What documents, docstrings and comments name is there: files, commands, flags, options, variables."""

import ast
import io
import re
import shlex
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder import arguments, config, variables
from imagebuilder.options import COMMANDS, GLOBAL, OPTIONS, Option

ROOT = Path(__file__).parent.parent
FOLDERS = ("layers", "buildpacks", "imagebuilder", "reproducibility", "tests", "docs", "examples", "benchmarks")
APPLICATIONS = (ROOT / "examples", ROOT / "tests" / "projects")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if not any(path.is_relative_to(applications) for applications in APPLICATIONS)
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\.(?:py|md|toml|yml|gpg)\b")
LINK = re.compile(r"\]\(([^):#]+)[^)]*\)")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> Iterator[str]:
    """Yield the docstrings and comments of a module."""
    text = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("path", [*SOURCES, *DOCUMENTS], ids=names)
def test_every_file_that_is_named_exists(path: Path) -> None:
    texts = prose(path) if path.suffix == ".py" else [path.read_text()]
    named = {name for text in texts for name in PATH.findall(text)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=names)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    assert [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=names)
def test_every_command_that_is_shown_can_be_read(path: Path) -> None:
    for line in commands(path.read_text()):
        arguments.parse(line, "1.0")


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every `imagebuilder …` in blocks of code and between backticks."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
    for line in lines:
        for found in re.findall(r"(?:^|[ /$(])imagebuilder ([a-z]+\b[^|;&#)>]*)", line):
            command = re.split(r" {2,}", found)[0].replace("[", "").replace("]", "")
            if command.split()[0] in COMMANDS and not command.endswith("--help"):
                yield shlex.split(command)


def test_commands_are_found_in_documents() -> None:
    found = [line for path in DOCUMENTS for line in commands(path.read_text())]
    assert {line[0] for line in found} >= {"build", "plan", "lock", "inspect", "explain", "cache"}
    assert ["build", "examples/flask", "--load", "docker"] in found


def row(option: Option) -> str:
    """Return the line of docs/configuration.md for an option."""
    flag = " ".join(filter(None, (option.flag, option.metavar)))
    name = f"`{flag}`{f', `{option.short}`' if option.short else ''}" if option.commands else f"`{option.key}`"
    where = "all" if GLOBAL in option.commands else ", ".join(option.commands)
    variable = f"`{option.variable}`" if option.variable else ""
    file = ", ".join(filter(None, (option.file, "user" if option.user else "")))
    return f"| {name} | {where} | {variable} | {file} | {option.help} |"


def test_every_option_is_described_as_it_is() -> None:
    rows = [line for line in CONFIGURATION.splitlines() if line.startswith("| `") and line.count("|") == 6]
    assert rows == [row(option) for option in sorted(OPTIONS, key=lambda option: not option.file)]


def test_every_default_is_described_as_it_is() -> None:
    for key, value in config._DEFAULTS.items():
        assert re.search(rf"^\| `{key}` \| .*`{re.escape(value)}`", CONFIGURATION, re.MULTILINE), key


def test_every_variable_of_paketo_is_described() -> None:
    described, _, without_effect = CONFIGURATION.partition("Of others that begin with `BP_`")
    known = {*variables._OPTIONS, *variables._ALWAYS_SO, "BP_IMAGE_LABELS"}
    known |= {f"BP_OCI_{label}" for label in variables._LABELS}
    assert known == set(re.findall(r"BP_[A-Z_]*[A-Z]", described.replace(", _", ", BP_OCI_")))
    others = set(re.findall(r"BP_[A-Z_]*[A-Z]", without_effect.partition("## ")[0]))
    assert len(variables.read(dict.fromkeys(others, "1"), {}).without_effect) == len(others) > 0


def test_every_variable_that_is_read_is_described() -> None:
    read = re.compile(r"""environment(?:\.get\(|\[)"([A-Z_]+)\"""")
    found = {name for path in (ROOT / "imagebuilder").rglob("*.py") for name in read.findall(path.read_text())}
    assert {"SOURCE_DATE_EPOCH", "NO_COLOR", "GITHUB_OUTPUT"} <= found
    assert sorted(found - set(re.findall(r"\b[A-Z_]+\b", CONFIGURATION))) == []
