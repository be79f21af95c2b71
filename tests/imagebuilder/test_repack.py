"""An application packed anew: it costs little, and is the image that a whole build makes, whatever has changed."""

import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder import cli
from imagebuilder.sandbox import rungs
from layers.chunks import Chunk, Chunks
from tests import sdists
from tests.registry import Registry
from tests.world import World

APP = {
    "requirements.txt": "-r build/more.txt\n",
    "build/more.txt": "click==8.2.0\n",
    "main.py": "import shop\n",
    "shop/__init__.py": "",
    "shop/part.py": "ONE = 1\n",
    "shop/wsgi.py": "application = None\n",
    "tools/run.sh": "#!/bin/sh\n",
    "data.txt": "data",
    "notes.md": "left out\n",
    ".imagebuilderignore": "*.md\nbuild\n!shop/kept.md\n",
}


HEAVY = {
    "argparse",
    "buildpacks.api",
    "concurrent.futures",
    "dataclasses",
    "http.client",
    "imagebuilder.config",
    "imagebuilder.registry.client",
    "logging",
    "ssl",
    "subprocess",
    "tomli",
    "urllib3",
}


@dataclass(frozen=True)
class Said:
    """What a command came to: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def repacked(self) -> bool:
        return self.err.startswith("  repacked ")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with sdists.running(tmp_path_factory.mktemp("world")) as found, pytest.MonkeyPatch.context() as here:
        here.chdir(found.folder)
        for name, value in found.environment.items():
            here.setenv(name, value)
        assert run(str(found.app(APP, "locked"))).code == 0
        yield found


def run(*words: str) -> Said:
    """Run a command in this process, which is quicker, some time after the last change."""
    time.sleep(0.05)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = cli.run(["build", *words])
    return Said(code, out.getvalue(), err.getvalue())


def digest(said: Said) -> str:
    return said.out.strip().rpartition("@")[2]


def remembered(app: Path, *flags: str) -> str:
    """Build until the answer is remembered, and return the digest in it."""
    for _ in range(3):
        said = run(str(app), *flags)
        assert said.code == 0, said.err
        if said.err.startswith("  unchanged "):
            return digest(said)
    raise AssertionError(said.err)


def built(app: Path) -> Said:
    """Build in the way of which nothing is remembered."""
    return run(str(app), "--verbose", "-o", "oci:built.oci")


def rewritten(path: Path) -> None:
    """Change as many bytes as there are, and pretend that it was not now."""
    status = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path: Path, text: str) -> None:
    """Write as editors and git do: another file takes the place."""
    path.with_name("written").write_text(text)
    path.with_name("written").rename(path)


def linked(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


PACKED: dict[str, Callable[[Path], object]] = {
    "another content": lambda app: (app / "shop/part.py").write_text("TWO = 2\n"),
    "as many other bytes with the old time": lambda app: rewritten(app / "data.txt"),
    "an empty content": lambda app: (app / "data.txt").write_text(""),
    "a file that was replaced": lambda app: replaced(app / "shop/part.py", "THREE = 3\n"),
    "a file that may be executed": lambda app: (app / "tools/run.sh").chmod(0o755),
    "a file that may not": lambda app: (app / "tools/run.sh").chmod(0o644),
    "a file that was touched": lambda app: (app / "data.txt").touch(),
    "another file that is left out": lambda app: (app / "notes.md").write_text("other notes\n"),
    "a link in the place of a file": lambda app: linked(app / "data.txt", "shop/part.py"),
    "a link elsewhere": lambda app: linked(app / "data.txt", "shop/wsgi.py"),
    "bytecode that Python leaves": lambda app: (
        (app / "shop/__pycache__").mkdir(),
        (app / "shop/__pycache__/part.cpython-313.pyc").write_bytes(b"x"),
    ),
}
READ: dict[str, Callable[[Path], object]] = {
    "what is required": lambda app: (app / "requirements.txt").write_text("click==8.3.0\n"),
    "a file that is read and left out": lambda app: (app / "build/more.txt").write_text("# nothing\n"),
    "the module that is served": lambda app: (app / "main.py").write_text("import shop.part\n"),
    "a configuration": lambda app: (app / "imagebuilder.toml").write_text('env = { A = "1" }\n'),
    "a Procfile": lambda app: (app / "Procfile").write_text("web: python -m shop\n"),
    "rules": lambda app: (app / ".imagebuilderignore").write_text("*.md\n"),
    "one file more": lambda app: (app / "shop/more.py").write_text(""),
    "one file less": lambda app: (app / "shop/more.py").unlink(),
    "a file that is not left out": lambda app: (app / "shop/kept.md").write_text("kept\n"),
    "a folder more": lambda app: (app / "empty").mkdir(),
    "a file in the place of a folder": lambda app: ((app / "empty").rmdir(), (app / "empty").write_text("")),
    "another name": lambda app: (app / "data.txt").rename(app / "data2.txt"),
    "a link to what is read": lambda app: linked(app / "main.py", "shop/part.py"),
}


def test_whatever_changes_it_is_the_image_that_a_build_makes(place: World) -> None:
    app = place.app(APP, "shop")
    remembered(app)
    for what, change in {**PACKED, **READ}.items():
        change(app)
        said = run(str(app))
        assert (said.code, digest(said)) == (0, digest(built(app))), what
        if what in READ:
            assert not said.repacked, what
        else:
            assert said.repacked or said.err.startswith("  unchanged "), what
        assert remembered(app) == digest(said), what


@pytest.mark.skipif(all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here")
def test_a_project_that_is_installed_itself_is_built(place: World) -> None:
    backend = sdists.BACKEND.format(name="own", version="1.0", tag="py3-none-any", needs=[], requires=[])
    project = '[project]\nname = "own"\nversion = "1.0"\n' + sdists.PYPROJECT.format(requires=[])
    app = place.app({"pyproject.toml": project, "backend.py": backend, "own.py": "ONE = 1\n"}, "own")
    remembered(app)
    (app / "own.py").write_text("TWO = 2\n")
    said = run(str(app))
    assert not said.repacked
    assert digest(said) == digest(built(app))


def test_a_push_sends_the_layer_of_the_application_alone(place: World, registry: Registry) -> None:
    app = place.app(APP, "pushed")
    flags = ("--push", "-t", f"{registry.address}/shop:1", "-t", f"{registry.address}/other:2")
    remembered(app, *flags)
    (app / "shop/part.py").write_text("TWO = 2\n")
    before = len(registry.traffic.requests)
    said = run(str(app), *flags)
    assert said.repacked
    assert digest(said) == digest(built(app))
    assert {registry.repository("shop").tags["1"], registry.repository("other").tags["2"]} == {digest(said)}
    sent = [
        each.path for each in registry.traffic.requests[before:] if each.method == "PUT" and "/uploads/" in each.path
    ]
    assert len(sent) == 2  # the layer and the config; the other repository mounts them


def test_a_registry_that_speaks_http_to_everybody_is_asked_twice_for_a_tag_and_a_blob(
    place: World, registry: Registry
) -> None:
    app = place.app(APP, "plain")
    flags = ("--push", "-t", f"{registry.address}/shop:1", "-t", f"{registry.address}/shop:2")
    remembered(app, *flags)
    (app / "shop/part.py").write_text("TWO = 2\n")
    before = len(registry.traffic.requests)
    said = run(str(app), *flags)
    assert said.repacked
    assert set(registry.repository("shop").tags.values()) == {digest(said), digest(built(app))}
    asked = [each.method for each in registry.traffic.requests[before:]]
    assert asked == ["HEAD", "HEAD", *["POST", "PUT"] * 2, "PUT", "PUT"]
    assert remembered(app, *flags) == digest(said)


def test_a_large_layer_that_the_registry_has_is_not_sent_again(place: World, registry: Registry) -> None:
    app = place.app(APP, "large")
    (app / "noise.bin").write_bytes(random.Random(1).randbytes(2 << 20))
    flags = ("--push", "-t", f"{registry.address}/large:1")
    for number in (1, 2, 1):
        (app / "shop/part.py").write_text(f"NUMBER = {number}\n")
        before = len(registry.traffic.requests)
        run(str(app), *flags)
        asked = [each.method for each in registry.traffic.requests[before:]]
    assert asked == ["HEAD", "HEAD", *["POST", "PUT"], "PUT"]


def test_of_a_large_application_what_is_new_is_compressed(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[bool] = []
    find = Chunks._copied

    def found(self: Chunks, chunk: Chunk) -> bytes | None:
        content = find(self, chunk)
        copied.append(content is not None)
        return content

    monkeypatch.setattr(Chunks, "_copied", found)
    app = place.app(APP, "copied")
    (app / "noise.bin").write_bytes(random.Random(2).randbytes(4 << 20))
    remembered(app)
    (app / "shop/part.py").write_text("TWO = 2\n")
    said = run(str(app))
    assert said.repacked
    assert copied == [True] * 4
    assert digest(said) == digest(run(str(app), "--no-cache"))
    assert len(copied) == 4


def test_a_tag_that_stands_for_another_image_is_set_by_the_client(place: World, registry: Registry) -> None:
    app = place.app(APP, "taken")
    flags = ("--push", "-t", f"{registry.address}/taken:1")
    remembered(app, *flags)
    (app / "shop/part.py").write_text("TWO = 2\n")
    registry.put_image("taken", b"another", tag="1")
    registry.repository("taken").blobs.clear()
    said = run(str(app), *flags)
    assert registry.repository("taken").tags["1"] == digest(said) == digest(built(app))
    assert said.repacked
    assert len(registry.repository("taken").blobs) == 7


def test_nothing_is_imported_that_is_not_used(place: World, registry: Registry) -> None:
    app = place.app(APP, "lean")
    flags = ("--push", "-t", f"{registry.address}/lean:1")
    place.run("build", str(app), *flags)
    place.run("build", str(app), *flags)
    (app / "shop/part.py").write_text("TWO = 2\n")
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "imagebuilder", "build", str(app), *flags],
        env=place.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "  repacked " in ran.stderr
    assert not HEAVY & {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}


@pytest.mark.parametrize(
    "flags", [("-o", "archive:out/app.tar"), ("--json",), ("-q",), ("--compression", "zstd")], ids=" ".join
)
def test_it_goes_where_it_went_before_in_the_form_that_is_asked_for(place: World, flags: tuple[str, ...]) -> None:
    app = place.app(APP, "formed")
    run(str(app), *flags)
    remembered(app, *flags) if "-q" not in flags else run(str(app), *flags)
    (app / "shop/part.py").write_text(f"FLAGS = {flags}\n")
    said = run(str(app), *flags)
    again = run(str(app), "--no-cache", *flags)
    if "--json" in flags:
        assert json.loads(said.out)["manifest_digest"] == json.loads(again.out)["manifest_digest"]
        assert json.loads(said.out).keys() == json.loads(again.out).keys()
    else:
        assert said.out == again.out
    assert bool(said.err) == ("-q" not in flags)


def test_a_layer_that_the_cache_has_lost_is_made(place: World) -> None:
    app = place.app(APP, "lost")
    remembered(app)
    wanted = {path.name for path in (place.folder / "dist" / "lost.oci" / "blobs" / "sha256").iterdir()}
    (app / "shop/part.py").write_text("TWO = 2\n")
    (place.folder / "cache/blobs/sha256" / max(wanted)).unlink()
    said = run(str(app))
    assert (said.code, said.repacked) == (0, False)


PATHS = st.sampled_from([*APP, "shop/new.py", "Procfile", "app.py", "shop", "deeper/folder/file"])
CONTENTS = st.sampled_from(
    ["", "click==8.3.0\n", "from flask import Flask\napp = Flask(__name__)\n", "web: python x\n"]
)


def altered(app: Path, path: str, how: str, content: str) -> None:
    """Change something, as far as it can be changed."""
    place = app / path
    with contextlib.suppress(OSError):
        match how:
            case "write":
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(content)
            case "replace":
                replaced(place, content)
            case "remove":
                shutil.rmtree(place) if place.is_dir() else place.unlink()
            case "mode":
                place.chmod(place.lstat().st_mode ^ 0o111)
            case "link":
                linked(place, "/etc/passwd" if content == "" else "shop/part.py")
            case "swap":
                place.rename(app / "aside")
                (app / "data.txt").rename(place)
                (app / "aside").rename(app / "data.txt")


HOW = st.sampled_from(["write", "replace", "remove", "mode", "link", "swap"])


@given(st.lists(st.tuples(PATHS, HOW, CONTENTS), min_size=1, max_size=2))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_changes_of_any_kind_come_to_what_a_build_makes(place: World, changes: list[tuple[str, str, str]]) -> None:
    shutil.rmtree(place.folder / "any", ignore_errors=True)
    app = place.app(APP, "any")
    shutil.copy(place.folder / "locked" / "imagebuilder.lock", app)
    run(str(app))
    run(str(app))
    for change in changes:
        altered(app, *change)
    said, wanted = run(str(app)), built(app)
    assert (said.code, digest(said)) == (wanted.code, digest(wanted))
