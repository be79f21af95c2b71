"""The virtual environment as layers: which wheel goes where, and what makes a layer another one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from buildpacks import environment
from buildpacks.api import App, BuildContext, Files, Folder, Interpreter, LayerSpec, PinnedWheel, Pins, Source, Target
from layers.canonical import Json
from layers.descriptor import Platform
from layers.digest import Digest
from layers.entry import Entry, Kind
from layers.errors import IntegrityError
from layers.listing import Listing
from tests import index
from tests.index import Wheel

PYTHON = Interpreter("3.13.5", "/usr/bin/python3.13", "a test")
TARGET = Target(Platform("linux", "amd64"), "debian:trixie", (2, 41))
MIB = 1 << 20


def pinned(name: str, size: int | None) -> PinnedWheel:
    return PinnedWheel(name, "1.0", Source("wheel", f"{name}.whl", Digest.of(name.encode()), size, name))


def stored(folder: Path, *wheels: Wheel) -> tuple[list[PinnedWheel], dict[Digest, Path]]:
    files = {}
    for one in wheels:
        files[one.source.digest] = folder / one.filename
        files[one.source.digest].write_bytes(one.content)
    return [PinnedWheel(one.project, "1.0", one.source) for one in wheels], files


def made(spec: LayerSpec, files: Mapping[Digest, Path]) -> dict[str, Entry]:
    return {one.path: one for one in spec.entries({source.digest: files[source.digest] for source in spec.sources})}


def test_a_build_without_packages_is_an_empty_environment(tmp_path: Path) -> None:
    built = environment.build(BuildContext(App(tmp_path), (), TARGET, PYTHON, Pins(), frozenset()))
    assert built.env == {"PATH": "/layers/site-packages/bin", "VIRTUAL_ENV": "/layers/site-packages"}
    entries = made(built.layers[0], {})
    assert len(built.layers) == 1
    assert entries["layers/site-packages/bin/python"].target == "/usr/bin/python3.13"
    assert entries["layers/site-packages/bin/python3.13"].target == "python"
    assert entries["layers/site-packages/lib/python3.13/site-packages"].kind is Kind.DIRECTORY
    assert b"home = /usr/bin\n" in bytes(entries["layers/site-packages/pyvenv.cfg"].content)  # type: ignore[arg-type]


def names(wheels: Sequence[PinnedWheel]) -> list[str]:
    return [spec.name for spec in environment.wheel_layers(wheels, PYTHON)]


def test_large_wheels_have_layers_of_their_own_and_small_ones_share_one() -> None:
    wheels = [pinned("b", MIB), pinned("small", 999_999), pinned("a", 9 * MIB), pinned("unknown", None)]
    specs = environment.wheel_layers(wheels, PYTHON)
    assert [spec.name for spec in specs] == ["environment", "a", "b", "site-packages"]
    assert [source.locator for source in specs[-1].sources] == ["small", "unknown"]
    assert len(specs[0].sources) == 4
    assert [(spec.packages, spec.why[:5]) for spec in specs[1:]] == [
        (("a",), "large"),
        (("b",), "large"),
        (("small", "unknown"), "all t"),
    ]


def test_of_many_large_wheels_the_largest_have_layers_of_their_own() -> None:
    wheels = [pinned(f"p{number:03}", MIB + number // 2) for number in range(100)]
    found = names(wheels)
    assert len(found) == 1 + 72
    assert [name for name in found if not name.startswith("site-packages ")][1] == "p046"
    assert names(list(reversed(wheels))) == found


def test_a_layers_key_depends_on_its_wheels_and_the_series_but_not_on_order_or_patch_release() -> None:
    wheels = [pinned("a", 1), pinned("b", 2), pinned("big", MIB)]

    def keys(wheels: Sequence[PinnedWheel], version: str = "3.13.5") -> list[Mapping[str, Json]]:
        executable = f"/usr/bin/python{version.rpartition('.')[0]}"
        return [one.key for one in environment.wheel_layers(wheels, Interpreter(version, executable, "a test"))]

    assert keys(wheels) == keys(list(reversed(wheels))) == keys(wheels, "3.13.9")
    assert [mine == other for mine, other in zip(keys(wheels), keys(wheels, "3.12.5"), strict=True)] == [False] * 3
    assert keys(wheels)[1] == keys([*wheels, pinned("c", 3)])[1]
    assert keys(wheels)[2] != keys([*wheels, pinned("c", 3)])[2]


def test_installed_files_are_where_a_virtual_environment_has_them(tmp_path: Path) -> None:
    script = {
        "tool.py": b"def main(): ...\n",
        "tool-1.0.dist-info/entry_points.txt": b"[console_scripts]\ntool = tool:main\n",
    }
    wheels, files = stored(tmp_path, index.wheel("tool", files=script))
    entries = made(environment.wheel_layers(wheels, PYTHON)[-1], files)
    assert "layers/site-packages/lib/python3.13/site-packages/tool.py" in entries
    content = entries["layers/site-packages/bin/tool"].content
    assert isinstance(content, bytes)
    assert content.startswith(b"#!/layers/site-packages/bin/python\n")


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_wheels_that_disagree_about_a_file_are_refused_across_layers_too(tmp_path: Path, size: int) -> None:
    wheels, files = stored(
        tmp_path, index.wheel("one", files={"same.py": b"1"}), index.wheel("two", files={"same.py": b"2"})
    )
    large = [
        PinnedWheel(one.name, "1.0", Source("wheel", one.name, one.source.digest, size, one.name)) for one in wheels
    ]
    checking = environment.wheel_layers(large, PYTHON)[0]
    with pytest.raises(IntegrityError, match=r"same\.py") as caught:
        made(checking, files)
    told = f"{caught.value.message} {caught.value.details}"
    assert "one" in told
    assert "two" in told


def test_a_wheel_cannot_replace_the_environments_interpreter(tmp_path: Path) -> None:
    wheels, files = stored(tmp_path, index.wheel("evil", files={"evil-1.0.data/scripts/python": b"#!/bin/sh\n"}))
    with pytest.raises(IntegrityError, match="bin/python"):
        made(environment.wheel_layers(wheels, PYTHON)[0], files)


@pytest.mark.parametrize("claimed", ["other 1.0", "honest 2.0", "honest not-a-version"])
def test_a_wheel_that_is_not_what_its_pin_says_is_refused_as_ib511(tmp_path: Path, claimed: str) -> None:
    (wheel,), files = stored(tmp_path, index.wheel("honest", "1.0"))
    name, _, version = claimed.partition(" ")
    _, shared = environment.wheel_layers([replace(wheel, name=name, version=version)], PYTHON)
    with pytest.raises(IntegrityError, match=f"honest 1.0, and not {claimed}") as caught:
        made(shared, files)
    assert caught.value.code == "IB511"


class Kept:
    """Listings of earlier builds."""

    def __init__(self) -> None:
        self.known: dict[str, Listing] = {}

    def find_listing(self, key: Mapping[str, Json]) -> Listing | None:
        """Return what was kept."""
        return self.known.get(str(key))

    def remember_listing(self, key: Mapping[str, Json], listing: Listing) -> None:
        """Keep it."""
        self.known[str(key)] = listing


def environment_layer(wheels: Sequence[PinnedWheel], kept: Kept, builder: "Shelf | None" = None) -> LayerSpec:
    """Return the layer of the environment as it is made when it has to be."""
    pins = Pins(wheels=tuple(wheels))
    context = BuildContext(App(Path()), (), TARGET, PYTHON, pins, frozenset(), builder=builder, listings=kept)
    described = environment.build(context).layers[0]
    assert described.lighter
    assert len(described.sources) >= len(wheels)
    lighter = described.lighter()
    assert lighter.key == described.key
    return lighter


def test_wheels_whose_files_are_known_are_not_needed_to_compare_them_with_others(tmp_path: Path) -> None:
    wheels, files = stored(tmp_path, index.wheel("one"), index.wheel("two", files={"two.py": b"2"}))
    kept = Kept()
    first = environment_layer(wheels[:1], kept)
    entries = made(first, files)
    second = environment_layer(wheels, kept)
    assert [first.sources, second.sources] == [wheels[0].sources, wheels[1].sources]
    assert made(second, files) == entries
    assert environment_layer(wheels, kept).sources == ()
    assert made(environment_layer(wheels, kept), {}) == entries


@pytest.mark.parametrize("known", [["one"], ["two"], ["one", "two"]])
def test_wheels_that_disagree_are_refused_whichever_of_them_is_known(tmp_path: Path, known: Sequence[str]) -> None:
    wheels, files = stored(
        tmp_path, index.wheel("one", files={"same.py": b"1"}), index.wheel("two", files={"same.py": b"2"})
    )
    kept = Kept()
    for wheel in wheels:
        if wheel.name in known:
            made(environment_layer([wheel], kept), files)
    with pytest.raises(IntegrityError, match=r"one 1\.0 and two 1\.0 both install .*same\.py") as caught:
        made(environment_layer(wheels, kept), files)
    assert caught.value.code == "IB512"


def test_a_wheel_that_is_known_is_refused_all_the_same_as_another_project(tmp_path: Path) -> None:
    wheels, files = stored(tmp_path, index.wheel("honest"))
    kept = Kept()
    made(environment_layer(wheels, kept), files)
    with pytest.raises(IntegrityError, match=r"honest 1\.0, and not other 1\.0"):
        made(environment_layer([replace(wheels[0], name="other")], kept), files)


def test_nothing_is_kept_of_a_wheel_that_is_built(tmp_path: Path) -> None:
    stored(tmp_path, index.wheel("demo"))
    kept = Kept()
    made(
        environment_layer([from_source("demo")], kept, Shelf(tmp_path)),
        {from_source("demo").sources[0].digest: tmp_path},
    )
    assert not kept.known


@dataclass
class Shelf:
    """A builder whose wheels are there already."""

    folder: Path
    compiler: str = "gcc 14"

    def recipe(self, wheel: PinnedWheel) -> Mapping[str, Json]:
        """Name the source and the compiler."""
        own = wheel.source.digest.value if isinstance(wheel.source, Source) else wheel.source.path
        return {"source": own, "compiler": self.compiler}

    def build(self, wheel: PinnedWheel, files: Files) -> Path:
        """Return the wheel of that name."""
        assert {source.digest for source in wheel.sources} <= files.keys()
        return self.folder / f"{wheel.name}-{wheel.version}-py3-none-any.whl"


def from_source(name: str, *requires: PinnedWheel) -> PinnedWheel:
    return PinnedWheel(
        name, "1.0", Source("sdist", f"{name}-1.0.tar.gz", Digest.of(name.encode()), 5, name), tuple(requires)
    )


def test_a_wheel_from_source_has_a_layer_of_its_own_that_is_known_by_its_recipe(tmp_path: Path) -> None:
    wheels, files = stored(tmp_path, index.wheel("tool"), index.wheel("demo", files={"demo.py": b"1"}))
    source = from_source("demo", wheels[0])
    specs = environment.wheel_layers([source, pinned("b", 1)], PYTHON, Shelf(tmp_path))
    assert [spec.name for spec in specs] == ["environment", "demo", "site-packages"]
    assert [one.name for one in specs[1].sources] == ["demo-1.0.tar.gz", "tool-1.0-py3-none-any.whl"]
    assert "layers/site-packages/lib/python3.13/site-packages/demo.py" in made(
        specs[1], {**files, source.source.digest: tmp_path / "demo-1.0.tar.gz"}
    )
    others = environment.wheel_layers([source, pinned("b", 1)], PYTHON, Shelf(tmp_path, "gcc 15"))
    assert [one.key == other.key for one, other in zip(specs, others, strict=True)] == [False, False, True]


def test_a_wheel_that_is_built_as_another_project_is_refused(tmp_path: Path) -> None:
    _, files = stored(tmp_path, index.wheel("other"))
    (tmp_path / "demo-1.0-py3-none-any.whl").write_bytes(index.wheel("other").content)
    spec = environment.wheel_layers([from_source("demo")], PYTHON, Shelf(tmp_path))[1]
    with pytest.raises(IntegrityError, match=r"demo-1\.0\.tar\.gz holds other 1\.0") as caught:
        made(spec, {**files, from_source("demo").source.digest: tmp_path})
    assert caught.value.code == "IB511"


def test_of_very_many_sources_some_share_a_layer() -> None:
    specs = environment.wheel_layers([from_source(f"p{number:03}") for number in range(70)], PYTHON, Shelf(Path()))
    assert len(specs) == 1 + 54 + 1
    assert len(specs[-1].sources) == 16


def test_a_layer_of_a_folder_of_the_application_is_not_pinned() -> None:
    """The lock does not hold what is in it, and must not change with every line of the application."""
    own = PinnedWheel("own", "", Folder("."), ())
    specs = environment.wheel_layers([pinned("a", 1), pinned("b", MIB), own], PYTHON, Shelf(Path()))
    assert {spec.name: spec.pinned for spec in specs} == {
        "environment": False,
        "b": True,
        "own": False,
        "site-packages": True,
    }


class Compiler:
    """Names the bytecode of modules after them."""

    def recipe(self) -> Mapping[str, Json]:
        return {"interpreter": "of a test"}

    def standard_library(self) -> LayerSpec:
        return LayerSpec("bytecode python", {"all": "modules"}, lambda _files: ())

    def modules(self, entries: Iterable[Entry], folder: str) -> tuple[Entry, ...]:
        return tuple(replace(one, path=f"{one.path}c") for one in entries if one.path.startswith(f"{folder}/"))


def with_bytecode(wheels: Sequence[PinnedWheel], folder: Path) -> tuple[LayerSpec, ...]:
    pins = Pins(wheels=tuple(wheels))
    context = BuildContext(App(folder), (), TARGET, PYTHON, pins, frozenset(), compiler=Compiler())
    return environment.build(context).layers


def test_bytecode_comes_above_the_packages_and_changes_none_of_their_layers(tmp_path: Path) -> None:
    wheels, files = stored(tmp_path, index.wheel("a", files={"a.py": b""}), index.wheel("b", files={"b.py": b""}))
    plain = environment.wheel_layers(wheels, PYTHON)
    specs = with_bytecode(wheels, tmp_path)
    assert [spec.name for spec in specs] == ["environment", "site-packages", "bytecode site-packages"]
    assert [spec.key for spec in specs[:2]] == [spec.key for spec in plain]
    assert specs[2].key == {**specs[1].key, "layer": "bytecode", "compiler": {"interpreter": "of a test"}}
    packages = "layers/site-packages/lib/python3.13/site-packages"
    assert {f"{packages}/a.pyc", f"{packages}/b.pyc"} <= made(specs[2], files).keys()


def test_layers_with_and_without_bytecode_are_no_more_than_engines_take(tmp_path: Path) -> None:
    wheels = [pinned(f"p{number:03}", MIB + number) for number in range(100)]
    specs = with_bytecode(wheels, tmp_path)
    assert len(specs) == 1 + 72 + 20
    bytecode = specs[-20:]
    assert {spec.name for spec in bytecode if len(spec.packages) == 1} >= {
        f"bytecode p{number:03}" for number in range(85, 100)
    }
    assert sum(len(spec.packages) for spec in bytecode) == 100


def test_bytecode_is_grouped_as_the_packages_are_if_there_are_layers_enough(tmp_path: Path) -> None:
    specs = with_bytecode([pinned(f"p{number:03}", MIB // 4 + number) for number in range(40)], tmp_path)[1:]
    half = len(specs) // 2
    assert 10 < half <= 20
    assert [spec.name for spec in specs[half:]] == [f"bytecode {spec.name}" for spec in specs[:half]]
    assert [spec.packages for spec in specs[half:]] == [spec.packages for spec in specs[:half]]
