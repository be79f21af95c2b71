"""Selection: the target decides, the host does not."""

from collections.abc import Mapping, Sequence

import pytest

from buildpacks import selection
from buildpacks.api import Interpreter, PinnedWheel, Target
from layers.canonical import Json
from layers.descriptor import Platform
from layers.errors import BuildError, IntegrityError

PYTHON = Interpreter("3.13.5", "/usr/bin/python3.13", "a test")
BOOKWORM = Target(Platform("linux", "amd64"), "debian:bookworm", (2, 36))
TRIXIE = Target(Platform("linux", "amd64"), "debian:trixie", (2, 41))
ARM = Target(Platform("linux", "arm64"), "debian:trixie", (2, 41))


def wheel(name: str, number: int = 0) -> Mapping[str, Json]:
    return {"name": name, "url": f"https://example.com/{name}", "size": 7, "hashes": {"sha256": f"{number:064x}"}}


def pylock(*packages: Mapping[str, Json]) -> Mapping[str, Json]:
    return {"lock-version": "1.0", "created-by": "a test", "packages": packages}


def package(name: str, *tags: str, version: str = "1.0", **more: Json) -> Mapping[str, Json]:
    wheels = [wheel(f"{name.replace('-', '_')}-{version}-{tag}.whl", number) for number, tag in enumerate(tags)]
    return {"name": name, "version": version, "wheels": wheels, **more}


def by_address(url: str) -> Mapping[str, Json]:
    return {"name": "b", "version": "1", "archive": {"url": url, "hashes": {"sha256": "0" * 64}}}


def select(
    *packages: Mapping[str, Json],
    python: Interpreter = PYTHON,
    target: Target = TRIXIE,
    hashes: Mapping[str, frozenset[str]] | None = None,
    urls: Mapping[str, str] | None = None,
) -> Sequence[PinnedWheel]:
    return selection.select(pylock(*packages), python, target, hashes=hashes or {}, urls=urls or {})


def test_pins_are_sorted_by_name_and_hold_no_address() -> None:
    found = select(package("zope-b", "py3-none-any"), package("a", "py3-none-any"))
    assert [one.name for one in found] == ["a", "zope-b"]
    assert found[1].source.name == "zope_b-1.0-py3-none-any.whl"
    assert (found[1].source.locator, found[1].source.size) == ("zope-b", 7)


@pytest.mark.parametrize(
    ("target", "tags", "expected"),
    [
        (TRIXIE, ["py3-none-any", "cp313-cp313-manylinux_2_28_x86_64"], 1),
        (TRIXIE, ["cp313-cp313-manylinux_2_17_x86_64", "cp313-cp313-manylinux_2_41_x86_64"], 1),
        (TRIXIE, ["cp313-cp313-manylinux_2_42_x86_64", "cp313-cp313-manylinux2014_x86_64"], 1),
        (TRIXIE, ["cp313-cp313-musllinux_1_2_x86_64", "cp310-abi3-manylinux1_x86_64"], 1),
        (TRIXIE, ["cp313-cp313t-manylinux_2_28_x86_64", "cp313-cp313-linux_x86_64"], 1),
        (TRIXIE, ["cp312-cp312-manylinux_2_28_x86_64", "cp313-none-any"], 1),
        (TRIXIE, ["cp313-cp313-manylinux_2_28_aarch64", "cp313-cp313-manylinux_2_28_x86_64"], 1),
        (ARM, ["cp313-cp313-manylinux_2_28_aarch64", "cp313-cp313-manylinux_2_28_x86_64"], 0),
        (BOOKWORM, ["cp313-cp313-manylinux_2_39_x86_64", "py2.py3-none-any"], 1),
    ],
)
def test_the_best_wheel_for_the_target_is_chosen(target: Target, tags: list[str], expected: int) -> None:
    (chosen,) = select(package("a", *tags), target=target)
    assert chosen.source.digest.hex == f"{expected:064x}"


def test_markers_are_those_of_the_image() -> None:
    found = select(
        package("a", "py3-none-any", marker="platform_machine == 'aarch64'"),
        package("b", "py3-none-any", marker="platform_machine == 'x86_64' and python_full_version == '3.13.5'"),
        package("c", "py3-none-any", marker="platform_release >= '4'"),
        package("d", "py3-none-any", marker="sys_platform == 'linux' and implementation_name == 'cpython'"),
    )
    assert [one.name for one in found] == ["b", "d"]


