"""The plan: which buildpacks take part, what each is asked for, and why it is these.

The algorithm is that of the CNB buildpack specification ("Phase #1: Detection", "Order Resolution"), with one
difference: what a `detect` raises stops everything, because a malformed file is an error and not a reason to guess on.
Pure: looks at the application through the buildpacks' `detect` and writes nothing.
"""

import itertools
from collections.abc import Mapping
from typing import Literal

from buildpacks.api import App, Buildpack, BuildPlan, Fail, Group, Order, Require
from layers.errors import DetectionError
from layers.values import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A buildpack that takes part, and the requires it is the first to provide for."""

    buildpack: Buildpack
    requires: tuple[Require, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """A require with the ids of the buildpack that states it and of the first that provides for it."""

    require: Require
    required_by: str
    provided_by: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a buildpack does not take part; `unmet` if it would, but for what others provide and require."""

    buildpack: str
    text: str
    unmet: bool = False

    def __str__(self) -> str:
        return f"{self.buildpack}: {self.text}"


@dataclass(frozen=True, slots=True)
class Considered:
    """A group of the order by the ids of its buildpacks, and what came of it.

    `reasons` say why it was passed over; of the chosen one, why optional buildpacks are left out.
    """

    group: tuple[str, ...]
    state: Literal["chosen", "passed over", "not tried"]
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The first group that fits, in order, without the optional buildpacks that do not; and how it was found."""

    steps: tuple[Step, ...]
    needs: tuple[Need, ...] = ()
    groups: tuple[Considered, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A buildpack that passed, with one of the plans it offers."""

    buildpack: Buildpack
    plan: BuildPlan
    optional: bool


_Trial = tuple[_Candidate, ...]
_Answers = Mapping[str, BuildPlan | Fail]


def resolve(order: Order, app: App) -> Plan:
    """Try the groups from the top and return the first that fits; DetectionError IB300 if none does."""
    answers: dict[str, BuildPlan | Fail] = {}
    passed_over: list[Considered] = []
    for number, group in enumerate(order, 1):
        for element in group:
            if element.buildpack.id not in answers:
                answers[element.buildpack.id] = element.buildpack.detect(app)
        chosen, reasons = _choose(group, answers)
        if chosen:
            groups = (
                *passed_over,
                Considered(_ids(group), "chosen", _left_out(group, answers, chosen)),
                *(Considered(_ids(other), "not tried") for other in order[number:]),
            )
            needs = _needs(chosen)
            return Plan(_steps(chosen, needs), needs, groups)
        passed_over.append(Considered(_ids(group), "passed over", reasons))
    raise _nothing_fits(app, passed_over)


def _ids(group: Group) -> tuple[str, ...]:
    return tuple(element.buildpack.id for element in group)


def _choose(group: Group, answers: _Answers) -> tuple[_Trial, tuple[Reason, ...]]:
    """Try each combination of the buildpacks' alternatives, that of the leftmost changing last.

    If none works, return why the one that came nearest does not.
    """
    failed = tuple(
        Reason(element.buildpack.id, answer.reason)
        for element in group
        if isinstance(answer := answers[element.buildpack.id], Fail) and not element.optional
    )
    if failed:
        return (), failed
    nearest: tuple[Reason, ...] | None = None
    for trial in itertools.product(*_offers(group, answers).values()):
        chosen, reasons = _settle(trial)
        if chosen:
            return chosen, ()
        if nearest is None or len(reasons) < len(nearest):
            nearest = reasons
    return (), nearest or _left_out(group, answers, ())


def _offers(group: Group, answers: _Answers) -> dict[str, list[_Candidate]]:
    """Return the plans that each buildpack offers, in the order of the group."""
    offers: dict[str, list[_Candidate]] = {}
    for element in group:
        buildpack = element.buildpack
        answer = answers[buildpack.id]
        if isinstance(answer, BuildPlan) and buildpack.id not in offers:
            # An optional buildpack is left out only when none of its alternatives works.
            *earlier, last = (answer, *answer.alternatives)
            offers[buildpack.id] = [_Candidate(buildpack, plan, optional=False) for plan in earlier]
            offers[buildpack.id].append(_Candidate(buildpack, last, optional=element.optional))
    return offers


def _settle(trial: _Trial) -> tuple[_Trial, tuple[Reason, ...]]:
    """Leave out optional buildpacks that do not fit until all fit; nothing, and why, if one that is needed does not."""
    while misfits := [candidate for candidate in trial if _misfit(trial, candidate)]:
        if reasons := tuple(
            reason for candidate in misfits if not candidate.optional for reason in _misfit(trial, candidate)
        ):
            return (), reasons
        trial = tuple(candidate for candidate in trial if candidate not in misfits)
    return trial, ()


def _misfit(trial: _Trial, candidate: _Candidate) -> tuple[Reason, ...]:
    """Say what it requires that neither it nor one before provides, and what it provides that none from it on requires.

    A smaller trial never has fewer of these, so what was left out once need not be tried again.
    """
    place = trial.index(candidate)
    provided = {name for each in trial[: place + 1] for name in each.plan.provides}
    required = {require.name for each in trial[place:] for require in each.plan.requires}
    plan = candidate.plan
    return (
        *(
            Reason(candidate.buildpack.id, f"it requires {require.name}, which none before it provides", unmet=True)
            for require in plan.requires
            if require.name not in provided
        ),
        *(
            Reason(candidate.buildpack.id, f"it provides {name}, which none after it requires", unmet=True)
            for name in plan.provides
            if name not in required
        ),
    )


def _left_out(group: Group, answers: _Answers, chosen: _Trial) -> tuple[Reason, ...]:
    """Say why the optional buildpacks that are not in the chosen group are not."""
    there = {candidate.buildpack.id: candidate for candidate in chosen}
    reasons: list[Reason] = []
    for id_ in dict.fromkeys(_ids(group)):
        answer = answers[id_]
        if isinstance(answer, Fail):
            reasons.append(Reason(id_, answer.reason))
        elif id_ not in there:
            last = _offers(group, answers)[id_][-1]
            with_it = tuple(last if other == id_ else there[other] for other in _ids(group) if other in {*there, id_})
            reasons += _misfit(with_it, last)
    return tuple(reasons)


def _needs(chosen: _Trial) -> tuple[Need, ...]:
    provider = {name: candidate.buildpack.id for candidate in reversed(chosen) for name in candidate.plan.provides}
    return tuple(
        Need(require, candidate.buildpack.id, provider[require.name])
        for candidate in chosen
        for require in candidate.plan.requires
    )


def _steps(chosen: _Trial, needs: tuple[Need, ...]) -> tuple[Step, ...]:
    return tuple(
        Step(each.buildpack, tuple(need.require for need in needs if need.provided_by == each.buildpack.id))
        for each in chosen
    )


def _nothing_fits(app: App, passed_over: list[Considered]) -> DetectionError:
    reasons = dict.fromkeys(reason for group in passed_over for reason in group.reasons)
    # What every group lacks says most; that there are no locks of managers nobody uses says nothing.
    common = [reason for reason in reasons if all(reason in group.reasons for group in passed_over)]
    if not app.files:
        message, hint = (
            "there is no file for an image in",
            "check the folder, and its .imagebuilderignore if it has one",
        )
    else:
        message, hint = "no buildpack fits", "give the folder that holds the application, or add one of these files"
    details = tuple(dict.fromkeys(map(str, [*common, *reasons])))[:2]
    return DetectionError(f"{message} {str(app.root)!r}", details=details, hint=hint, code="IB300")
