"""Says which packages of a lock of Poetry 1 are there."""

from importlib import metadata
from importlib.util import find_spec

NAMES = ("jinja2", "markupsafe", "tabulate", "wcwidth", "h11", "colorama", "iniconfig", "rich")
print(metadata.version("humanize"), {name: find_spec(name) is not None for name in NAMES})
