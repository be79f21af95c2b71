"""The plan: which buildpacks take part, and what each is asked for (CNB buildpack specification, "Phase #1").

Pure: looks at the application through the buildpacks' `detect` and writes nothing.
"""

from dataclasses import dataclass

from buildpacks.api import App, Buildpack, Order, Require


@dataclass(frozen=True, slots=True)
class Step:
    """A buildpack that takes part, and the requires it is the first to provide for."""

    buildpack: Buildpack
    requires: tuple[Require, ...]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A group that was tried before the one that fits, by the ids of its buildpacks, and why it does not fit."""

    group: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The first group that fits, in order, without the optional buildpacks that do not."""

    steps: tuple[Step, ...]
    passed_over: tuple[PassedOver, ...] = ()


def resolve(order: Order, app: App) -> Plan:
    """Try the groups from the top and return the first that fits; DetectionError IB300 if none does."""
    raise NotImplementedError
