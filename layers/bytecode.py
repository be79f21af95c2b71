"""Where the bytecode of a module lies: apart from its source, under one folder of all (PYTHONPYCACHEPREFIX).

So layers of packages hold no bytecode, and their digests do not depend on the release of Python.
"""

from layers.expression import expression

PREFIX = "layers/bytecode"

# The import system finds no module in a folder or a file whose name has a dot of its own.
_MODULE = expression(r"(?:[^./]+/)*[^./]+\.py")


def is_module(path: str, folder: str) -> bool:
    """Say whether a path is one at which a module can be found that is looked for in a folder."""
    return path.startswith(f"{folder}/") and _MODULE.fullmatch(path, len(folder) + 1) is not None


def place(path: str, series: str) -> str:
    """Return the path of a module's bytecode for CPython of a series (PEP 3147; PYTHONPYCACHEPREFIX)."""
    return f"{PREFIX}/{path.removesuffix('.py')}.cpython-{series.replace('.', '')}.pyc"
