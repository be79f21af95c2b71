"""The order: groups of buildpacks that work together, tried from the top (Paketo RFC 0001)."""

from buildpacks import cpython, pip, pip_install, procfile, python_start
from buildpacks.api import Element, Order

_PROCFILE = Element(procfile.BUILDPACK, optional=True)

ORDER: Order = (
    (
        Element(cpython.BUILDPACK),
        Element(pip.BUILDPACK),
        Element(pip_install.BUILDPACK),
        Element(python_start.BUILDPACK),
        _PROCFILE,
    ),
    (Element(cpython.BUILDPACK), Element(python_start.BUILDPACK), _PROCFILE),
)
