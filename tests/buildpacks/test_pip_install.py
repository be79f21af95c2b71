"""pip-install: what it detects and pins, and the layers it describes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from buildpacks import pip_install
from buildpacks.api import (
    App,
    BuildPlan,
    Circumstances,
    Fail,
    Interpreter,
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
from layers.errors import UsageError
from tests import index

PYTHON = Interpreter("3.13.5", "/usr/bin/python3.13", "a test")
TARGET = Target(Platform("linux", "amd64"), "debian:trixie", (2, 41))


@dataclass
class FixedResolver:
    """A resolver that knows one answer and remembers what it was asked."""

    answer: Mapping[str, Json]
    asked: list[tuple[tuple[str, ...], tuple[PinnedWheel, ...]]] = field(default_factory=list)

    def resolve(self, app: App, requirements: tuple[str, ...], circumstances: Circumstances) -> Mapping[str, Json]:
        self.asked.append((requirements, circumstances.previous))
        return self.answer


def app(folder: Path, text: str | None = None, **settings: str) -> App:
    if text is not None:
        (folder / "requirements.txt").write_text(text)
    return App(folder, {name: Setting(value, f"{name} of a test") for name, value in settings.items()})


def pinned(name: str, size: int | None) -> PinnedWheel:
    return PinnedWheel(name, "1.0", Source("wheel", f"{name}.whl", Digest.of(name.encode()), size, name))


def test_requirements_txt_is_detected_and_its_absence_is_a_reason(tmp_path: Path) -> None:
    assert pip_install.detect(app(tmp_path)) == Fail("no requirements.txt")
    plan = pip_install.detect(app(tmp_path, "flask"))
    assert isinstance(plan, BuildPlan)
    assert plan.provides == ("site-packages",)
    assert [(one.name, one.build, one.launch) for one in plan.requires] == [
        ("cpython", True, False),
        ("pip", True, False),
    ]


def test_what_extras_bring_for_the_start_is_known_before(tmp_path: Path) -> None:
    project = app(tmp_path, "fastapi[standard]>=0.112\nhttpx[http2]\n")
    assert pip_install.names(project) == ("fastapi", "fastapi-cli", "uvicorn", "httpx")


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
