"""Say which of the packages Poetry has installed."""

from importlib.util import find_spec

import humanize

names = ("humanize", "tabulate", "h11", "colorama", "iniconfig", "flask")
print(humanize.intcomma(1234567), {name: find_spec(name) is not None for name in names})
