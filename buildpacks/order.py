"""The order: groups of buildpacks that work together, tried from the top (Paketo RFC 0001)."""

from buildpacks import (
    cpython,
    pdm_install,
    pip,
    pip_install,
    pipenv,
    pipenv_install,
    poetry,
    poetry_install,
    procfile,
    pylock,
    pyproject,
    python_start,
    uv,
    uv_install,
)
from buildpacks.api import Buildpack, Element, Group, Order


def _group(*installers: Buildpack) -> Group:
    """Put the installers of a manager between the interpreter and what starts the application."""
    required = (cpython.BUILDPACK, *installers, python_start.BUILDPACK)
    return (*map(Element, required), Element(procfile.BUILDPACK, optional=True))


ORDER: Order = (
    _group(pip.BUILDPACK, pipenv.BUILDPACK, pipenv_install.BUILDPACK),
    _group(uv.BUILDPACK, uv_install.BUILDPACK),
    _group(pip.BUILDPACK, poetry.BUILDPACK, poetry_install.BUILDPACK),
    _group(pdm_install.BUILDPACK),
    _group(pylock.BUILDPACK),
    _group(pip.BUILDPACK, pip_install.BUILDPACK),
    _group(pip.BUILDPACK, pyproject.BUILDPACK),
    _group(),
)
