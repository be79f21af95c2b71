import sys
from importlib.metadata import version

import humanize


def main() -> None:
    print(version("own-command"), humanize.naturaldelta(int(sys.argv[1])))
