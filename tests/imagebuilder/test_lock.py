"""The lock reads back what it wrote, in one order, without addresses; what it cannot understand is an error."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildpacks.api import Interpreter, PinnedWheel, Pins, Require, Source
from imagebuilder import lock
from imagebuilder.base.pins import BasePins, PinnedDeb
from imagebuilder.lock import LockedStep, PlatformLock
from imagebuilder.recorded import RecordedLayer
from layers.digest import Digest
from layers.errors import StorageError, UsageError

LIBC = PinnedDeb("libc6", "2.41-12", "amd64", "debian/pool/main/g/glibc/libc6_2.41-12_amd64.deb", Digest.of(b"c"), 1)
PYTHON = PinnedDeb("python3.13", "3.13.5-2", "amd64", "debian/pool/main/p/python3.13/x.deb", Digest.of(b"p"), 2)
INTERPRETER = Interpreter("3.13.5", "/usr/bin/python3.13", "debian:trixie", ("python3.13",))
FLASK = PinnedWheel("flask", "3.1.2", Source("wheel", "flask-3.1.2-py3-none-any.whl", Digest.of(b"f"), 3, "flask"))
DIRECT = PinnedWheel(
    "own", "1", Source("url", "own-1-py3-none-any.whl", Digest.of(b"o"), None, "https://example.com/o")
)
BUILT = PinnedWheel("built", "2", Source("sdist", "built-2.tar.gz", Digest.of(b"s"), 4, "built"), (FLASK,))
ALONE = PinnedWheel("alone", "1", Source("url", "alone-1.zip", Digest.of(b"z"), 5, "https://example.com/o"), ())
REQUIRE = Require("cpython", build=True, launch=True, version=">=3.12", version_source="pyproject.toml")
PINS = PlatformLock(
    BasePins("trixie", "amd64", "20261120T141110Z", ((LIBC,), (PYTHON,), ())),
    ("libpq5",),
    {
        "cpython": LockedStep(Pins(INTERPRETER), (REQUIRE,), {"pyproject.toml": Digest.of(b"x").value}, {"python": ""}),
        "pip-install": LockedStep(Pins(wheels=(FLASK, DIRECT, BUILT, ALONE)), interpreter="3.13.5"),
        "procfile": LockedStep(Pins(os_packages=("dash",))),
    },
    layers=(RecordedLayer("demo", Digest.of(b"k"), Digest.of(b"b"), Digest.of(b"t"), 7),),
)


def test_a_lock_reads_back_what_was_written(tmp_path: Path) -> None:
    assert lock.write(tmp_path, {"linux/amd64": PINS})
    assert lock.read(tmp_path) == {"linux/amd64": PINS}


def test_an_equal_lock_is_not_written_again(tmp_path: Path) -> None:
    lock.write(tmp_path, {"linux/amd64": PINS, "linux/arm64": PINS})
    assert not lock.write(tmp_path, {"linux/arm64": PINS, "linux/amd64": PINS})


def test_a_lock_that_cannot_be_written_says_where_to_make_it(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).mkdir()
    with pytest.raises(StorageError, match=r"imagebuilder\.lock: it is no file") as caught:
        lock.write(tmp_path, {})
    assert "`imagebuilder lock`" in caught.value.hint and caught.value.code == "IB601"


def test_no_lock_is_an_empty_lock(tmp_path: Path) -> None:
    assert lock.read(tmp_path) == {}


def test_the_lock_names_no_index_and_no_mirror(tmp_path: Path) -> None:
    lock.write(tmp_path, {"linux/amd64": PINS})
    text = (tmp_path / lock.FILE).read_text().replace("https://example.com/o", "")
    assert "://" not in text


def test_the_digest_of_the_inputs_depends_on_pins_and_not_on_when_or_why() -> None:
    later = BasePins("trixie", "amd64", "20270101T000000Z", PINS.base.tiers)
    steps = {name: LockedStep(step.pins) for name, step in PINS.steps.items()}
    assert PlatformLock(later, PINS.packages, steps).inputs == PINS.inputs
    assert PlatformLock(later, PINS.packages, {**steps, "pip-install": LockedStep(Pins())}).inputs != PINS.inputs
    otherwise = Pins(wheels=(FLASK, DIRECT, replace(BUILT, requires=(DIRECT,)), ALONE))
    assert PlatformLock(later, PINS.packages, {**steps, "pip-install": LockedStep(otherwise)}).inputs != PINS.inputs


def test_a_lock_in_which_a_source_is_built_with_a_source_is_not_understood(tmp_path: Path) -> None:
    steps = {"pip-install": LockedStep(Pins(wheels=(replace(BUILT, requires=(ALONE,)),)))}
    lock.write(tmp_path, {"linux/amd64": replace(PINS, steps=steps)})
    with pytest.raises(UsageError):
        lock.read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "version = 2\n[platforms]",
        "not toml",
        "platforms = 1\nversion = 1",
        'version = 1\n[platforms."linux/amd64".base]\nsuite = 1',
        'version = 1\n[platforms."linux/amd64"]\nbase = []',
        "<<<<<<< ours\nversion = 1",
    ],
)
def test_a_lock_that_cannot_be_understood_is_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / lock.FILE).write_text(text)
    with pytest.raises(UsageError) as caught:
        lock.read(tmp_path)
    assert caught.value.code == "IB431"


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail_otherwise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("lock")
    (folder / lock.FILE).write_bytes(content)
    with pytest.raises(UsageError):
        lock.read(folder)
