"""The last answer given again: how little it costs, and that whatever decides an image makes it be built again."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagebuilder import again, answers
from imagebuilder.again import Question
from tests import world
from tests.registry import Registry
from tests.world import World

APP = {
    "requirements.txt": "-r build/more.txt\n",
    "build/more.txt": "click==8.2.0\n",
    "main.py": "print(1)\n",
    "package/part.py": "ONE = 1\n",
    "data.txt": "data",
}
# What a command that changes nothing has no use for; `json` and `re` are all that it imports of any weight.
HEAVY = {
    "argparse",
    "dataclasses",
    "http",
    "imagebuilder.config",
    "inspect",
    "layers.digest",
    "pathlib",
    "ssl",
    "subprocess",
    "tomli",
    "typing",
    "urllib",
}
# What a build whose layers are all there has no use for.
LOCALE = {"LC_ALL": "C.UTF-8"}  # without one, Python sets a variable of its own
ASKS = {
    "certifi",
    "http.client",
    "imagebuilder.archive",
    "imagebuilder.base.closure",
    "imagebuilder.base.index",
    "imagebuilder.daemon",
    "imagebuilder.fetch",
    "imagebuilder.pin",
    "imagebuilder.registry.client",
    "imagebuilder.resolver",
    "imagebuilder.sandbox",
    "imagebuilder.sources.builder",
    "imagebuilder.web",
    "oras",
    "packaging",
    "socket",
    "ssl",
    "urllib3",
}

# What a build of a changed application has no use for either, whoever it was that imported it.
UNUSED = {
    "argparse",
    "asyncio",
    "bz2",
    "configparser",
    "dataclasses",
    "difflib",
    "docker",
    "email",
    "inspect",
    "requests",
    "shutil",
    "subprocess",
    "tempfile",
    "tomli_w",
    "zstandard",
}
MODULES = 270  # of the program, the standard library and others; each takes about a quarter of a millisecond


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world.running(tmp_path_factory.mktemp("world")) as found:
        run(found, "build", str(found.app(APP)), "-q")
        yield found


def settle() -> None:
    """Wait until no file is so young that another change could bear the same time."""
    time.sleep(0.05)


def question(place: World, *words: str, **environment: str) -> Question:
    before = Path.cwd()
    os.chdir(place.folder)
    try:
        return Question(words, {**place.environment, **LOCALE, **environment})
    finally:
        os.chdir(before)


def run(place: World, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return place.run(*words, **LOCALE, **environment)


def holds(place: World, *words: str, **environment: str) -> bool:
    return again.find(question(place, *words, **environment)) is not None


def build(place: World, *words: str, **environment: str) -> str:
    settle()
    ran = run(place, "build", *words, **environment)
    assert ran.returncode == 0, ran.stderr
    assert "nothing has changed" not in ran.stderr
    return ran.stdout


def rewritten(path: Path) -> None:
    """Change as many bytes as there are, and pretend that it was not now."""
    status = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real").name)


def copied(folder: Path) -> None:
    """Put a copy in the place of a folder, which has the same names, bytes and times."""
    folder.rename(f"{folder}.old")
    subprocess.run(["cp", "-a", f"{folder}.old", folder], check=True)


def appended(path: Path, text: str) -> None:
    path.write_text((path.read_text() if path.exists() else "") + text)


def blob(place: World) -> Path:
    return max((place.folder / "dist" / "app.oci" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)


def damaged(path: Path) -> None:
    path.chmod(0o644)
    rewritten(path)


CHANGES: dict[str, Callable[[World, Path], object]] = {
    "a file that was touched": lambda _, app: (app / "main.py").touch(),
    "as many other bytes with the old time": lambda _, app: rewritten(app / "package" / "part.py"),
    "a link in the place of a file": lambda _, app: linked(app / "data.txt"),
    "a file that may be executed": lambda _, app: (app / "main.py").chmod(0o755),
    "a new file in a folder": lambda _, app: (app / "package" / "new.py").write_text(""),
    "a file less": lambda _, app: (app / "package" / "new.py").unlink(),
    "a file that is read and left out": lambda _, app: appended(app / "build" / "more.txt", "# another line\n"),
    "a lock that says the same": lambda _, app: appended(app / "imagebuilder.lock", "# a remark\n"),
    "a configuration": lambda _, app: appended(app / "imagebuilder.toml", 'env = { A = "1" }\n'),
    "rules": lambda _, app: appended(app / ".imagebuilderignore", "data.txt\n"),
    "a tree that was copied": lambda _, app: copied(app),
    "a configuration of the user": lambda place, _: (
        (place.folder / ".config" / "imagebuilder").mkdir(parents=True),
        (place.folder / ".config" / "imagebuilder" / "config.toml").write_text('color = "never"\n'),
    ),
    "an output that is gone": lambda place, _: blob(place).unlink(),
    "an output that is damaged": lambda place, _: damaged(blob(place)),
    "an output that names something else": lambda place, _: rewritten(place.folder / "dist/app.oci/index.json"),
}


def test_a_build_that_changes_nothing_gives_the_last_answer(place: World) -> None:
    app = str(place.app(APP, "same"))
    build(place, app)  # writes the lock
    first = build(place, app)
    ran = run(place, "build", app)
    assert (ran.returncode, ran.stdout) == (0, first)
    assert ran.stderr.splitlines()[0] == "  unchanged   nothing has changed since the last build"
    document = json.loads(build(place, app, "--json"))
    once_more = json.loads(run(place, "build", app, "--json").stdout)
    assert all(layer["cached"] for layer in once_more["layers"])
    assert once_more["manifest_digest"] == document["manifest_digest"]


def test_whatever_changes_the_application_is_built_again(place: World) -> None:
    app = place.app(APP)
    words = ("build", str(app))
    for what, change in CHANGES.items():
        while not holds(place, *words):  # what made a new file at the top is remembered the second time
            build(place, str(app))
        settle()
        change(place, app)
        assert not holds(place, *words), what


def remembered(place: World, app: Path, *flags: str) -> bool:
    """Build twice, as the first build writes the lock; say whether a third would only give an answer."""
    build(place, str(app), *flags)
    build(place, str(app), *flags)
    return holds(place, "build", str(app), *flags)


def test_other_words_variables_and_folders_are_other_questions(place: World) -> None:
    app = place.app(APP, "asked")
    assert remembered(place, app)
    assert holds(place, "build", str(app), SHLVL="7")
    assert not holds(place, "build", str(app), "--locked")
    assert not holds(place, "build", str(app), BP_LOG_LEVEL="debug")
    assert again.find(Question(("build", str(app)), {**place.environment, **LOCALE})) is None  # asked elsewhere


@pytest.mark.parametrize(
    "flags",
    [
        ("--created", "now"),
        ("--no-cache",),
        ("--verbose",),
        ("--progress", "jsonl"),
        ("--metadata-file", "metadata.json"),
        ("-C", "."),
    ],
    ids=" ".join,
)
def test_an_answer_that_may_not_last_is_not_remembered(place: World, flags: tuple[str, ...]) -> None:
    assert not remembered(place, place.app(APP, "unsteady"), *flags)


def test_a_build_that_warns_warns_again(place: World) -> None:
    app = place.app({**APP, "project.toml": "[io.buildpacks]\nbuilder = 'x'\n"}, "warned")
    assert not remembered(place, app)


def test_a_damaged_record_and_one_in_another_place_are_none(place: World) -> None:
    app = place.app(APP, "recorded")
    assert remembered(place, app)
    record = Path(question(place, "build", str(app)).path)
    content = record.read_bytes()
    record.write_bytes(content.replace(b"sha256:", b"sha256;", 1))
    assert not holds(place, "build", str(app))
    record.write_bytes(content)
    assert holds(place, "build", str(app))
    other = Path(question(place, "build", str(app), "-q").path)
    other.write_bytes(content)
    assert not holds(place, "build", str(app), "-q")


def test_a_file_that_may_have_changed_since_it_was_read_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    asked = Question(("build",), {"HOME": str(tmp_path)})
    assert not answers.are_settled([str(path)], asked)  # written when the command was given, or just before
    later = path.stat().st_ctime_ns + 10**9
    move(asked, later)
    assert answers.are_settled([str(path)], asked) == bool(path.stat().st_ctime_ns % 10**7)  # seconds are coarse
    move(asked, later + 10**10)
    assert answers.are_settled([str(path)], asked)
    move(asked, later - 10**12)  # a clock that went back
    assert not answers.are_settled([str(path)], asked)
    asked.asked_ns += 10**13  # and one that was set meanwhile
    assert not answers.are_settled([], asked)


def move(question: Question, asked_ns: int) -> None:
    """Pretend that a command was given at another time."""
    question.clock_ns = time.monotonic_ns() - (time.time_ns() - asked_ns)
    question.asked_ns = asked_ns


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"], ids=["", "by our client, as there is a proxy"])
def test_a_push_asks_once_for_each_tag_and_sends_what_is_not_there(
    place: World, registry: Registry, proxy: str
) -> None:
    app = place.app(APP, "pushed")
    tags = [f"{registry.address}/shop:{tag}" for tag in ("1", "2")]
    words = (str(app), "--push", "-t", tags[0], "-t", tags[1])
    build(place, str(app))  # pins what is needed, which the proxy does not let through
    build(place, *words, HTTP_PROXY=proxy)
    first = build(place, *words, "--locked", HTTP_PROXY=proxy)
    before = len(registry.traffic.requests)
    ran = run(place, "build", *words, "--locked", HTTP_PROXY=proxy)
    assert (ran.stdout, ran.stderr.splitlines()[1]) == (first, f"  push        {registry.address}/shop unchanged")
    asked = [(each.method, each.path) for each in registry.traffic.requests[before:] if each.path != "/v2/"]
    assert asked == [("HEAD", f"/v2/shop/manifests/{tag}") for tag in ("1", "2")]
    registry.repository("shop").tags["2"] = registry.put_image("shop", b"another", tag="3")
    assert build(place, *words, "--locked", HTTP_PROXY=proxy) == first
    assert registry.repository("shop").tags["1"] == registry.repository("shop").tags["2"]


def test_tags_of_one_repository_are_asked_for_with_one_login(place: World) -> None:
    app = place.app(APP, "pushed")
    with Registry(users={"ann": "se:cret"}, scheme="bearer").running() as registry:
        login = {"auths": {registry.address: {"auth": base64.b64encode(b"ann:se:cret").decode()}}}
        (place.folder / "config.json").write_text(json.dumps(login))
        words = (str(app), "--push", *(f"--tag={registry.address}/shop:{tag}" for tag in ("1", "2")))
        first = build(place, *words, DOCKER_CONFIG=str(place.folder))
        assert build(place, *words, "--locked", DOCKER_CONFIG=str(place.folder)) == first
        registry.traffic.requests.clear()
        ran = run(place, "build", *words, "--locked", DOCKER_CONFIG=str(place.folder))
        assert (ran.stdout, "nothing has changed" in ran.stderr) == (first, True)
        asked = [each.path for each in registry.traffic.requests if "/blobs/" not in each.path]
        assert (asked.count("/token"), asked.count("/v2/shop/manifests/2")) == (1, 1)


def imported(place: World, *words: str) -> set[str]:
    """Return what modules a command imports."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "imagebuilder", *words],
        cwd=place.folder,
        env={**place.environment, **LOCALE},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}


