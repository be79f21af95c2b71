"""Whole builds beside those of other builders: the same applications, base, packages and registry."""
