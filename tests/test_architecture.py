"""The rules of docs/architecture.md that a machine can keep: imports, sizes, error codes, buildpacks in order."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("layers", "buildpacks", "reproducibility", "imagebuilder")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MAY_IMPORT = {
    "layers": {"layers"},
    "buildpacks": {"buildpacks", "layers"},
    "reproducibility": {"reproducibility", "layers"},
    "imagebuilder": set(FOLDERS),
}
FUNCTION_LINES = 50
FILE_LINES = 350


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_folders_below_its_own_and_stays_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    folder = path.relative_to(ROOT).parts[0]
    assert (imports(tree) & set(FOLDERS)) - MAY_IMPORT[folder] == set()
    assert ast.get_docstring(tree), "a module says in one line what it makes"
    assert text.count("\n") <= FILE_LINES
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > FUNCTION_LINES
    ]
    assert long == []


def test_every_error_code_has_a_page_and_a_test() -> None:
    used = {code for path in MODULES for code in re.findall(r'"(IB\d{3})"', path.read_text())}
    pages = {path.stem for path in (ROOT / "imagebuilder" / "explain").glob("IB*.md")}
    tested = {code for path in (ROOT / "tests").rglob("test_*.py") for code in re.findall(r"IB\d{3}", path.read_text())}
    assert used == pages
    assert used - tested == set()
