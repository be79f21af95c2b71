import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildpacks.api import App, Buildpack, BuildPlan, Element, Fail, Order, Require
from imagebuilder.resolve import resolve
from layers.errors import DetectionError
from tests import apps, orders

# Everything is ignored, so this application has no files.
NOWHERE = App(Path("/"), ignored=lambda _path: True)


def buildpack(id_: str, answer: BuildPlan | Fail) -> Buildpack:
    return Buildpack(id_, lambda _app: answer)


def plan(provides: str = "", requires: str = "", *alternatives: BuildPlan) -> BuildPlan:
    return BuildPlan(tuple(provides.split()), tuple(Require(name) for name in requires.split()), alternatives)


def group(*elements: tuple[str, BuildPlan | Fail] | tuple[str, BuildPlan | Fail, str]) -> tuple[Element, ...]:
    return tuple(Element(buildpack(element[0], element[1]), len(element) == 3) for element in elements)


def chosen(order: Order) -> list[str]:
    try:
        return [step.buildpack.id for step in resolve(order, NOWHERE).steps]
    except DetectionError:
        return []


OPTIONAL = "optional"
CASES = {
    "one that needs nothing": (group(("a", plan())), ["a"]),
    "all required ones have to pass": (group(("a", plan()), ("b", Fail("no b"))), []),
    "an optional one may fail": (group(("a", plan()), ("b", Fail("no b"), OPTIONAL)), ["a"]),
    "a group of failed optional ones is none": (group(("a", Fail("no a"), OPTIONAL)), []),
    "a require is met from before": (group(("a", plan("x")), ("b", plan("", "x"))), ["a", "b"]),
    "a require is not met from behind": (group(("a", plan("", "x")), ("b", plan("x"))), []),
    "a buildpack may provide for itself": (group(("a", plan("x", "x"))), ["a"]),
    "an unused provide fails": (group(("a", plan("x"))), []),
    "a second provide after the last require is unused": (
        group(("a", plan("x")), ("b", plan("", "x")), ("c", plan("x"))),
        [],
    ),
    "two provide for one require": (group(("a", plan("x")), ("b", plan("x")), ("c", plan("", "x"))), ["a", "b", "c"]),
    "an optional one with an unmet require is left out": (
        group(("a", plan()), ("b", plan("", "x"), OPTIONAL)),
        ["a"],
    ),
    "an optional one with an unused provide is left out": (group(("a", plan("x"), OPTIONAL), ("b", plan())), ["b"]),
    "leaving one out takes others along": (
        group(
            ("a", plan("x"), OPTIONAL), ("b", plan("y", "x"), OPTIONAL), ("c", plan("", "z"), OPTIONAL), ("d", plan())
        ),
        ["d"],
    ),
    "leaving one out can make a required one fail": (
        group(("a", plan("x")), ("b", plan("", "x y"), OPTIONAL)),
        [],
    ),
    "the second alternative is taken when the first does not work": (
        group(("a", plan("x")), ("b", plan("", "y", plan("", "x")))),
        ["a", "b"],
    ),
    "an optional one is left out only after its last alternative": (
        group(("a", plan("x"), OPTIONAL), ("b", plan("", "y", plan("", "x")), OPTIONAL)),
        ["a", "b"],
    ),
    "the same buildpack twice counts once": (group(("a", plan("x", "x")), ("a", plan("x", "x"))), ["a"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_group_resolves_as_the_specification_says(case: str) -> None:
    elements, expected = CASES[case]
    assert chosen((elements,)) == expected


def rfc_0001(present: set[str]) -> Order:
    """Return the buildpacks and groups of Paketo's RFC 0001, in an application that has these files."""

    def needs(file: str, answer: BuildPlan) -> BuildPlan | Fail:
        return answer if file in present else Fail(f"no {file}")

    start = plan("", "cpython", plan("", "cpython site-packages"), plan("", "conda-environment"))
    packs = {
        "cpython": plan("cpython"),
        "pip": plan("pip", "cpython"),
        "pip-install": needs("requirements.txt", plan("site-packages", "cpython pip")),
        "pipenv": plan("pipenv", "cpython pip"),
        "pipenv-install": needs("Pipfile", plan("site-packages", "cpython pipenv")),
        "miniconda": plan("conda"),
        "conda-env-update": needs("environment.yml", plan("conda-environment", "conda")),
        "python-start": start,
    }
    procfile = Element(buildpack("procfile", needs("Procfile", plan("procfile", "procfile"))), optional=True)
    groups = (
        "cpython pip pipenv pipenv-install python-start",
        "cpython pip pip-install python-start",
        "miniconda conda-env-update python-start",
        "cpython python-start",
    )
    return tuple((*(Element(buildpack(name, packs[name])) for name in ids.split()), procfile) for ids in groups)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("Pipfile requirements.txt", "cpython pip pipenv pipenv-install python-start"),
        ("requirements.txt environment.yml", "cpython pip pip-install python-start"),
        ("environment.yml", "miniconda conda-env-update python-start"),
        ("environment.yml Procfile", "miniconda conda-env-update python-start procfile"),
        ("", "cpython python-start"),
        ("Procfile", "cpython python-start procfile"),
    ],
)
def test_the_groups_of_rfc_0001_resolve_as_it_says(files: str, expected: str) -> None:
    assert chosen(rfc_0001(set(files.split()))) == expected.split()


def composite(present: set[str]) -> Order:
    """Return the order of Paketo's composite buildpack of 2026, in an application that has these files.

    `target` is a poetry script to run, which a variable names there.
    """

    def needs(files: str, answer: BuildPlan) -> BuildPlan | Fail:
        return answer if present.intersection(files.split()) else Fail(f"no {files}")

    start = plan(
        "", "cpython site-packages", plan("", "cpython site-packages pipenv"), plan("", "conda-environment"),
        plan("", "pixi-environment"), plan("", "cpython poetry poetry-venv"), plan("", "cpython"),
    )  # fmt: skip
    manager = "uv" if "uv.lock" in present else "pixi"
    packs = {
        "ca-certificates": plan(),
        "watchexec": plan("watchexec"),
        "cpython": plan("cpython"),
        "pip": plan("pip", "cpython"),
        "pip-install": needs("requirements.txt", plan("site-packages", "cpython pip")),
        "pipenv": plan("pipenv", "pip cpython"),
        "pipenv-install": needs("Pipfile", plan("site-packages", "cpython pipenv")),
        "miniconda": plan("conda"),
        "conda-env-update": needs("environment.yml package-list.txt", plan("conda-environment", "conda")),
        "poetry": needs("pyproject.toml", plan("poetry", "pip cpython")),
        "poetry-install": needs("pyproject.toml", plan("poetry-venv", "cpython poetry")),
        "poetry-run": needs("target", plan("", "cpython poetry poetry-venv")),
        "pm-install": needs("uv.lock pixi.lock", plan(manager)),
        "pm-run": needs("uv.lock pixi.lock", plan(f"{manager}-environment", manager)),
        "python-start": plan("", "uv-environment") if "uv.lock" in present else start,
        "procfile": needs("Procfile", plan("procfile", "procfile")),
    }
    groups = (
        "cpython pip pipenv pipenv-install python-start",
        "cpython pip pip-install python-start",
        "miniconda conda-env-update python-start",
        "cpython pip poetry poetry-install poetry-run",
        "cpython pip poetry poetry-install python-start",
        "cpython pm-install pm-run poetry-run",
        "cpython? pm-install pm-run python-start",
        "cpython python-start",
    )
    return tuple(
        tuple(
            Element(buildpack(name.rstrip("?"), packs[name.rstrip("?")]), optional=name.endswith("?"))
            for name in f"ca-certificates? watchexec? {ids} procfile?".split()
        )
        for ids in groups
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("Pipfile requirements.txt pyproject.toml", "cpython pip pipenv pipenv-install python-start"),
        ("requirements.txt pyproject.toml Procfile", "cpython pip pip-install python-start procfile"),
        ("package-list.txt pyproject.toml", "miniconda conda-env-update python-start"),
        ("pyproject.toml target", "cpython pip poetry poetry-install poetry-run"),
        ("pyproject.toml", "cpython pip poetry poetry-install python-start"),
        ("pyproject.toml uv.lock", "pm-install pm-run python-start"),
        ("pixi.lock", "pm-install pm-run python-start"),
        ("Procfile", "cpython python-start procfile"),
    ],
)
def test_the_groups_of_todays_composite_resolve_as_the_specification_says(files: str, expected: str) -> None:
    order = composite(set(files.split()))
    assert chosen(order) == orders.brute_force(order, NOWHERE) == ["ca-certificates", *expected.split()]


