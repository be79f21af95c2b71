"""Say which of the packages are there, and that requirements.txt beside a lock does not count."""

from importlib.util import find_spec

import humanize

names = ("tabulate", "h11", "dns", "colorama", "six", "iniconfig", "flask")
print(humanize.naturalsize(16_700_000), [name for name in names if find_spec(name)])
