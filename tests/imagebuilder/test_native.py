"""Packages installed by a package manager in the sandbox: the layers are ours, and what it does otherwise is seen."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from buildpacks.api import App, Folder, PinnedWheel, Pins, Setting, Source
from imagebuilder.lock import LockedStep
from imagebuilder.native import orders, tools
from imagebuilder.native.orders import Offered
from imagebuilder.sandbox import rungs
from layers.digest import Digest
from layers.errors import UsageError
from tests import index, sdists
from tests.imagebuilder import test_projects_built as projects
from tests.world import World

# A package manager with pip's name and flags, that unpacks wheels, and is careless about some packages.
PIP = """
import base64, hashlib, os, sys, zipfile

def main():
    words = sys.argv[1:]
    python = words[words.index("--python") + 1]
    series = "python%d.%d" % sys.version_info[:2]
    site = os.path.join(os.path.dirname(os.path.dirname(python)), "lib", series, "site-packages")
    links = next(word for word in words if word.startswith("--find-links=")).partition("=")[2]
    found = {hashlib.sha256(open(os.path.join(links, name), "rb").read()).hexdigest(): os.path.join(links, name)
             for name in os.listdir(links) if name.endswith(".whl")}
    for line in open(words[words.index("-r") + 1]):
        requirement, _, expected = line.strip().partition(" --hash=sha256:")
        install(requirement.partition("==")[0], zipfile.ZipFile(found[expected]), site)

def install(name, wheel, site):
    if name == "loud":
        sys.exit("ERROR: no such thing as loud")
    if name == "lost":
        return
    wheel.extractall(site)
    record = next(os.path.join(site, each) for each in wheel.namelist() if each.endswith("/RECORD"))
    if name == "stray":
        open(os.path.join(site, "stray.pth"), "w").close()
    if name == "changed":
        with open(os.path.join(site, "changed.py"), "w") as file:
            file.write("VALUE = 2\\n")
        value = base64.urlsafe_b64encode(hashlib.sha256(b"VALUE = 2\\n").digest()).decode().rstrip("=")
        rows = [row for row in open(record) if not row.startswith("changed.py")]
        with open(record, "w") as file:
            file.writelines([*rows, "changed.py,sha256=" + value + ",10\\n"])
    with open(os.path.join(os.path.dirname(record), "INSTALLER"), "w") as file:
        file.write("a fake\\n")
    with open(record, "a") as file:
        file.write(os.path.relpath(os.path.dirname(record), site) + "/INSTALLER,,\\n")
