"""Say which of the packages are there, and that requirements.txt beside a lock does not count."""

from importlib.util import find_spec

import humanize

names = ("humanize", "tabulate", "h11", "colorama", "iniconfig", "flask")
print(humanize.intcomma(1234567), {name: find_spec(name) is not None for name in names})
