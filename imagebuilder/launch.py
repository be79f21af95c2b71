"""How the image starts: its processes, the default one, and a launcher script for each of them."""

from collections.abc import Iterable

from buildpacks.api import LayerSpec, Process


def merge_processes(processes: Iterable[Process]) -> tuple[Process, ...]:
    """Return one process of each type, sorted by type; the last definition of a type wins.

    At most one is the default: the last that says so (CNB platform specification, "Launch").
    """
    raise NotImplementedError


def choose_default(processes: tuple[Process, ...], wanted: str = "") -> Process:
    """Return the process the image starts: `wanted`, else the default one, else `web`, else the only one.

    Raises UsageError IB650 if there is no such process, or several and none of them is the default.
    """
    raise NotImplementedError


def launcher_layer(processes: tuple[Process, ...], interpreter: str) -> LayerSpec:
    """Describe the layer of `/cnb/process/<type>`; `interpreter` is the absolute path of a Python in the image."""
    raise NotImplementedError