"""
SHELF = (
    index.wheel(
        "pip",
        "26.0",
        requires=["helper"],
        files={"pip.py": PIP.encode(), "pip-26.0.dist-info/entry_points.txt": b"[console_scripts]\npip = pip:main\n"},
    ),
    index.wheel("helper"),
    sdists.sdist("plain"),
    index.wheel("loud"),
    index.wheel("lost"),
    index.wheel("stray"),
    index.wheel("changed", files={"changed.py": b"VALUE = 1\n"}),
)
in_sandbox = pytest.mark.skipif(
    all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with sdists.running(tmp_path_factory.mktemp("world"), *SHELF) as found:
        yield found


def built(place: World, name: str, *flags: str, **environment: str) -> tuple[str, Mapping[str, str], str]:
    """Build an application; return the digest of its image, those of its layers, and what was shown."""
    output = ("--json", "-o", f"oci:{name}.oci", "--progress", "plain")
    ran = place.run("build", str(place.folder / name), *output, *flags, **environment)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    layers = {layer["name"]: layer["digest"] for layer in document["layers"]}
    return document["manifest_digest"], layers, ran.stderr


def locked(place: World, name: str) -> str:
    return (place.folder / name / "imagebuilder.lock").read_text()


@in_sandbox
def test_both_engines_make_the_same_image(place: World) -> None:
    place.app({"main.py": "", "requirements.txt": "flask\nplain\n"}, "shop")
    direct, _, _ = built(place, "shop")
    assert ".tools" not in locked(place, "shop")
    native, layers, shown = built(place, "shop", "--engine", "native")
    assert native == direct and {"environment", "plain", "site-packages"} <= layers.keys()
    assert "3 packages by pip" in shown
    assert locked(place, "shop").count(".tools]]") == 2
    again, _, shown = built(place, "shop", "--engine", "native", "--locked")
    assert again == direct and "packages by pip" not in shown
    anew, _, shown = built(place, "shop", "--engine", "native", "--no-cache")
    assert anew == direct and "packages by pip" in shown


@in_sandbox
def test_the_project_itself_is_installed_by_us_and_the_rest_by_the_tool(place: World) -> None:
    place.app(projects.project(), "own")
    direct, _, _ = built(place, "own")
    native, layers, shown = built(place, "own", IMAGEBUILDER_ENGINE="native")
    assert native == direct and "shop" in layers
    assert "1 packages by pip" in shown


def test_a_lock_without_the_tool_is_stale(place: World) -> None:
    place.app({"main.py": "", "requirements.txt": "click\n"}, "stale")
    assert place.run("lock", "stale").returncode == 0
    flags = ("--check", "--engine", "native")
    refused = place.run("lock", "stale", *flags)
    assert refused.returncode == 1 and "pip, which is to install, is not in the lock" in refused.stderr + refused.stdout
    assert place.run("lock", "stale", "--engine", "native").returncode == 0
    assert place.run("lock", "stale", *flags).returncode == 0
    assert place.run("lock", "stale", "--check").returncode == 0
    assert place.run("lock", "stale", "--engine", "native", "--upgrade", "helper").returncode == 0


@in_sandbox
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("loud", "IB903", "ERROR: no such thing as loud"),
        ("lost", "IB904", "lost: pip none, pinned 1.0"),
        ("stray", "IB902", "stray.pth"),
    ],
)
def test_what_the_tool_does_wrong_is_an_error(place: World, name: str, code: str, said: str) -> None:
    place.app({"main.py": "", "requirements.txt": f"{name}\n"}, name)
    ran = place.run("build", name, "--engine", "native", "-o", f"oci:{name}.oci")
    assert code in ran.stderr and said in ran.stderr, ran.stderr


@in_sandbox
def test_a_check_compares_the_engines(place: World) -> None:
    place.app({"main.py": "", "requirements.txt": "flask\n"}, "same")
    same = place.run("check", "same", "--vary", "engine", "--engine", "native")
    assert same.returncode == 0, same.stderr
    place.app({"main.py": "", "requirements.txt": "changed\n"}, "other")
    other = place.run("check", "other", "--vary", "engine", "--json")
    assert other.returncode == 1, other.stderr
    document = json.loads(other.stdout)
    assert document["scenarios"]["builds"][1]["varied"] == {"engine": "native"}
    found = {each["path"].rpartition("/")[2]: each["blamed"] for each in document["differences"] if not each["follows"]}
    assert found == {"changed.py": ["engine"]}


WHEEL = PinnedWheel("click", "8.3.0", Source("wheel", "x.whl", Digest.of(b"x"), 1, "click"))
GIT = PinnedWheel("click", "8.3.0", Source("git", "click.tar", Digest.of(b"x"), 1, "git+https://example.com/click@1"))


@pytest.mark.parametrize(
    ("steps", "message"),
    [({"pylock": WHEEL}, "pylock pins packages"), ({"uv-install": GIT}, "click is a repository, which uv")],
)
def test_what_no_tool_installs_is_refused(steps: Mapping[str, PinnedWheel], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        tools.tool_of({name: LockedStep(Pins(wheels=(wheel,))) for name, wheel in steps.items()})
    assert caught.value.code == "IB900"


def test_a_tool_is_needed_only_for_packages() -> None:
    assert tools.tool_of({"cpython": LockedStep(Pins()), "pylock": LockedStep(Pins())}) == ""
    assert tools.tool_of({"pip-install": LockedStep(Pins(wheels=(GIT,)))}) == "pip"
    assert tools.installed((WHEEL, PinnedWheel("shop", "", Folder(".")))) == (WHEEL,)


OFFERED = (Offered("click", "8.3.0", "click.whl", "a" * 64), Offered("plain", "1.0", "plain.whl", "b" * 64, built=True))


def application(folder: Path, files: Mapping[str, str], **settings: str) -> App:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    return App(folder, {name: Setting(value, "a test") for name, value in settings.items()})


def test_pipenv_compares_a_pipfile_with_its_lock_and_is_told_the_categories(tmp_path: Path) -> None:
    entries = {"click": {"hashes": ["sha256:1"]}, "Plain": {"hashes": ["sha256:2"]}}
    lock = json.dumps({"_meta": {"hash": {}}, "default": entries, "Ship-It": {}})
    files = {"Pipfile": "[Ship-It]\n", "Pipfile.lock": lock}
    order = orders.order("pipenv", application(tmp_path, files, groups="ship-it dev-packages"), OFFERED[:1])
    assert {"install", "--deploy", "--system", "--categories=packages Ship-It dev-packages"} <= {*order.words}
    assert order.files == files
    built = orders.order("pipenv", App(tmp_path), OFFERED)
    known = json.loads(built.files["Pipfile.lock"])["default"]
    assert known == {"click": {"hashes": ["sha256:1"]}, "Plain": {"hashes": [f"sha256:{'b' * 64}"]}}


def test_pipenv_takes_a_lock_alone_and_a_pipfile_alone(tmp_path: Path) -> None:
    alone = orders.order("pipenv", application(tmp_path / "lock", {"Pipfile.lock": '{"default": {}}'}), ())
    assert alone.words[1] == "sync" and alone.files.keys() == {"Pipfile", "Pipfile.lock"}
    unlocked = orders.order("pipenv", application(tmp_path / "file", {"Pipfile": "[packages]\n"}), ())
    assert unlocked.words[1:3] == ("install", "--skip-lock")


POETRY = """
[[package]]
name = "Plain"
files = [{file = "plain-1.0.tar.gz", hash = "sha256:2"}]

