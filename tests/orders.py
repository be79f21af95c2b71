"""The rules by which an order of buildpacks is resolved, stated twice more to compare ours with.

`lifecycle` keeps its books as the lifecycle of Cloud Native Buildpacks does. `brute_force` has no algorithm: of all
subsets of a group it takes the largest in which everything is in order. Both return the ids of the chosen buildpacks.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from buildpacks.api import App, BuildPlan, Fail, Group, Order

Trial = list[tuple[int, BuildPlan, bool]]


def trials(group: Group, app: App) -> Iterator[Trial]:
    """Yield each combination of alternatives: the place of a buildpack, its plan, and whether it may be left out."""
    answers = [element.buildpack.detect(app) for element in group]
    if any(isinstance(a, Fail) and not e.optional for a, e in zip(answers, group, strict=True)):
        return
    offers = []
    for index, (answer, element) in enumerate(zip(answers, group, strict=True)):
        if isinstance(answer, BuildPlan):
            plans = [answer, *answer.alternatives]
            offers.append([(index, p, element.optional and n == len(plans) - 1) for n, p in enumerate(plans)])
    yield from map(list, itertools.product(*offers))


@dataclass
class Book:
    extra: list[int] = field(default_factory=list)
    providers: list[int] = field(default_factory=list)
    early: list[int] = field(default_factory=list)


def in_books(trial: Trial) -> Trial | None:
    while True:
        books: dict[str, Book] = {}
        for index, answer, _ in trial:
            for name in answer.provides:
                books.setdefault(name, Book()).extra.append(index)
            for require in answer.requires:
                book = books.setdefault(require.name, Book())
                book.providers += book.extra
                book.extra = []
                if not book.providers:
                    book.early.append(index)
        wrong = {index for book in books.values() for index in (*book.early, *book.extra)}
        if not wrong:
            return trial or None
        if any(not optional for index, _, optional in trial if index in wrong):
            return None
        removed = min(wrong)
        trial = [item for item in trial if item[0] != removed]


def lifecycle(order: Order, app: App) -> list[str]:
    for elements in order:
        for trial in trials(elements, app):
            if found := in_books(trial):
                return [elements[index].buildpack.id for index, _, _ in found]
    return []


def in_order(trial: Trial) -> bool:
    return all(
        all(any(r.name in p.provides for _, p, _ in trial[: place + 1]) for r in answer.requires)
        and all(any(name == r.name for _, p, _ in trial[place:] for r in p.requires) for name in answer.provides)
        for place, (_, answer, _) in enumerate(trial)
    )


def brute_force(order: Order, app: App) -> list[str]:
    for elements in order:
        for trial in trials(elements, app):
            needed = {item[0] for item in trial if not item[2]}
            for size in range(len(trial), 0, -1):
                for subset in itertools.combinations(trial, size):
                    if needed <= {item[0] for item in subset} and in_order(list(subset)):
                        return [elements[index].buildpack.id for index, _, _ in subset]
    return []
