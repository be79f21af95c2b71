import os
from pathlib import Path

import pytest

from buildpacks.api import App, Interpreter, Setting, value_at
from layers.errors import UsageError
from tests import apps


def refused(app: App, path: str) -> str:
    with pytest.raises(UsageError, match=f"cannot read {path}") as caught:
        app.text(path)
    assert (caught.value.code, caught.value.exit_code) == ("IB103", 2)
    return caught.value.message


def test_text_is_read_without_a_byte_order_mark_and_the_path_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfh\xc3\xa9\n")
    assert App(tmp_path, on_read=told.append).text("a.txt") == "hé\n"
    assert told == ["a.txt"]


def test_what_cannot_be_read_as_text_is_an_error_that_says_why(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"folder/file": ""})
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", (16 << 20) + 1)
    os.mkfifo(tmp_path / "fifo")
    assert "No such file" in refused(app, "missing")
    assert "not UTF-8" in refused(app, "latin")
    assert "Is a directory" in refused(app, "folder")
    assert "regular file" in refused(app, "fifo")
    assert "more than" in refused(app, "huge")
    assert "null byte" in refused(app, "nul\0")


def test_links_are_followed_only_inside_the_tree(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    app = apps.make(tmp_path / "app", {"real/requirements.txt": "flask\n"})
    (app.root / "requirements.txt").symlink_to("real/requirements.txt")
    (app.root / "out").symlink_to("../secret")
    (app.root / "outer").symlink_to("..")
    (app.root / "loop").symlink_to("loop")
    assert not app.has("loop")
    assert "symbolic links" in refused(app, "loop")
    assert app.has("requirements.txt")
    assert app.text("requirements.txt") == "flask\n"
    for path in ("out", "outer/secret", "../secret", str(tmp_path / "secret")):
        assert not app.has(path)
        assert "leads out" in refused(app, path)


def test_has_means_a_regular_file_also_one_that_is_left_out(tmp_path: Path) -> None:
    app = App(apps.make(tmp_path, {"a": "", "folder/b": ""}).root, ignored=lambda _path: True)
    assert (app.has("a"), app.has("folder"), app.has("missing"), app.has("nul\0")) == (True, False, False, False)
    assert app.files == ()


def test_glob_does_not_cross_folders(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"b.py": "", "a.py": "", "pkg/c.py": "", "pkg/sub/d.py": "", "e.txt": ""})
    assert app.glob("*.py") == ("a.py", "b.py")
    assert app.glob("*/*.py") == ("pkg/c.py",)


def test_documents_are_parsed_and_malformed_ones_refused(tmp_path: Path) -> None:
    app = apps.make(tmp_path, {"a.toml": "[x]\ny = 1", "a.json": '{"x": {"y": 2}}', "bad": "x = [", "list": "[1]"})
    assert value_at(app.toml("a.toml"), "x", "y") == 1
    assert value_at(app.json("a.json"), "x", "y") == 2
    assert value_at(app.json("a.json"), "x", "y", "z") is None
    assert value_at(app.json("a.json"), "missing", "y") is None
    for read, path in ((app.toml, "bad"), (app.json, "bad"), (app.json, "list")):
        with pytest.raises(UsageError, match=f"cannot read {path}: it is not") as caught:
            read(path)
        assert caught.value.code == "IB103"


def test_the_first_setting_that_was_given_counts() -> None:
    app = App(Path(), {"b": Setting("1", "--b"), "c": Setting("2", "--c")})
    assert app.setting("a", "b", "c") == Setting("1", "--b")
    assert app.setting("a") is None


def test_an_interpreter_knows_its_series() -> None:
    assert Interpreter("3.13.5", "/usr/bin/python3.13", "debian:trixie").series == "3.13"