[[package]]
name = "click"
files = [{file = "click.whl", hash = "sha256:1"}]
"""


def test_poetry_gets_its_lock_as_it_is_unless_something_was_built(tmp_path: Path) -> None:
    app = application(tmp_path, {"pyproject.toml": "", "poetry.lock": POETRY}, extras="pay", groups="ship")
    order = orders.order("poetry", app, OFFERED[:1])
    assert order.files["poetry.lock"] == POETRY
    assert order.words[order.words.index("--only") + 1] == "main,ship" and "--extras=pay" in order.words
    built = orders.order("poetry", app, OFFERED).files["poetry.lock"]
    assert f'hash = "sha256:{"b" * 64}"' in built and "plain-1.0.tar.gz" not in built and "sha256:1" in built


UV = f"""
[[package]]
name = "shop"
source = {{editable = "part"}}

[[package]]
name = "plain"
sdist = {{url = "https://example.com/plain-1.0.tar.gz", hash = "sha256:2"}}

[[package]]
name = "click"
wheels = [
    {{url = "https://example.com/click.whl", hash = "sha256:{"a" * 64}"}},
    {{url = "https://example.com/other.whl", hash = "sha256:3"}},
]
"""


def test_uv_finds_in_its_lock_where_the_wheels_are(tmp_path: Path) -> None:
    files = {"pyproject.toml": "", "part/pyproject.toml": "# part\n", "uv.lock": UV}
    order = orders.order("uv", application(tmp_path, files, groups="ship", extras="pay"), OFFERED)
    assert {"--frozen", "--group=ship", "--extra=pay", "--no-default-groups"} <= {*order.words}
    assert order.files["part/pyproject.toml"] == "# part\n"
    lock = order.files["uv.lock"]
    assert "file:///build/files/click.whl" in lock and "https://example.com/other.whl" in lock
    assert "file:///build/files/plain.whl" in lock and "plain-1.0.tar.gz" not in lock
