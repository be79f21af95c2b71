"""Works only when it is installed: its metadata, its entry points and its data are asked for."""

from importlib.metadata import entry_points, version
from importlib.resources import files

import humanize


def read() -> list[str]:
    return files("shelf").joinpath("goods.txt").read_text().split()


def main() -> None:
    (reader,) = entry_points(group="shelf.readers")
    print(version("shelf-life"), humanize.ordinal(len(reader.load()())), __file__.partition("/lib/")[0])
