"""Say which of the packages are there."""

from importlib.util import find_spec

print([name for name in ("humanize", "tabulate", "six", "h11", "iniconfig", "project_extras") if find_spec(name)])
