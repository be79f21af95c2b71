"""Say what is installed, and from where this runs."""

from importlib.metadata import version

import idna
import tabulate

import shelf

print(version("editable"), idna.__version__, tabulate.tabulate([[1, 2]], tablefmt="plain"), shelf.__file__)
