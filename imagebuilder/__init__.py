"""imagebuilder: a Python application in, the same OCI image out; anywhere, every time, and proof of it."""