def test_they_do_so_for_any_files() -> None:
    files = ("Pipfile", "requirements.txt", "environment.yml", "pyproject.toml", "target", "uv.lock", "pixi.lock")
    for count in range(len(files) + 1):
        for present in itertools.combinations(files, count):
            order = composite(set(present))
            assert chosen(order) == orders.lifecycle(order, NOWHERE), present


def test_the_leftmost_alternatives_change_last() -> None:
    seen = plan("x1 y1", "", plan("x1 y2"), plan("x2 y1"), plan("x2 y2"))
    picky = plan("", "x2 y1", plan("", "x1 y2"))
    found = resolve((group(("a", seen), ("b", picky)),), NOWHERE)
    assert [require.name for step in found.steps for require in step.requires] == ["x1", "y2"]


def test_a_step_is_asked_for_what_it_is_the_first_to_provide() -> None:
    early, late = Require("x", build=True), Require("x", launch=True, version="3")
    order = (
        group(
            ("a", BuildPlan(provides=("x",))),
            ("b", BuildPlan(provides=("x",), requires=(early,))),
            ("c", BuildPlan(requires=(late,))),
        ),
    )
    steps = resolve(order, NOWHERE).steps
    assert [step.requires for step in steps] == [(early, late), (), ()]


def test_detect_runs_once_for_all_groups_and_not_for_groups_behind_the_one_that_fits() -> None:
    calls: list[str] = []

    def counted(id_: str, answer: BuildPlan | Fail) -> Element:
        return Element(Buildpack(id_, lambda _app: (calls.append(id_), answer)[1]))

    shared, never = counted("shared", plan()), counted("never", plan())
    resolve(((shared, counted("a", Fail("no a"))), (shared,), (never,)), NOWHERE)
    assert calls == ["shared", "a"]


