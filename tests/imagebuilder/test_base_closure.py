"""Pins: the newest packages, and what they need."""

from collections.abc import Sequence

import pytest

from imagebuilder.base import debian
from imagebuilder.base.closure import closure
from imagebuilder.base.index import PackageIndex
from layers.digest import Digest
from layers.errors import BuildError
from tests import debs
from tests.debs import Package

package = debs.package


def index(*packages: Package) -> PackageIndex:
    stanzas: dict[str, list[tuple[str, bytes]]] = {}
    for each in packages:
        text = (
            f"Package: {each.name}\nVersion: {each.version}\nArchitecture: {each.architecture}\n"
            f"Filename: pool/main/x/{each.file_name}\nSize: 1\nSHA256: {Digest.of(each.content).hex}\n"
            f"Depends: {each.depends}\nProvides: {each.provides}\n"
        )
        stanzas.setdefault(each.name, []).append(("debian", text.encode()))
    return PackageIndex("trixie", "amd64", "20261120T141110Z", stanzas)


def names(found: PackageIndex, *wanted: str) -> Sequence[str]:
    return list(closure(found, wanted))


def failed(found: PackageIndex, *wanted: str) -> BuildError:
    with pytest.raises(BuildError) as caught:
        closure(found, wanted)
    return caught.value


def test_a_closure_has_what_is_needed_and_no_more() -> None:
    found = index(
        package("a", depends="b, c (>= 1)"), package("b", depends="d"), package("c"), package("d"), package("e")
    )
    assert names(found, "a") == ["a", "b", "c", "d"]


def test_packages_may_need_each_other() -> None:
    assert names(index(package("a", depends="b"), package("b", depends="a")), "b") == ["a", "b"]


def test_the_newest_version_is_taken() -> None:
    found = index(package("a", version="1.9-1"), package("a", version="1.10-1"), package("a", version="1.10~rc1-1"))
    assert closure(found, ["a"])["a"].deb.version == "1.10-1"


def test_of_alternatives_the_first_is_taken() -> None:
    assert names(index(package("a", depends="x | b | c"), package("b"), package("c")), "a") == ["a", "b"]


def test_an_alternative_that_is_chosen_anyway_is_enough() -> None:
    found = index(package("a", depends="b | c"), package("b"), package("c"))
    assert names(found, "a", "c") == ["a", "c"]


def test_an_alternative_of_a_wrong_version_does_not_count() -> None:
    found = index(package("a", depends="b (>= 2) | c (>= 1)"), package("b"), package("c"))
    assert names(found, "a") == ["a", "c"]


def test_a_virtual_package_is_met_by_what_provides_it() -> None:
    found = index(package("a", depends="virtual (= 2)"), package("b", provides="virtual"))
    assert failed(found, "a").code == "IB555"
    found = index(package("a", depends="virtual (= 2)"), package("c", provides="other, virtual (= 2)"))
    assert names(found, "a") == ["a", "c"]
    found = index(package("a", depends="virtual"), package("c", provides="virtual"), package("b", provides="virtual"))
    assert names(found, "a", "c") == ["a", "c"]


def test_an_architecture_behind_a_name_is_passed_over() -> None:
    assert names(index(package("a", depends="b:any (>= 1)"), package("b")), "a") == ["a", "b"]


def test_what_only_maintainer_scripts_call_is_left_out() -> None:
    found = index(
        package("a", depends="debconf (>= 0.5) | debconf-2.0, dpkg, b, openssl"),
        package("ca-certificates", depends="openssl"),
        package("openssl"),
        package("b"),
    )
    assert names(found, "a") == ["a", "b", "openssl"]
    assert names(found, "ca-certificates") == ["ca-certificates"]
    assert names(found, "openssl") == ["openssl"]


def test_a_package_that_is_below_is_not_added_again() -> None:
    found = index(package("a", depends="b"), package("b", depends="c"), package("c"))
    below = closure(found, ["b"])
    assert list(closure(found, ["a"], below=below)) == ["a"]


def test_a_missing_package_is_named_with_its_neighbours() -> None:
    error = failed(index(package("libpq5"), package("libpq-dev"), package("zlib1g")), "libpg5")
    assert (error.code, error.exit_code) == ("IB554", 4)
    assert "'libpg5'" in error.message
    assert "libpq5" in error.hint


def test_a_virtual_package_that_is_asked_for_is_answered_with_its_providers() -> None:
    error = failed(index(package("postfix", provides="mta"), package("exim4", provides="mta")), "mta")
    assert "exim4 or postfix" in error.hint


def test_a_dependency_that_cannot_be_met_is_named() -> None:
    error = failed(index(package("a", depends="b (>= 2) | c"), package("b")), "a")
    assert error.code == "IB555"
    assert "b (>= 2) or c" in error.message


BASE = [package(name, version="2.41-12+deb13u4" if name == "libc6" else "1") for name in debian.BASE]


def test_pins_have_three_tiers_each_without_those_below() -> None:
    found = index(
        *BASE,
        package("python3.13", version="3.13.5-2", depends="libc6, libssl3"),
        package("libssl3", depends="zlib1g"),
        package("libpq5", depends="libssl3, libldap2"),
        package("libldap2"),
    )
    (python,) = debian.interpreters(found)
    pins = debian.pin(found, interpreter=python, packages=("libpq5", "zlib1g"))
    tiers = [[deb.name for deb in tier] for tier in pins.tiers]
    assert tiers == [sorted(debian.BASE), ["libssl3", "python3.13"], ["libldap2", "libpq5"]]
    assert (pins.suite, pins.architecture, pins.snapshot) == ("trixie", "amd64", "20261120T141110Z")
    alone = debian.pin(found, interpreter=None, packages=())
    assert [len(tier) for tier in alone.tiers] == [len(debian.BASE), 0, 0]


def test_interpreters_are_listed_newest_first_but_for_the_default_of_the_suite() -> None:
    found = index(
        package("python3.9", version="3.9.2-1"),
        package("python3.13", version="3.13.5-2+deb13u1"),
        package("python3.15", version="3.15.0~rc1-1"),
        package("python3", version="3.13.5-1"),
        package("python3.13-minimal", version="3.13.5-2"),
    )
    listed = debian.interpreters(found)
    assert [each.version for each in listed] == ["3.13.5", "3.15.0rc1", "3.9.2"]
    assert (listed[0].executable, listed[0].packages, listed[0].series) == (
        "/usr/bin/python3.13",
        ("python3.13",),
        "3.13",
    )


def test_the_target_has_the_glibc_of_the_base() -> None:
    found = index(*BASE)
    pins = debian.pin(found, interpreter=None, packages=())
    assert debian.target(found) == pins.target
    assert pins.target.glibc == (2, 41)
    assert str(pins.target.platform) == "linux/amd64"
    assert pins.target.distribution == "debian:trixie"


def test_pins_have_three_tiers_or_are_none() -> None:
    with pytest.raises(TypeError, match="3 tiers, not 1"):
        debian.BasePins("trixie", "amd64", "", ((),))


def test_pins_without_a_c_library_are_refused() -> None:
    pins = debian.BasePins("trixie", "amd64", "", ((), (), ()))
    with pytest.raises(BuildError) as caught:
        _ = pins.target
    assert caught.value.code == "IB555"
