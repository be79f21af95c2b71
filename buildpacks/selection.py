"""Selection: of a PEP 751 document, the wheels for one interpreter and target."""

from collections.abc import Mapping

from buildpacks.api import Interpreter, PinnedWheel, Target
from layers.canonical import Json


def select(
    pylock: Mapping[str, Json],
    interpreter: Interpreter,
    target: Target,
    *,
    hashes: Mapping[str, frozenset[str]],
) -> tuple[PinnedWheel, ...]:
    """Choose one wheel of each package, sorted by name; `hashes` are those the user allows, by project."""
    raise NotImplementedError