def considered(*groups: tuple[Element, ...]) -> list[tuple[str, list[str]]]:
    return [(each.state, list(map(str, each.reasons))) for each in resolve(groups, NOWHERE).groups]


def test_every_group_is_named_with_what_came_of_it() -> None:
    first = group(("a", Fail("no a")), ("b", Fail("no b"), OPTIONAL), ("c", Fail("no c")))
    second = group(("d", plan("x")))
    third = group(("e", plan()), ("b", Fail("no b"), OPTIONAL))
    assert considered(first, second, third, first) == [
        ("passed over", ["a: no a", "c: no c"]),
        ("passed over", ["d: it provides x, which none after it requires"]),
        ("chosen", ["b: no b"]),
        ("not tried", []),
    ]
    assert resolve((first, third), NOWHERE).groups[0].group == ("a", "b", "c")


def test_a_group_without_a_buildpack_that_fits_is_explained() -> None:
    nobody = group(("a", Fail("no a"), OPTIONAL), ("b", plan("", "x"), OPTIONAL))
    assert considered(nobody, group(("e", plan())))[0] == (
        "passed over",
        ["a: no a", "b: it requires x, which none before it provides"],
    )


def test_the_alternative_that_comes_nearest_is_explained() -> None:
    far_and_near = plan("", "x y z", plan("", "x"))
    assert considered(group(("a", far_and_near)), group(("e", plan())))[0][1] == [
        "a: it requires x, which none before it provides"
    ]