@pytest.mark.parametrize(
    "unfit",
    [
        package("b", "cp312-cp312-manylinux_2_28_x86_64"),
        package("b", "cp313-cp313-musllinux_1_2_x86_64", "cp313-cp313-win_amd64"),
        by_address("https://example.com/b-1-cp312-cp312-linux_x86_64.whl"),
        by_address("https://example.com/b-1.tar.bz2"),
    ],
)
def test_a_package_without_a_fitting_wheel_is_ib407(unfit: Mapping[str, Json]) -> None:
    with pytest.raises(BuildError, match="b") as caught:
        select(unfit)
    assert (caught.value.code, caught.value.exit_code) == ("IB407", 4)


def test_a_package_that_would_have_to_be_built_is_ib315() -> None:
    with pytest.raises(BuildError, match="b is a folder") as caught:
        select({"name": "b", "version": "1", "directory": {"path": "."}})
    assert caught.value.code == "IB315"


SDIST: Mapping[str, Json] = {"url": "https://x/b-1.tar.gz", "hashes": {"sha256": "f" * 64}}


@pytest.mark.parametrize("wheels", [(), ("cp312-cp312-manylinux_2_28_x86_64",)])
def test_a_package_without_a_fitting_wheel_is_pinned_as_source(wheels: tuple[str, ...]) -> None:
    offered = {key: value for key, value in package("b", *wheels).items() if value}
    (chosen,) = select({**offered, "sdist": SDIST})
    assert chosen.built and chosen.requires is None
    assert (chosen.source.kind, chosen.source.name, chosen.source.locator) == ("sdist", "b-1.tar.gz", "b")
    (wheel,) = select({**package("b", "py3-none-any"), "sdist": SDIST})
    assert not wheel.built


def test_an_address_of_a_source_is_pinned_with_its_address() -> None:
    (chosen,) = select(by_address("https://example.com/b-1.tar.gz"))
    assert chosen.built
    assert (chosen.source.kind, chosen.source.locator) == ("url", "https://example.com/b-1.tar.gz")


def test_if_only_the_source_is_allowed_by_its_hash_no_wheel_is_chosen() -> None:
    (chosen,) = select(
        {**package("b", "py3-none-any"), "sdist": SDIST}, hashes={"b": frozenset({"sha256:" + "f" * 64})}
    )
    assert chosen.built


def test_only_files_whose_hash_the_user_allows_are_chosen() -> None:
    offered = package("a", "cp313-cp313-manylinux_2_28_x86_64", "py3-none-any")
    (chosen,) = select(offered, hashes={"a": frozenset({f"sha256:{1:064x}"})})
    assert chosen.source.name == "a-1.0-py3-none-any.whl"


@pytest.mark.parametrize("hash_", ["sha256:" + "f" * 64, "sha512:" + "f" * 128])
def test_a_package_with_no_allowed_file_is_an_integrity_error_ib409(hash_: str) -> None:
    for offered in (package("b", "py3-none-any", version="1"), by_address("https://x/b-1-py3-none-any.whl")):
        with pytest.raises(IntegrityError, match="b 1") as caught:
            select(offered, hashes={"b": frozenset({hash_})})
        assert (caught.value.code, caught.value.exit_code) == ("IB409", 6)


def test_a_wheel_by_address_is_pinned_as_the_user_wrote_it() -> None:
    url = "https://user:canary@example.com/b-1.5-py3-none-any.whl?token=canary#x"
    offered = {"name": "b", "archive": {"url": url, "size": 5, "hashes": {"sha256": "1" * 64}}}
    (written,) = select(offered, urls={"b": "https://${TOKEN}@example.com/b-1.5-py3-none-any.whl"})
    (found,) = select(offered)
    assert (written.version, written.source.kind) == ("1.5", "url")
    assert written.source.locator == "https://${TOKEN}@example.com/b-1.5-py3-none-any.whl"
    assert found.source.locator == "https://example.com/b-1.5-py3-none-any.whl"
    assert "canary" not in repr((written, found))


@pytest.mark.parametrize(
    "broken",
    [
        {"lock-version": "1.0", "created-by": "x"},
        {"lock-version": "9.0", "created-by": "x", "packages": []},
        pylock({"name": "a"}),
        pylock({"name": "b", "wheels": [{"url": "https://x/b-1-py3-none-any.whl", "hashes": {"md5": "0"}}]}),
    ],
)
def test_a_document_that_is_no_pylock_is_ib411(broken: Mapping[str, Json]) -> None:
    with pytest.raises(BuildError) as caught:
        selection.select(broken, PYTHON, TRIXIE, hashes={}, urls={})
    assert caught.value.code == "IB411"