def test_nothing_is_imported_that_is_not_used(place: World) -> None:
    app = place.app(APP, "lean")
    words = (str(app), "--output", "oci:lean.oci")
    assert remembered(place, app, *words[1:])
    usual = {name for name in imported(place, "--version") if name.startswith("_distutils_hack")}
    assert not imported(place, "build", *words) & HEAVY - usual
    for command in (("build", *words, "--verbose"), ("lock", str(app), "--check"), ("plan", str(app))):
        found = imported(place, *command)
        assert "imagebuilder.config" in found
        assert not found & ASKS, command


def test_a_changed_application_is_built_without_what_other_builds_need(place: World) -> None:
    app = place.app(APP, "changed")
    words = ("build", str(app), "--output", "oci:changed.oci")
    build(place, *words[1:])
    (app / "main.py").write_text("print(2)\n")
    usual = imported(place, "--version")
    found = imported(place, *words, "--created", "1")  # whatever is remembered is of other words
    assert {"imagebuilder.build", "layers.compress"} <= found
    assert not found & (ASKS | UNUSED) - usual
    assert len(found) <= MODULES


OPENED = """
import os, runpy, sys

def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        print("opened", sys._getframe(1).f_code.co_name, os.path.abspath(arguments[0]), file=sys.__stderr__)
    elif event in ("subprocess.Popen", "socket.connect"):
        print("asked", event, file=sys.__stderr__)

sys.argv[0] = "imagebuilder"
sys.addaudithook(note)
runpy.run_module("imagebuilder", run_name="__main__")
"""


def test_an_answer_rests_on_every_file_that_the_build_opens(place: World) -> None:
    app = place.app(APP, "watched")
    words = ("build", str(app))
    assert remembered(place, app)
    Path(question(place, *words).path).unlink()  # or it would be packed anew, and no more
    rewritten(app / "data.txt")
    settle()
    ran = subprocess.run(
        [sys.executable, "-c", OPENED, *words],
        cwd=place.folder,
        env={**place.environment, **LOCALE},
        capture_output=True,
        text=True,
        check=True,
    )
    record = again.find(question(place, *words))
    assert record
    listed = {os.path.normpath(path) for path in answers.paths(record["listed"])}
    read = {os.path.normpath(path) for path in answers.paths(record["read"])}
    lines = [line.split(" ", 2) for line in ran.stderr.splitlines() if line.startswith("opened ")]
    opened = {(by, path) for _, by, path in lines if path.startswith(f"{app}/") and not Path(path).is_dir()}
    assert ("_source_file", f"{app}/data.txt") in opened
    assert not {path for _, path in opened} - listed - read
    assert not {path for by, path in opened if by != "_source_file"} - read
    assert "asked" not in ran.stderr
