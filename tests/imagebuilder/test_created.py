"""The time in an image."""

import os
import subprocess
from pathlib import Path

import pytest

from imagebuilder import created
from layers.errors import UsageError

ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CEILING_DIRECTORIES": "/"}


def of(value: str, source: Path = Path()) -> str:
    return created.of(value, "--created", source=source, environment=ENVIRONMENT)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("0", "1970-01-01T00:00:00Z"),
        ("1767225600", "2026-01-01T00:00:00Z"),
        ("253402300799", "9999-12-31T23:59:59Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00.9+05:30", "2026-01-31T06:30:00Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_in_utc_whatever_the_form(value: str, time: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert of(value) == time


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "-1",
        "1.5",
        "253402300800",
        "9" * 5000,
        "2026-01-31",
        "2026-01-31T12:00:00",
        "١٢",
        "0001-01-01T00:00:00+09:00",
    ],
)
def test_what_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        of(value)
    assert caught.value.code == "IB107"


@pytest.mark.parametrize("value", ["", "abc", "-5", " 5", "1e9", "now", "2026-01-31T12:00:00Z"])
def test_source_date_epoch_is_digits_only(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        created.from_epoch(value, "SOURCE_DATE_EPOCH")
    assert caught.value.code == "IB107"
    assert "SOURCE_DATE_EPOCH" in caught.value.message


def test_now_is_a_time_that_can_be_given_again() -> None:
    now = of("now")
    assert of(now) == now


def git(folder: Path, *command: str) -> None:
    identity = {"GIT_COMMITTER_DATE": "1700000000 +0300", "GIT_AUTHOR_DATE": "1600000000 +0000"}
    config = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *config, *command], env={**ENVIRONMENT, **identity}, check=True)


def test_git_is_the_time_of_the_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first\n\ncommitter x <x> 1 +0000")
    (tmp_path / "app").mkdir()
    assert of("git", tmp_path / "app") == "2023-11-14T22:13:20Z"


def test_without_a_commit_git_cannot_tell(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(UsageError) as caught:
        of("git", tmp_path)
    assert caught.value.code == "IB108"


def test_without_git_git_cannot_tell(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        created.of("git", "--created", source=tmp_path, environment={"PATH": str(tmp_path)})
    assert caught.value.code == "IB108"
