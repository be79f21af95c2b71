"""pip-install: what it detects and pins, and the layers it describes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from buildpacks import pip_install
from buildpacks.api import (
    App,
    BuildContext,
    BuildPlan,
    Fail,
    Interpreter,
    LayerSpec,
    PinContext,
    PinnedWheel,
    Pins,
    Setting,
    Source,
    Target,
)
from layers.canonical import Json
from layers.descriptor import Platform
from layers.digest import Digest
from layers.entry import Entry, Kind
from layers.errors import IntegrityError, UsageError
from tests import index
from tests.index import Wheel

PYTHON = Interpreter("3.13.5", "/usr/bin/python3.13", "a test")
TARGET = Target(Platform("linux", "amd64"), "debian:trixie", (2, 41))
MIB = 1 << 20


@dataclass
class FixedResolver:
    """A resolver that knows one answer and remembers what it was asked."""

    answer: Mapping[str, Json]
    asked: list[tuple[tuple[str, ...], tuple[PinnedWheel, ...]]] = field(default_factory=list)

    def resolve(
        self,
        app: App,
        *,
        requirements: tuple[str, ...],
        interpreter: Interpreter,
        target: Target,
        previous: tuple[PinnedWheel, ...],
    ) -> Mapping[str, Json]:
        self.asked.append((requirements, previous))
        return self.answer


def app(folder: Path, text: str | None = None, **settings: str) -> App:
    if text is not None:
        (folder / "requirements.txt").write_text(text)
    return App(folder, {name: Setting(value, f"{name} of a test") for name, value in settings.items()})


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


def test_requirements_txt_is_detected_and_its_absence_is_a_reason(tmp_path: Path) -> None:
    assert pip_install.detect(app(tmp_path)) == Fail("no requirements.txt")
    plan = pip_install.detect(app(tmp_path, "flask"))
    assert isinstance(plan, BuildPlan)
    assert plan.provides == ("site-packages",)
    assert [(one.name, one.build, one.launch) for one in plan.requires] == [
        ("cpython", True, False),
        ("pip", True, False),
    ]


@pytest.mark.parametrize("name", ["requirements", "BP_PIP_REQUIREMENT"])
def test_the_files_that_a_setting_names_are_used_instead(tmp_path: Path, name: str) -> None:
    (tmp_path / "deps").mkdir()
    (tmp_path / "deps" / "web.txt").write_text("flask")
    (tmp_path / "b.txt").write_text("click")
    project = app(tmp_path, "ignored", **{name: "./deps/web.txt  b.txt"})
    assert pip_install.requirement_files(project) == ("deps/web.txt", "b.txt")


@pytest.mark.parametrize(
    "value", ["missing.txt", "requirements.txt missing.txt", "../requirements.txt", "/etc/hosts", "."]
)
def test_a_named_file_that_is_not_in_the_application_is_ib400_with_its_origin(tmp_path: Path, value: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "requirements.txt").write_text("flask")
    project = app(tmp_path / "app", "flask", BP_PIP_REQUIREMENT=value)
    with pytest.raises(UsageError) as caught:
        pip_install.detect(project)
    assert (caught.value.code, caught.value.exit_code) == ("IB400", 2)
    assert value.split()[-1] in caught.value.message
    assert "BP_PIP_REQUIREMENT of a test" in caught.value.details[0]


def test_pins_are_what_the_resolver_chose_given_the_old_ones(tmp_path: Path) -> None:
    one = index.wheel("click")
    wheels = [{"name": one.filename, "url": "https://x/", "size": 9, "hashes": {"sha256": one.sha256}}]
    packages = [{"name": "click", "version": "1.0", "wheels": wheels}]
    resolver = FixedResolver({"lock-version": "1.0", "created-by": "a test", "packages": packages})
    old = Pins(wheels=(pinned("click", 1),))
    project = app(tmp_path, "click")
    pins = pip_install.pin(PinContext(project, (), TARGET, tuple, PYTHON, resolver, old))
    assert pins.wheels == (PinnedWheel("click", "1.0", Source("wheel", one.filename, one.source.digest, 9, "click")),)
    assert resolver.asked == [(("requirements.txt",), old.wheels)]


@pytest.mark.parametrize("text", ["", "# nothing\n", "-c pins.txt\n"])
def test_requirements_that_ask_for_nothing_are_pinned_without_a_resolver(tmp_path: Path, text: str) -> None:
    (tmp_path / "pins.txt").write_text("flask==1\n")
    resolver = FixedResolver({})
    assert pip_install.pin(PinContext(app(tmp_path, text), (), TARGET, tuple, PYTHON, resolver)) == Pins()
    assert resolver.asked == []


def test_a_build_without_packages_is_an_empty_environment(tmp_path: Path) -> None:
    built = pip_install.build(BuildContext(app(tmp_path, ""), (), TARGET, PYTHON, Pins(), frozenset()))
    assert built.env == {"PATH": "/layers/site-packages/bin", "VIRTUAL_ENV": "/layers/site-packages"}
    (environment,) = built.layers
    entries = made(environment, {})
    assert entries["layers/site-packages/bin/python"].target == "/usr/bin/python3.13"
    assert entries["layers/site-packages/bin/python3.13"].target == "python"
    assert entries["layers/site-packages/lib/python3.13/site-packages"].kind is Kind.DIRECTORY
    assert b"home = /usr/bin\n" in bytes(entries["layers/site-packages/pyvenv.cfg"].content)  # type: ignore[arg-type]


def names(wheels: Sequence[PinnedWheel]) -> list[str]:
    return [spec.name for spec in pip_install.wheel_layers(wheels, PYTHON)]


def test_large_wheels_have_layers_of_their_own_and_small_ones_share_one() -> None:
    wheels = [pinned("b", MIB), pinned("small", MIB - 1), pinned("a", 9 * MIB), pinned("unknown", None)]
    specs = pip_install.wheel_layers(wheels, PYTHON)
    assert [spec.name for spec in specs] == ["environment", "a", "b", "site-packages"]
    assert [source.locator for source in specs[-1].sources] == ["small", "unknown"]
    assert len(specs[0].sources) == 4


def test_of_many_large_wheels_the_largest_have_layers_of_their_own() -> None:
    wheels = [pinned(f"p{number:03}", MIB + number // 2) for number in range(100)]
    found = names(wheels)
    assert len(found) == 1 + 64 + 1
    assert found[1] == "p036"
    assert names(list(reversed(wheels))) == found


def test_a_layers_key_depends_on_its_wheels_and_the_series_but_not_on_order_or_patch_release() -> None:
    wheels = [pinned("a", 1), pinned("b", 2), pinned("big", MIB)]

    def keys(wheels: Sequence[PinnedWheel], version: str = "3.13.5") -> list[Mapping[str, Json]]:
        executable = f"/usr/bin/python{version.rpartition('.')[0]}"
        return [one.key for one in pip_install.wheel_layers(wheels, Interpreter(version, executable, "a test"))]

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
    entries = made(pip_install.wheel_layers(wheels, PYTHON)[-1], files)
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
    environment = pip_install.wheel_layers(large, PYTHON)[0]
    with pytest.raises(IntegrityError, match=r"same\.py") as caught:
        made(environment, files)
    told = f"{caught.value.message} {caught.value.details}"
    assert "one" in told
    assert "two" in told


def test_a_wheel_cannot_replace_the_environments_interpreter(tmp_path: Path) -> None:
    wheels, files = stored(tmp_path, index.wheel("evil", files={"evil-1.0.data/scripts/python": b"#!/bin/sh\n"}))
    with pytest.raises(IntegrityError, match="bin/python"):
        made(pip_install.wheel_layers(wheels, PYTHON)[0], files)


@pytest.mark.parametrize("claimed", ["other 1.0", "honest 2.0", "honest not-a-version"])
def test_a_wheel_that_is_not_what_its_pin_says_is_refused_as_ib511(tmp_path: Path, claimed: str) -> None:
    (wheel,), files = stored(tmp_path, index.wheel("honest", "1.0"))
    name, _, version = claimed.partition(" ")
    _, shared = pip_install.wheel_layers([replace(wheel, name=name, version=version)], PYTHON)
    with pytest.raises(IntegrityError, match=f"honest 1.0, and not {claimed}") as caught:
        made(shared, files)
    assert caught.value.code == "IB511"
