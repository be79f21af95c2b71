"""The plan: which buildpacks take part, and what each is asked for.

The algorithm is that of the CNB buildpack specification ("Phase #1: Detection", "Order Resolution"), with one
difference: what a `detect` raises stops everything, because a malformed file is an error and not a reason to guess on.
Pure: looks at the application through the buildpacks' `detect` and writes nothing.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from buildpacks.api import App, Buildpack, BuildPlan, Fail, Group, Order, Require
from layers.errors import DetectionError


@dataclass(frozen=True, slots=True)
class Step:
    """A buildpack that takes part, and the requires it is the first to provide for."""

    buildpack: Buildpack
    requires: tuple[Require, ...]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A group that was tried before the one that fits, by the ids of its buildpacks, and why it does not fit."""

    group: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The first group that fits, in order, without the optional buildpacks that do not."""

    steps: tuple[Step, ...]
    passed_over: tuple[PassedOver, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A buildpack that passed, with one of the plans it offers."""

    buildpack: Buildpack
    plan: BuildPlan
    optional: bool


def resolve(order: Order, app: App) -> Plan:
    """Try the groups from the top and return the first that fits; DetectionError IB300 if none does."""
    answers: dict[str, BuildPlan | Fail] = {}
    passed_over: list[PassedOver] = []
    for group in order:
        for element in group:
            if element.buildpack.id not in answers:
                answers[element.buildpack.id] = element.buildpack.detect(app)
        reasons = _failures(group, answers)
        if not reasons:
            if chosen := _choose(group, answers):
                return Plan(_steps(chosen), tuple(passed_over))
            reasons = ("what its buildpacks provide is not what they require",)
        passed_over.append(PassedOver(tuple(element.buildpack.id for element in group), reasons))
    raise _nothing_fits(app, passed_over)


def _failures(group: Group, answers: Mapping[str, BuildPlan | Fail]) -> tuple[str, ...]:
    """Say why buildpacks that a group cannot do without do not fit."""
    reasons = []
    for element in group:
        answer = answers[element.buildpack.id]
        if isinstance(answer, Fail) and not element.optional:
            reasons.append(f"{element.buildpack.id}: {answer.reason}")
    return tuple(reasons)


def _choose(group: Group, answers: Mapping[str, BuildPlan | Fail]) -> tuple[_Candidate, ...]:
    """Try each combination of the buildpacks' alternatives, that of the leftmost changing last."""
    offers: dict[str, list[_Candidate]] = {}
    for element in group:
        buildpack = element.buildpack
        answer = answers[buildpack.id]
        if isinstance(answer, BuildPlan) and buildpack.id not in offers:
            plans = (answer, *answer.alternatives)
            # An optional buildpack is left out only when none of its alternatives works.
            *earlier, last = plans
            offers[buildpack.id] = [_Candidate(buildpack, plan, optional=False) for plan in earlier]
            offers[buildpack.id].append(_Candidate(buildpack, last, optional=element.optional))
    settled = (_settle(trial) for trial in itertools.product(*offers.values()))
    return next((chosen for chosen in settled if chosen), ())


def _settle(trial: tuple[_Candidate, ...]) -> tuple[_Candidate, ...]:
    """Leave out optional buildpacks that do not fit until all fit; nothing if one that has to be there does not."""
    while misfits := [candidate for index, candidate in enumerate(trial) if not _fits(trial, index)]:
        if not all(candidate.optional for candidate in misfits):
            return ()
        trial = tuple(candidate for candidate in trial if candidate not in misfits)
    return trial


def _fits(trial: tuple[_Candidate, ...], index: int) -> bool:
    """Say whether all it requires is provided by it or before, and all it provides is required by it or after."""
    provided = {name for candidate in trial[: index + 1] for name in candidate.plan.provides}
    required = {require.name for candidate in trial[index:] for require in candidate.plan.requires}
    plan = trial[index].plan
    return provided.issuperset(require.name for require in plan.requires) and required.issuperset(plan.provides)


def _steps(chosen: tuple[_Candidate, ...]) -> tuple[Step, ...]:
    provider = {name: candidate.buildpack.id for candidate in reversed(chosen) for name in candidate.plan.provides}
    requires = [require for candidate in chosen for require in candidate.plan.requires]
    return tuple(
        Step(
            candidate.buildpack,
            tuple(require for require in requires if provider[require.name] == candidate.buildpack.id),
        )
        for candidate in chosen
    )


def _nothing_fits(app: App, passed_over: list[PassedOver]) -> DetectionError:
    reasons = dict.fromkeys(reason for group in passed_over for reason in group.reasons)
    if not app.files:
        message, hint = (
            "there is no file for an image in",
            "check the folder, and its .imagebuilderignore if it has one",
        )
    else:
        message, hint = "no buildpack fits", "give the folder that holds the application, or add one of these files"
    return DetectionError(f"{message} {str(app.root)!r}", details=tuple(reasons), hint=hint, code="IB300")
