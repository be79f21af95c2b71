"""imagebuilder: a Python application in, the same OCI image out; anywhere, every time, and proof of it."""

__version__ = "0.1.0"
