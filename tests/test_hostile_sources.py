"""Hostile applications: what stands in the folder, and what comes of a build of it. The tables are the promise.

A tree that can be built gives the image of a plain tree with the same names, contents and execute bits. Whatever the
tree is, a build takes little memory, never waits, and writes nothing outside.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import meddled, world
from tests.meddled import Ran
from tests.world import World

MEMORY = 150 << 20
MAIN = {"main.py": "print('hello')\n"}
# A capability, and an access list that lets user 1 read: what xattr(7) and acl(5) keep beside a file.
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
ACCESS = bytes.fromhex("02000000 01000600ffffffff 0200040001000000 04000400ffffffff 10000400ffffffff 20000400ffffffff")
GIB = 1 << 30


@dataclass(frozen=True)
class Fine:
    """A tree that is built: what makes it, and the links and files that the image holds beside main.py."""

    make: Callable[[Path], object]
    holds: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A tree that is not built: what makes it, the exit code, the error's code, and words that are told."""

    make: Callable[[Path], object]
    exit_code: int
    code: str
    tells: str


def links(**made: str) -> Callable[[Path], object]:
    return lambda app: [(app / name).symlink_to(target) for name, target in made.items()]


def file(name: str, text: str = "", mode: int = 0o644) -> Callable[[Path], object]:
    def make(app: Path) -> None:
        path = Path(os.fsdecode(os.fsencode(app) + b"/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)

    return make


def both(*makers: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda app: [make(app) for make in makers]


def pipe(name: str) -> Callable[[Path], object]:
    def make(app: Path) -> None:
        (app / name).unlink(missing_ok=True)
        os.mkfifo(app / name)

    return make


def sparse(name: str) -> Callable[[Path], object]:
    def make(app: Path) -> None:
        with (app / name).open("wb") as hole:
            hole.truncate(5 * GIB)

    return make


def listening(app: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        folder = os.open(app, os.O_PATH)
        made.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)


def deep(name: str, levels: int) -> Callable[[Path], object]:
    def make(app: Path) -> None:
        """Make folders in each other, whatever the system says of their path, and a file in the last one."""
        place = os.open(app, os.O_RDONLY)
        for _ in range(levels):
            os.mkdir(name, dir_fd=place)
            inner = os.open(name, os.O_RDONLY, dir_fd=place)
            os.close(place)
            place = inner
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=place))
        os.close(place)

    return make


def linked_twice(app: Path) -> None:
    (app / "one").write_text("same\n")
    (app / "two").hardlink_to(app / "one")


def attributes(app: Path) -> None:
    (app / "noted").touch()
    for name, value in {
        "user.note": b"1", "security.capability": CAPABILITY, "system.posix_acl_access": ACCESS,
    }.items():  # fmt: skip
        try:
            os.setxattr(app / "noted", name, value)
        except OSError:
            pytest.skip(f"this file system keeps no {name} for this user")


def ancient(app: Path) -> None:
    for name, seconds in {"before-1970": -(10**9), "after-2106": 2**33, "main.py": 0}.items():
        (app / name).touch()
        os.utime(app / name, (seconds, seconds))


def many(app: Path) -> None:
    for folder in range(100):
        (app / f"{folder:02}").mkdir()
        for number in range(1000):
            os.close(
                os.open(app / f"{folder:02}" / f"a file with the number {number:03}", os.O_CREAT | os.O_WRONLY, 0o644)
            )


FINE = {
    "links that lead to each other": Fine(
        links(a="b", b="a", itself="itself"), links={"a": "b", "b": "a", "itself": "itself"}
    ),
    "links to nothing, to a folder, to the folder itself": Fine(
        both(links(nothing="not/there", folder="x", here="."), file("x/y")),
        {"x/y": ""},
        {"nothing": "not/there", "folder": "x", "here": "."},
    ),
    "hard links": Fine(linked_twice, {"one": "same\n", "two": "same\n"}),
    "names that are no text": Fine(file("latin-\udce9\udcff"), {"latin-\udce9\udcff": ""}),
    "names that move the cursor": Fine(file("new\nline\x1b[2J\u202e\r"), {"new\nline\x1b[2J\u202e\r": ""}),
    "names of 255 bytes": Fine(file("n" * 255), {"n" * 255: ""}),
    "names that differ in case, and in how an accent is written": Fine(
        both(file("Name"), file("name"), file("caf\u00e9"), file("cafe\u0301")),
        {"Name": "", "name": "", "caf\u00e9": "", "cafe\u0301": ""},
    ),
    "names that look like options, patterns, variables": Fine(
        both(file("-rf"), file("*"), file("$HOME"), file("a b"), file("\\")),
        {"-rf": "", "*": "", "$HOME": "", "a b": "", "\\": ""},
    ),
    "400 folders in each other": Fine(deep("d", 400), {"d/" * 400 + "file": ""}),
    "a path of almost 4096 bytes": Fine(deep("d" * 250, 15), {("d" * 250 + "/") * 15 + "file": ""}),
    "setuid, setgid, sticky, writable by all": Fine(
        both(file("program", mode=0o7777), file("data", mode=0o0666)), {"program": "+x", "data": ""}
    ),
    "attributes, capabilities, access lists": Fine(attributes, {"noted": ""}),
    "times before 1970 and after 2106": Fine(ancient, {"before-1970": "", "after-2106": ""}),
    "folders in the place of files that decide": Fine(
        both(*(file(f"{name}/x") for name in ("requirements.txt", ".dockerignore", "Procfile", "pylock.toml"))),
        {f"{name}/x": "" for name in ("requirements.txt", ".dockerignore", "Procfile", "pylock.toml")},
    ),
    "a pattern that could take for ever": Fine(
        both(file(".dockerignore", f"{'*a' * 30}*b\n{'**/' * 30}b\n"), file("a" * 250)),
        {".dockerignore": f"{'*a' * 30}*b\n{'**/' * 30}b\n", "a" * 250: ""},
    ),
}
REFUSED = {
    "a link out": Refused(links(out="../../etc/passwd"), 2, "IB603", "'../../etc/passwd'"),
    "an absolute link": Refused(links(out="/etc/passwd"), 2, "IB603", "'/etc/passwd'"),
    "a link out by way of a folder": Refused(
        both(file("x/y"), links(**{"x/out": "../x/../../up"})), 2, "IB603", "'../x/../../up'"
    ),
    "a pipe": Refused(pipe("pipe"), 2, "IB604", "'pipe'"),
    "a socket": Refused(listening, 2, "IB604", "'socket'"),
    "a main.py that is a pipe": Refused(pipe("main.py"), 2, "IB604", "'main.py'"),
    "a requirements.txt that is a pipe": Refused(pipe("requirements.txt"), 2, "IB604", "'requirements.txt'"),
    "a pyproject.toml that is a pipe": Refused(pipe("pyproject.toml"), 2, "IB105", "it is a pipe"),
    "a uv.toml that is a pipe": Refused(pipe("uv.toml"), 2, "IB604", "'uv.toml'"),
    "a lock that is a pipe": Refused(pipe("imagebuilder.lock"), 2, "IB431", "it is a pipe"),
    "a lock of 5 GB": Refused(sparse("imagebuilder.lock"), 2, "IB431", "16 MiB"),
    "requirements of 5 GB": Refused(sparse("requirements.txt"), 2, "IB103", "16777216 bytes"),
    "a lock that is a link out": Refused(
        both(lambda app: (app / "imagebuilder.lock").unlink(), links(**{"imagebuilder.lock": "../victim"})),
        2, "IB603", "'imagebuilder.lock'",
    ),
    "a lock nested ten thousand deep": Refused(
        file("imagebuilder.lock", "a = " + "[" * 10_000), 2, "IB431", "nested"
    ),
    "a configuration nested ten thousand deep": Refused(
        file("pyproject.toml", "a = " + "[" * 10_000), 2, "IB105", "nested"
    ),
    "a pylock.toml nested ten thousand deep": Refused(
        file("pylock.toml", "a = " + "[" * 10_000), 2, "IB103", "nested"
    ),
    "1500 folders in each other": Refused(deep("d", 1500), 2, "IB946", "more than 500 folders"),
    "a path of 5000 bytes": Refused(deep("d" * 250, 20), 2, "IB946", "too long"),
    "a name that deletes files of other layers": Refused(file("x/.wh.main.py"), 2, "IB946", "`.wh.`"),
    "a pattern that nobody can answer": Refused(
        file(".dockerignore", "**a**b**c**d\n"), 2, "IB306", "'**a**b**c**d'"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which the plain application was built once, and what is not in the trees' own layers is cached."""
    with world.running(tmp_path_factory.mktemp("hostile")) as made:
        plain = made.app(MAIN, "plain")
        ran = made.run("build", str(plain), "-o", f"oci:{made.folder}/out")
        assert ran.returncode == 0, ran.stderr
        yield made


@pytest.fixture
def app(place: World) -> Iterator[Path]:
    """The application to be made hostile, with its lock."""
    made = place.folder / "app"
    shutil.copytree(place.folder / "plain", made)
    yield made
    subprocess.run(["rm", "-rf", made], check=True)  # unlike shutil, it knows no depth that is too deep


def build(place: World, app: Path, **meddling: str) -> Ran:
    """Build it; whatever comes of it, it takes little memory and says what it has to say without control characters."""
    output = place.folder / "out"
    ran = meddled.run(place, "build", str(app), "--name", "app", "-o", f"oci:{output}", **meddling)
    assert ran.memory < MEMORY
    assert all(line.isprintable() for line in ran.stderr.splitlines())
    assert not (place.folder / "victim").exists()
    return ran


def plain_twin(place: World, row: Fine) -> str:
    """Build the plain tree that a hostile one has to equal, and return its result."""
    twin = place.folder / "twin"
    shutil.copytree(place.folder / "plain", twin)
    try:
        for name, text in row.holds.items():
            if len(os.fsencode(name)) < 3000:
                file(name, text.removeprefix("+x"), 0o755 if text == "+x" else 0o600)(twin)
            else:
                row.make(twin)  # there is only one way to make it
        links(**row.links)(twin)
        return build(place, twin).stdout
    finally:
        shutil.rmtree(twin)


@pytest.mark.parametrize("row", FINE.values(), ids=FINE.keys())
def test_a_tree_that_can_be_built_gives_the_image_of_a_plain_one(row: Fine, place: World, app: Path) -> None:
    row.make(app)
    ran = build(place, app)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == plain_twin(place, row)
    assert ran.stdout != build(place, place.folder / "plain").stdout


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED.keys())
def test_a_tree_that_cannot_be_built_is_told_with_its_reason(row: Refused, place: World, app: Path) -> None:
    row.make(app)
    said(build(place, app), row.exit_code, row.code, row.tells)


def said(ran: Ran, exit_code: int, code: str, *tells: str) -> None:
    assert (ran.returncode, ran.stdout) == (exit_code, ""), ran.stderr
    assert f"error[{code}]" in ran.stderr
    assert "  hint:  " in ran.stderr
    for words in tells:
        assert words in ran.stderr


def test_a_hundred_thousand_files_take_little_memory(place: World, app: Path) -> None:
    many(app)
    assert build(place, app).returncode == 0


def test_a_file_of_5_gb_is_warned_of_and_takes_no_memory(place: World, app: Path) -> None:
    sparse("data")(app)
    ran = build(place, app)
    assert ran.returncode == 0, ran.stderr
    assert "data has 5369 MB" in ran.stderr


@pytest.mark.root
def test_a_device_is_refused(place: World, app: Path) -> None:
    os.mknod(app / "null", 0o666 | 0o020000, os.makedev(1, 3))
    said(build(place, app), 2, "IB604", "'null'")


@pytest.mark.root
@pytest.mark.parametrize(
    ("path", "code", "tells"), [("file", "IB602", "Permission denied"), ("folder", "IB605", "Permission denied")]
)
def test_what_may_not_be_read_is_told(place: World, app: Path, path: str, code: str, tells: str) -> None:
    (app / "file").touch()
    (app / "folder").mkdir()
    (app / path).chmod(0)
    # Root without the right to read everything, so that everything else may stay where it is.
    less = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    said(meddled.run(place, "build", str(app), "-o", f"oci:{place.folder}/out", prefix=less), 7, code, tells, path)


MEDDLING = {
    "vanishes before it is read": ("data", "os.unlink({path!r})"),
    "becomes a link before it is read": ("data", "os.unlink({path!r}); os.symlink('/etc/passwd', {path!r})"),
    "becomes a pipe before it is read": ("data", "os.unlink({path!r}); os.mkfifo({path!r})"),
    "becomes another file before it is read": ("data", "os.rename({other!r}, {path!r})"),
    "grows before it is read": ("data", "os.truncate({path!r}, 3 << 20)"),
    "shrinks before it is read": ("data", "os.truncate({path!r}, 1)"),
    "grows while it is read": ("+data", "os.truncate({path!r}, 3 << 20)"),
    "shrinks while it is read": ("+data", "os.truncate({path!r}, 1)"),
    "is written to while it is read": ("+data", "os.utime({path!r}, (1, 1))"),
    "has its folder replaced by a link": (
        "data",
        "os.rename({folder!r}, {folder!r} + '-'); os.symlink('/etc', {folder!r})",
    ),
}


@pytest.mark.parametrize(("on", "code"), MEDDLING.values(), ids=MEDDLING.keys())
def test_a_file_that_changes_during_the_build_stops_it(place: World, app: Path, on: str, code: str) -> None:
    data, other = app / "folder" / "data", app / "folder" / "other"
    data.parent.mkdir()
    data.write_bytes(b"x" * (2 << 20))
    other.write_bytes(b"y" * (2 << 20))
    meddling = code.format(path=str(data), other=str(other), folder=str(data.parent))
    said(build(place, app, on=on, code=meddling), 7, "IB602", "data")


def test_a_folder_that_becomes_a_link_while_it_is_listed_stops_the_build(place: World, app: Path) -> None:
    (app / "folder").mkdir()
    code = f"os.rmdir({str(app / 'folder')!r}); os.symlink('/etc', {str(app / 'folder')!r})"
    said(build(place, app, on="folder", code=code), 7, "IB602", "'folder'")


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "blobs"])
def test_a_layout_in_the_tree_that_leads_out_is_not_written_to(place: World, app: Path, name: str) -> None:
    """An application may bring a `dist` along: what is written there must not land on another file."""
    folder = app / "dist" / "app.oci"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(place.folder / "victim")
    ran = meddled.run(place, "-C", str(app), "build", "--name", "app")
    said(ran, 2, "IB653", f"'{name}' in it is a link")
    assert not (place.folder / "victim").exists()