def test_an_optional_buildpack_that_went_with_another_is_explained() -> None:
    chain = group(("a", plan("x", "w"), OPTIONAL), ("b", plan("", "x"), OPTIONAL), ("c", plan()))
    assert considered(chain) == [
        (
            "chosen",
            ["a: it requires w, which none before it provides", "a: it provides x, which none after it requires",
             "b: it requires x, which none before it provides"],
        )
    ]  # fmt: skip


def test_each_need_names_who_has_it_and_who_meets_it() -> None:
    order = (group(("a", plan("x", "x")), ("b", plan("x", "")), ("c", plan("", "x"))),)
    assert [(each.require.name, each.required_by, each.provided_by) for each in resolve(order, NOWHERE).needs] == [
        ("x", "a", "a"),
        ("x", "c", "a"),
    ]


def test_nothing_detected_lists_what_was_looked_for_once(tmp_path: Path) -> None:
    order = (group(("a", Fail("no a.txt"))), group(("a", Fail("no a.txt")), ("b", Fail("no b.txt"))))
    with pytest.raises(DetectionError, match="there is no file for an image") as caught:
        resolve(order, apps.make(tmp_path, {}))
    assert (caught.value.code, caught.value.exit_code) == ("IB300", 3)
    assert caught.value.details == ("a: no a.txt", "b: no b.txt")
    with pytest.raises(DetectionError, match="no buildpack fits"):
        resolve(order, apps.make(tmp_path, {"README": ""}))


names = st.lists(st.sampled_from("xyz"), max_size=2, unique=True).map(" ".join)
plans = st.builds(plan, names, names)
answers = st.one_of(
    st.builds(lambda first, more: plan(" ".join(first.provides), " ".join(r.name for r in first.requires), *more),
              plans, st.lists(plans, max_size=2)),
    st.just(Fail("no")),
)  # fmt: skip
elements = st.tuples(answers, st.booleans())
drawn_orders = st.lists(st.lists(elements, min_size=1, max_size=5), min_size=1, max_size=3)


def ordered(drawn: list[list[tuple[BuildPlan | Fail, bool]]]) -> Order:
    return tuple(
        tuple(
            Element(buildpack(f"{number}.{index}", answer), optional) for index, (answer, optional) in enumerate(listed)
        )
        for number, listed in enumerate(drawn)
    )


@settings(max_examples=400)
@given(drawn_orders)
def test_any_order_resolves_as_the_lifecycle_does(drawn: list[list[tuple[BuildPlan | Fail, bool]]]) -> None:
    order = ordered(drawn)
    assert chosen(order) == orders.lifecycle(order, NOWHERE) == orders.brute_force(order, NOWHERE)


@settings(max_examples=200)
@given(drawn_orders)
def test_any_group_that_is_not_chosen_has_a_reason(drawn: list[list[tuple[BuildPlan | Fail, bool]]]) -> None:
    last = ((Element(buildpack("last", plan())),),)
    found = resolve((*ordered(drawn), *last), NOWHERE)
    taken = {step.buildpack.id for step in found.steps}
    for each in found.groups:
        explained = {reason.buildpack for reason in each.reasons}
        if each.state == "chosen":
            assert explained == set(each.group) - taken
        elif each.state == "passed over":
            assert explained
            assert explained <= set(each.group)
    assert {need.required_by for need in found.needs} | {need.provided_by for need in found.needs} <= taken
    assert sum(len(step.requires) for step in found.steps) == len(found.needs)
