"""The order: groups of buildpacks that work together, tried from the top (Paketo RFC 0001)."""

from collections.abc import Sequence

from buildpacks import (
    conda_env_update,
    cpython,
    miniconda,
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

# What stands before what starts the application; the first that fits counts.
_INSTALLERS = (
    (pip.BUILDPACK, pipenv.BUILDPACK, pipenv_install.BUILDPACK),
    (uv.BUILDPACK, uv_install.BUILDPACK),
    (pip.BUILDPACK, poetry.BUILDPACK, poetry_install.BUILDPACK),
    (pdm_install.BUILDPACK,),
    (pylock.BUILDPACK,),
    (pip.BUILDPACK, pip_install.BUILDPACK),
    (miniconda.BUILDPACK, conda_env_update.BUILDPACK),
    (pip.BUILDPACK, pyproject.BUILDPACK),
    (),
)


def order(outside: Sequence[Buildpack] = ()) -> Order:
    """Return the order with buildpacks from outside: installers first, additions before the Procfile in each group."""
    own = tuple((buildpack,) for buildpack in outside if buildpack.place == "installer")
    additions = tuple(buildpack for buildpack in outside if buildpack.place == "addition")
    return tuple(_group(installers, additions) for installers in (*own, *_INSTALLERS))


def _group(installers: Sequence[Buildpack], additions: Sequence[Buildpack]) -> Group:
    # An environment of conda has its own Python.
    python = () if miniconda.BUILDPACK in installers else (cpython.BUILDPACK,)
    required = (*python, *installers, python_start.BUILDPACK)
    return (*map(Element, required), *(Element(each, optional=True) for each in (*additions, procfile.BUILDPACK)))


ORDER: Order = order()
