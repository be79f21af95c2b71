"""The check: builds that are varied, and exactly what is to blame where they differ."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reproducibility import blame
from reproducibility.check import MOST_BUILDS, Built, Verdict, check
from reproducibility.difference import Comparison, Difference, ImageComparison, Known
from reproducibility.images import StoredImage, Subject
from reproducibility.scenarios import SCENARIOS, USUAL

# What makes a file differ: any of these sets, if all of it is varied.
Faults = Mapping[str, Collection[frozenset[str]]]
ALWAYS: frozenset[str] = frozenset()


@dataclass
class Workshop:
    """Builds images of files that differ as the faults say, and compares them; remembers what it was asked for."""

    faults: Faults
    built: list[tuple[frozenset[str], int]] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)

    def build(self, varied: Collection[str], number: int) -> Built:
        self.built.append((frozenset(varied), number))
        serial = len(self.built)
        different = sorted(
            f"{file} {serial if ALWAYS in sets else ''}"
            for file, sets in self.faults.items()
            if any(needed <= set(varied) for needed in sets) and (serial > 1 or ALWAYS not in sets)
        )
        described = "|".join(different)
        image = StoredImage("", "linux/amd64", described, {}, "", {}, ())
        subject = Subject("", described, "", {}, (image,))
        return Built(subject, dict.fromkeys(varied, str(number)), {"path": (f"/{serial}",)}, (serial, serial), 0.1)

    def compare(self, left: Subject, right: Subject, known: Known) -> Comparison:
        self.known.append(known)
        files = {part.split()[0] for part in f"{left.digest}|{right.digest}".split("|") if part}
        found = [Difference("file", file, "content", "a", "b", "unknown") for file in sorted(files)]
        if found:
            found.append(Difference("manifest", "layers", "value", "a", "b", "derived", follows=True))
        pair = ImageComparison(left.images[0], right.images[0], (), tuple(found))
        return Comparison(left, right, (pair,))

    def check(self, variations: Collection[str] = USUAL, builds: int = 2) -> Verdict:
        return check(self.build, self.compare, variations=tuple(variations), builds=builds, not_varied={"user": "why"})


def blamed(verdict: Verdict) -> dict[str, set[str]]:
    return {each.path: set(each.blamed) for each in verdict.comparison.everything if not each.follows}


def only(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_equal_builds_are_the_same_and_no_more_are_made() -> None:
    workshop = Workshop({})
    verdict = workshop.check(builds=4)
    assert verdict.same
    assert workshop.built == [(only(), 0), *((frozenset(USUAL), number) for number in (1, 2, 3))]
    assert (verdict.blamed, verdict.not_varied) == ({}, {"user": "why"})
    assert len(verdict.builds) == 4


def test_the_one_variation_to_blame_is_found() -> None:
    verdict = Workshop({"host.txt": [only("hostname")]}).check()
    assert not verdict.same
    assert blamed(verdict) == {"host.txt": {"hostname"}}
    assert verdict.blamed == {"hostname": 1}
    assert len(verdict.builds) <= 11


def test_several_causes_at_once_are_each_found() -> None:
    faults = {name: [only(name)] for name in ("clock", "umask", "order")}
    verdict = Workshop({**faults, "both": [only("clock"), only("zone")]}).check()
    assert blamed(verdict) == {**{name: {name} for name in faults}, "both": {"clock", "zone"}}
    assert verdict.blamed == {"clock": 2, "order": 1, "umask": 1, "zone": 1}


def test_every_variation_can_be_to_blame_at_once() -> None:
    verdict = Workshop({name: [only(name)] for name in USUAL}).check()
    assert blamed(verdict) == {name: {name} for name in USUAL}
    assert len(verdict.builds) <= MOST_BUILDS


def test_variations_that_only_together_make_a_difference_are_named_together() -> None:
    verdict = Workshop({"a": [only("source", "filesystem")], "b": [only("umask", "home", "order")]}).check()
    assert blamed(verdict) == {"a": {"source + filesystem"}, "b": {"umask + home + order"}}


def test_what_differs_without_any_variation_is_put_down_to_chance() -> None:
    verdict = Workshop({"uuid": [ALWAYS], "host.txt": [only("hostname")]}).check()
    assert blamed(verdict) == {"uuid": {"chance"}, "host.txt": {"hostname"}}


def test_what_differs_by_chance_is_explained_as_it_differs_without_any_variation() -> None:
    workshop = Workshop({"build.json": [ALWAYS]})

    def compare(left: Subject, right: Subject, known: Known) -> Comparison:
        found = workshop.compare(left, right, known)
        cause = "hostname" if len(workshop.built) == 2 else "timestamp"
        images = (
            replace(image, differences=tuple(replace(each, cause=cause) for each in image.differences))
            for image in found.images
        )
        return replace(found, images=tuple(images))

    verdict = check(workshop.build, compare, variations=USUAL, builds=2, not_varied={})
    assert [(each.cause, each.blamed) for each in verdict.comparison.everything if not each.follows] == [
        ("timestamp", ("clock",))
    ]


def test_without_anything_to_vary_all_is_chance_and_no_control_build_is_needed() -> None:
    workshop = Workshop({"uuid": [ALWAYS]})
    assert blamed(workshop.check(())) == {"uuid": {"chance"}}
    assert len(workshop.built) == 2


def test_a_cause_that_the_content_does_not_tell_is_refined_by_what_is_to_blame() -> None:
    (difference, _) = Workshop({"set.txt": [only("hashseed")]}).check().comparison.everything
    assert (difference.cause, difference.blamed) == ("set-order", ("hashseed",))


def test_bisection_uses_the_values_of_the_build_that_differed_and_builds_no_set_twice() -> None:
    workshop = Workshop({"locale.txt": [only("locale")]})

    def build(varied: Collection[str], number: int) -> Built:
        built = workshop.build(varied if number == 2 else (), number)
        asked.append((frozenset(varied), number))
        return built

    asked: list[tuple[frozenset[str], int]] = []
    verdict = check(build, workshop.compare, variations=USUAL, builds=5, not_varied={})
    assert blamed(verdict) == {"locale.txt": {"locale"}}
    assert {number for _, number in asked[2:]} == {2}
    assert len(asked) == len(set(asked))


def test_what_is_known_of_both_builds_is_handed_to_the_comparison() -> None:
    workshop = Workshop({})
    workshop.check()
    assert workshop.known == [Known({"path": ("/1",)}, {"path": ("/2",)}, (1, 1), (2, 2))]


def test_too_many_causes_end_in_the_smallest_sets_that_are_known() -> None:
    pairs = {f"{left} {right}": [only(left, right)] for left in USUAL[:7] for right in USUAL[7:]}
    verdict = Workshop({name.replace(" ", "+"): sets for name, sets in pairs.items()}).check()
    assert len(verdict.builds) == MOST_BUILDS
    for path, (named,) in blamed(verdict).items():
        assert set(path.split("+")) <= set(named.split(" + "))


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from("ab"),
        st.one_of(
            st.sets(st.sampled_from(USUAL), min_size=1, max_size=3).map(lambda names: [only(name) for name in names]),
            st.frozensets(st.sampled_from(USUAL), min_size=1, max_size=3).map(lambda names: [names]),
            st.just([ALWAYS]),
        ),
        min_size=1,
    )
)
def test_whatever_the_faults_are_exactly_they_are_blamed(faults: Faults) -> None:
    verdict = Workshop(faults).check()
    expected = {
        file: {" + ".join(name for name in USUAL if name in needed) or "chance" for needed in sets}
        for file, sets in faults.items()
    }
    assert blamed(verdict) == expected


@settings(max_examples=300)
@given(st.lists(st.frozensets(st.sampled_from(USUAL), min_size=1, max_size=4), min_size=1, max_size=4))
def test_of_any_faults_what_is_blamed_is_enough_and_nothing_of_it_can_be_spared(sets: list[frozenset[str]]) -> None:
    def differs(varied: Collection[str]) -> bool:
        return any(needed <= set(varied) for needed in sets)

    found = blame.find({"x"}, USUAL, lambda varied: frozenset("x") if differs(varied) else frozenset())["x"]
    assert found
    for names in found:
        assert differs(names)
        assert not any(differs(set(names) - {name}) for name in names)


def test_every_scenario_has_another_value_for_each_of_the_first_builds() -> None:
    for scenario in SCENARIOS.values():
        usual = scenario.values[0]
        values = [scenario.value(number, unlike=usual) for number in (1, 2)]
        assert usual not in values
        assert len({scenario.value(number) for number in (1, 2, 3)}) == min(3, len(scenario.values))
