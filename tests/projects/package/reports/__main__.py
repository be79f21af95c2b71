"""Prints every file of the data folder: names that shells, tar headers and tables of contents get wrong."""

from importlib import resources
from pathlib import Path

for path in sorted(Path(str(resources.files("reports") / "data")).rglob("*"), key=str):
    if path.is_file():
        print(f"{path.name}|{path.read_text().strip()}")
