"""pylock: what of a lock in the standard's form goes into the image, and which locks are refused."""

from pathlib import Path

import pytest

from buildpacks import pylock
from buildpacks.api import BuildPlan, Fail
from layers.errors import BuildError
from tests import apps

HASH = "0" * 64
LOCK = """
lock-version = "1.0"
created-by = "a test"
requires-python = ">=3.11"
extras = ["pay"]
dependency-groups = ["web", "dev"]
default-groups = ["web"]
"""


def package(name: str, marker: str = "", *, tag: str = "py3-none-any", **fields: str) -> str:
    more = [f'marker = """{marker}"""'] if marker else []
    more += [f"{key} = {value}" for key, value in fields.items()]
    wheel = f"{name}-1.0-{tag}.whl"
    file = f'{{ url = "https://x/{wheel}", upload-time = 2026-01-01T00:00:00Z, hashes = {{ sha256 = "{HASH}" }} }}'
    return "\n".join(["[[packages]]", f'name = "{name}"', 'version = "1.0"', *more, f"wheels = [{file}]", ""])


PACKAGES = (
    package("always")
    + package("never", "sys_platform == 'win32'")
    + package("card", "'pay' in extras")
    + package("server", "'web' in dependency_groups")
    + package("tester", "'dev' in dependency_groups")
)


def pinned(folder: Path, text: str, *, file: str = "pylock.toml", **settings: str) -> list[str]:
    app = apps.make(folder, {file: text}, settings=settings)
    assert isinstance(pylock.detect(app), BuildPlan)
    pins = pylock.pin(apps.pin_context(app, pinned="3.13.5"))
    return [f"{wheel.name} {wheel.version} {wheel.source.name} {wheel.source.digest.hex[:1]}" for wheel in pins.wheels]


def names(found: list[str]) -> list[str]:
    return [line.split()[0] for line in found]


def test_what_the_markers_of_the_target_and_the_default_groups_want_is_pinned(tmp_path: Path) -> None:
    assert pinned(tmp_path, LOCK + PACKAGES) == [
        "always 1.0 always-1.0-py3-none-any.whl 0",
        "server 1.0 server-1.0-py3-none-any.whl 0",
    ]


def test_extras_and_groups_are_added_whatever_their_spelling(tmp_path: Path) -> None:
    found = pinned(tmp_path, LOCK + PACKAGES, extras="PAY", groups="dev")
    assert names(found) == ["always", "card", "server", "tester"]


def test_a_lock_of_another_name_is_read_where_requirements_names_it(tmp_path: Path) -> None:
    assert names(
        pinned(tmp_path, LOCK + PACKAGES, file="deps/pylock.web.toml", requirements="deps/pylock.web.toml")
    ) == [
        "always",
        "server",
    ]


def test_a_lock_that_is_named_and_not_there_is_ib400(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"pylock\.web\.toml") as caught:
        pylock.detect(apps.make(tmp_path, {"pylock.toml": LOCK}, settings={"requirements": "pylock.web.toml"}))
    assert caught.value.code == "IB400"


COMMIT = '[[packages]]\nname = "x"\nvcs = { type = "git", url = "u", commit-id = "0" }\n'


@pytest.mark.parametrize(
    ("text", "settings", "code", "words"),
    [
        ('lock-version = "1.0"\n', {}, "IB312", "packages"),
        ('lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', {}, "IB312", "9.0"),
        ('lock-version = "1.0"\ncreated-by = "x"\npackages = [1]\n', {}, "IB312", "packages"),
        (LOCK + "[[packages]]\nname = 'x'\n", {}, "IB312", "packages[0]"),
        (LOCK + PACKAGES, {"extras": "pya"}, "IB314", "pya"),
        (LOCK + PACKAGES, {"groups": "pay"}, "IB314", "pay"),
        (LOCK.replace("3.11", "3.99") + PACKAGES, {}, "IB408", ">=3.99"),
        (LOCK + package("x", tag="cp313-cp313-win_amd64"), {}, "IB407", "'x'"),
        (LOCK + '[[packages]]\nname = "x"\ndirectory = { path = "." }\n', {}, "IB878", "pylock.toml names ."),
        (LOCK + COMMIT.replace('"git"', '"hg"'), {}, "IB882", "none of Git"),
        ("=", {}, "IB103", "pylock.toml"),
    ],
)
def test_what_cannot_be_installed_is_an_error(
    tmp_path: Path, text: str, settings: dict[str, str], code: str, words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        pinned(tmp_path, text, **settings)
    assert caught.value.code == code
    assert words in caught.value.message


def test_all_its_packages_are_known_before_they_are_pinned(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"pylock.toml": LOCK + PACKAGES})
    assert pylock.names(app) == ("always", "never", "card", "server", "tester")


def test_an_application_without_a_lock_does_not_fit(tmp_path: Path) -> None:
    assert pylock.detect(apps.make(tmp_path, {"main.py": ""})) == Fail("no pylock.toml")
