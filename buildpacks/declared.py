"""Declared: where an application names its packages if not in a file that a buildpack of the order installs from.

An image without them would be built and would not start. So this is looked at, and refused.
"""

import re
from collections.abc import Iterator

from buildpacks.api import App, value_at
from layers.errors import DetectionError

_FILES = ("pylock.toml", "environment.yml", "package-list.txt")
_NOT_TO_RUN = re.compile(r"(^|[^a-z])(dev|develop|development|tests?|testing|docs?|lint|ci)([^a-z]|$)", re.IGNORECASE)


def refuse(app: App) -> None:
    """Raise DetectionError IB305 if the packages of an application without requirement files are named elsewhere."""
    for files in (app.glob("*requirements*.txt"), app.glob("requirements/*.txt")):
        for file in files:
            if not _NOT_TO_RUN.search(file):
                raise _refused(file, f'write requirements = ["{file}"] into the configuration')
    for place in _places(app):
        raise _refused(place, "write them to requirements.txt, for example with `uv export` or `pip-compile`")


def _places(app: App) -> Iterator[str]:
    if app.has("pyproject.toml"):
        document = app.toml("pyproject.toml")
        if value_at(document, "project", "dependencies"):
            yield "pyproject.toml [project]"
        poetry = value_at(document, "tool", "poetry", "dependencies")
        if isinstance(poetry, dict) and poetry.keys() - {"python"}:
            yield "pyproject.toml [tool.poetry]"
    if app.has("Pipfile") and value_at(app.toml("Pipfile"), "packages"):
        yield "Pipfile"
    yield from filter(app.has, _FILES)


def _refused(place: str, hint: str) -> DetectionError:
    return DetectionError(
        f"the packages in {place} would be missing: only requirements.txt is installed from",
        hint=f"{hint}; an empty requirements.txt if there is nothing to install",
        code="IB305",
    )
