"""Source distributions become wheels in the sandbox: the same bytes for everyone, and nothing of the host in them."""

import ast
import json
import os
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from buildpacks.api import Folder, Interpreter, PinnedWheel, Target
from imagebuilder.base.pins import BasePins, ImagePins
from imagebuilder.base.probe import Found
from imagebuilder.cache import Cache
from imagebuilder.progress import Progress
from imagebuilder.sandbox import rungs
from imagebuilder.sources import backend
from imagebuilder.sources.builder import SourceBuilder
from imagebuilder.sources.failed import failed
from layers.descriptor import Descriptor, Platform
from layers.digest import Digest
from layers.errors import BuildError
from layers.layer import Layer
from tests import index, sdists, world
from tests.index import Wheel
from tests.world import World

pytestmark = pytest.mark.skipif(
    all(rung.problem for rung in rungs.rungs()), reason="commands of a build cannot be shut in here"
)

MAKE = "\ndef make():\n    import {modules}\n    return {{NAME + '_made.py': repr({value}).encode()}}\n"


def making(value: str, *modules: str) -> str:
    """End a backend with what it writes into a module: the value of an expression."""
    return MAKE.format(modules=", ".join(("sys", *modules)), value=value)


HELPER = index.wheel("helper", files={"helper.py": b"NAME = 'a helper'\n"})
SOURCES = (
    HELPER,
    sdists.sdist("plain"),
    sdists.sdist("plain", "0.9"),
    sdists.sdist("plain", "2.0rc1"),
    sdists.sdist("user", requires=["plain<1"]),
    sdists.sdist(
        "asking", needs=["helper"], build_requires=["till-wheel"], code=making("helper.NAME", "helper", "till_wheel")
    ),
    index.wheel("till-wheel"),
    sdists.sdist(
        "curious",
        code=making(
            "[sorted(os.environ.items()), os.getcwd(), os.umask(0o22), os.stat('.').st_mtime, time.tzname, {}]".format(
                "[os.stat(name).st_mtime for name in ('curious.py', 'pyproject.toml')]"
            ),
            "os",
            "time",
        ),
    ),
    sdists.sdist(
        "burglar",
        code=(
            "\ndef tried(what, *values):\n    try:\n        return repr(what(*values))\n"
            "    except Exception as error:\n        return type(error).__name__\n"
        )
        + making(
            "[socket.if_nameindex(), tried(socket.create_connection, ('192.0.2.1', 80), 5), "
            f"tried(os.listdir, {str(world.ROOT)!r}), tried(open, '/etc/stolen', 'w'), "
            "tried(os.listdir, os.path.expanduser('~'))]",
            "os",
            "socket",
        ),
    ),
    sdists.sdist("random", code=making("os.urandom(8)", "os")),
    sdists.sdist(
        "broken", code="\nraise SystemExit('libpq-fe.h, fatal error: libpq-fe.h: No such file or directory')\n"
    ),
    sdists.sdist("foreign", tag="cp39-cp39-win32"),
    sdists.sdist("liar", code="\ndef build_wheel(*_arguments):\n    return '../liar-1.0-py3-none-any.whl'\n"),
    sdists.sdist("absent", code="\ndef build_wheel(*_arguments):\n    return 'absent-1.0-py3-none-any.whl'\n"),
    sdists.sdist(
        "linked",
        code="\ndef build_wheel(folder, *_arguments):\n"
        "    os.symlink('/etc/passwd', folder + '/linked-1.0-py3-none-any.whl')\n"
        "    return 'linked-1.0-py3-none-any.whl'\n",
    ),
    sdists.sdist("silent", code="\ndef build_wheel(folder, *_arguments):\n    os._exit(0)\n"),
    sdists.sdist("unsaid", build_requires=["nowhere-to-be-found"]),
    sdists.sdist("option", build_requires=["--index-url=http://127.0.0.1:9/simple"]),
    sdists.sdist("reader", needs=["-r /etc/passwd"]),
    sdists.sdist("addressed", needs=["x @ https://example.com/x-1-py3-none-any.whl"]),
    replace(sdists.sdist("impostor"), content=sdists.sdist("other").content),
    Wheel("malformed-1.0.tar.gz", sdists.packed({"malformed-1.0/pyproject.toml": "[build-system]\nrequires = 1\n"})),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with sdists.running(tmp_path_factory.mktemp("world"), *SOURCES) as found:
        yield found


@dataclass(frozen=True)
class Built:
    """An image: the digest of its manifest, and what the build says of its layers."""

    place: World
    digest: str
    layers: Mapping[str, Mapping[str, str]]

    def values(self, name: str) -> list[object]:
        """Return what the backend of a package has written into a module."""
        blob = self.place.folder / "cache/blobs" / self.layers[name]["digest"].replace(":", "/")
        with tarfile.open(blob) as layer:
            file = layer.extractfile(f"layers/site-packages/lib/python{sdists.SERIES}/site-packages/{name}_made.py")
            assert file
            found = ast.literal_eval(file.read().decode())
        return found if isinstance(found, list) else [found]


def built(place: World, name: str, requirements: str, *, environment: Mapping[str, str] | None = None) -> Built:
    """Build an application that has these requirements."""
    app = place.app({"main.py": "", "requirements.txt": requirements}, name)
    ran = place.run("build", str(app), "--json", "-o", f"oci:{name}.oci", **(environment or {}))
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    return Built(place, document["manifest_digest"], {layer["name"]: layer for layer in document["layers"]})


REQUIREMENTS = "asking==1.0\nburglar\nclick==8.2.0\ncurious\nuser\n"


@pytest.fixture(scope="module")
def shop(place: World) -> Built:
    """An image of which nearly all comes from source."""
    return built(place, "shop", REQUIREMENTS)


def lock_of(place: World, name: str) -> str:
    return (place.folder / name / "imagebuilder.lock").read_text()


def test_what_is_published_as_source_only_is_built_and_has_a_layer_of_its_own(place: World, shop: Built) -> None:
    assert {"asking", "plain", "user", "site-packages"} <= shop.layers.keys()
    before = place.index.asked("/")
    again = built(place, "shop", REQUIREMENTS)
    assert again.digest == shop.digest and again.layers["plain"]["cached"]
    assert place.index.asked("/") == before


def test_another_folder_cache_and_umask_give_the_same_image(place: World, shop: Built) -> None:
    before = os.umask(0o077)
    try:
        other = {"IMAGEBUILDER_CACHE_DIR": str(place.folder / "another/cache"), "TZ": "Asia/Tokyo", "LANG": "de_DE"}
        again = built(place, "some/where/shop", REQUIREMENTS, environment=other)
    finally:
        os.umask(before)
    assert {name: layer["digest"] for name, layer in again.layers.items()} == {
        name: layer["digest"] for name, layer in shop.layers.items()
    }
    assert not again.layers["plain"]["cached"]


def test_what_a_project_and_its_backend_require_is_there_while_it_is_built_and_not_in_the_image(
    place: World, shop: Built
) -> None:
    assert shop.values("asking") == ["a helper"]
    lock = lock_of(place, "shop")
    assert "helper-1.0-py3-none-any.whl" in lock and "till_wheel-1.0-py3-none-any.whl" in lock
    listed = place.run("inspect", "oci:shop.oci", "--files").stdout
    assert "asking.py" in listed and "helper.py" not in listed and "backend.py" not in listed


def test_a_dependency_of_a_package_is_built_in_a_version_that_is_wanted(place: World, shop: Built) -> None:
    assert shop.layers.keys() >= {"user", "plain"}
    assert "user-1.0.tar.gz" in lock_of(place, "shop") and "plain-0.9.tar.gz" in lock_of(place, "shop")


def test_the_newest_source_is_chosen_that_is_no_pre_release(place: World) -> None:
    app = place.app({"main.py": "", "requirements.txt": "plain\n"}, "newest")
    assert place.run("lock", str(app)).returncode == 0
    assert '"plain-1.0.tar.gz"' in lock_of(place, "newest")


def test_sources_are_taken_from_a_lock_and_by_hash(place: World) -> None:
    plain = next(one for one in SOURCES if one.filename == "plain-1.0.tar.gz")
    package = '[[packages]]\nname = "plain"\nversion = "1.0"\nsdist = { name = "plain-1.0.tar.gz", '
    package += f'url = "https://example.com/plain-1.0.tar.gz", hashes = {{ sha256 = "{plain.sha256}" }} }}\n'
    pylock = 'lock-version = "1.0"\ncreated-by = "us"\n' + package
    for name, file, text in (
        ("locked", "pylock.toml", pylock),
        ("hashed", "requirements.txt", f"plain==1.0 --hash=sha256:{plain.sha256}\n"),
    ):
        app = place.app({"main.py": "", file: text}, name)
        ran = place.run("lock", str(app))
        assert ran.returncode == 0, ran.stderr
        assert f'sha256 = "{plain.sha256}"' in lock_of(place, name)


def test_a_plan_of_what_is_built_asks_nobody(place: World, shop: Built) -> None:
    ran = place.run("plan", str(place.folder / "shop"), PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert shop.digest and ran.returncode == 0 and "pip-install" in ran.stdout


def test_a_build_script_sees_one_time_one_place_and_nobodys_settings(shop: Built) -> None:
    (variables, folder, umask, *times) = shop.values("curious")
    assert dict(variables) == {  # type: ignore[call-overload]  # as the backend wrote it
        "HOME": "/build/home",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": "/build/environment/bin:/usr/local/bin:/usr/bin:/bin",
        "PWD": "/build/curious-1.0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "315532801",
        "TZ": "UTC",
        "VIRTUAL_ENV": "/build/environment",
    }
    assert (folder, umask) == ("/build/curious-1.0", 0o022)
    assert times == [315532801.0, ("UTC", "UTC"), [315532801.0, 315532801.0]]


def test_a_build_script_reaches_no_network_and_nothing_of_the_host(shop: Built) -> None:
    networks, connected, host, stolen, home = shop.values("burglar")
    assert (networks, connected) == ([(1, "lo")], "OSError")
    assert (host, home) == ("FileNotFoundError", "[]")
    assert stolen in ("PermissionError", "OSError")


def test_a_source_distribution_at_an_address_is_built_and_what_it_requires_is_resolved(place: World) -> None:
    user = next(each for each in SOURCES if each.project == "user")
    address = f"{place.index.url.removesuffix('simple')}files/{user.filename}"
    files = {"main.py": "", "requirements.txt": f"user @ {address}#sha256={user.sha256}\n"}
    app = place.app(files, "addressed-source")
    ran = place.run("build", str(app))
    assert ran.returncode == 0, ran.stderr
    text = (app / "imagebuilder.lock").read_text()
    assert f'url = "{address}"' in text and "plain" in text
    place.app({**files, "requirements.txt": f"user @ {address}#sha256={'0' * 64}\n"}, "addressed-source")
    refused = place.run("build", str(app))
    assert refused.returncode == 6 and "IB704" in refused.stderr


@pytest.mark.parametrize("file", ["requirements.txt", "pyproject.toml"])
def test_what_an_address_has_is_pinned_when_its_hash_is_not_written(place: World, file: str) -> None:
    user = next(each for each in SOURCES if each.project == "user")
    address = f"{place.index.url.removesuffix('simple')}files/{user.filename}"
    project = f'[project]\nname = "shop"\nversion = "1"\ndependencies = ["user @ {address}"]\n'
    text = project if file == "pyproject.toml" else f"user @ {address}\n"
    app = place.app({"main.py": "", file: text}, f"unhashed-{file}")
    asked = place.index.asked(user.filename)
    ran = place.run("build", str(app))
    assert ran.returncode == 0, ran.stderr
    lock = (app / "imagebuilder.lock").read_text()
    assert f'url = "{address}"' in lock and user.sha256 in lock and "plain" in lock
    assert place.index.asked(user.filename) == asked + 1
    (app / "main.py").write_text("# another\n")
    place.index.faults[user.filename] = ["500"] * 9
    assert place.run("build", str(app), "--locked").returncode == 0
    place.index.faults.clear()


FAILURES = {
    "broken": ("IB872", '"libpq-dev"'),
    "foreign": ("IB873", "cp39-cp39-win32"),
    "liar": ("IB873", "../liar"),
    "absent": ("IB873", "left no 'absent"),
    "linked": ("IB873", "left no 'linked"),
    "silent": ("IB873", "left no 'answer.json"),
    "malformed": ("IB871", "requires is not a list"),
    "unsaid": ("IB405", "cannot find what unsaid 1.0 is built with"),
    "option": ("IB871", "--index-url"),
    "reader": ("IB871", "-r /etc/passwd"),
    "addressed": ("IB871", "example.com"),
    "impostor": ("IB", "impostor"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_source_that_cannot_be_built_says_why_and_what_helps(place: World, name: str) -> None:
    code, words = FAILURES[name]
    app = place.app({"main.py": "", "requirements.txt": f"{name}==1.0\n"}, f"failing-{name}")
    ran = place.run("lock", str(app))
    assert ran.returncode in (4, 6), ran.stderr
    assert f"[{code}" in ran.stderr and words in ran.stderr


def test_a_check_names_the_file_and_the_layer_of_a_source_that_leaks_chance(place: World) -> None:
    app = place.app({"main.py": "", "requirements.txt": "random==1.0\n"}, "random")
    assert place.run("lock", str(app)).returncode == 0
    ran = place.run("check", str(app))
    assert ran.returncode == 1, ran.stderr
    assert "site-packages/random_made.py" in ran.stdout and "random" in ran.stdout


MESSAGES = {
    "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory": '"gcc"',
    "error: command 'gcc' failed: No such file or directory": '"gcc"',
    "error: command 'x86_64-linux-gnu-g++' failed: No such file or directory": '"g++"',
    "Error: pg_config executable not found.": '"libpq-dev"',
    "x.c:3:10: fatal error: ffi.h: No such file or directory": '"libffi-dev"',
    "x.c:3:10: fatal error: strange.h: No such file or directory": "has strange.h",
    "/usr/bin/x86_64-linux-gnu-ld: cannot find -lcurl: No such file or directory": "libcurl.so",
    "error: can't find Rust compiler": '"cargo"',
    "something else": "as it was",
}


@pytest.mark.parametrize("line", MESSAGES)
def test_what_a_compiler_misses_is_named_as_a_package_of_debian(line: str) -> None:
    ended = BuildError("python failed: exit status 1", hint="as it was", code="IB862", details=("first", line))
    error = failed(WHEEL, ended, lambda _names: {})
    assert MESSAGES[line] in error.hint
    assert (error.code, error.details) == ("IB872", ("first", line))


def test_a_header_that_few_miss_is_looked_up_in_debian_s_list_of_files() -> None:
    line = "x.c:3:10: fatal error: deep/strange.h: No such file or directory"
    ended = BuildError("python failed: exit status 1", hint="as it was", code="IB862", details=(line,))
    asked: list[str] = []

    def packages_with(names: Collection[str]) -> dict[str, list[str]]:
        asked.extend(names)
        return {"deep/strange.h": ["libstrange-dev", "libstrange2-dev"]}

    assert '["libstrange-dev"]' in failed(WHEEL, ended, packages_with).hint
    assert asked == ["deep/strange.h"]

    def unreachable(_names: Collection[str]) -> dict[str, list[str]]:
        raise BuildError("no network", hint="", code="IB701")

    assert "has deep/strange.h" in failed(WHEEL, ended, unreachable).hint


@pytest.mark.parametrize(
    "line",
    [
        "LookupError: setuptools-scm was unable to detect version for /build/shop.",
        "Error getting the version from source `vcs`: setuptools-scm was unable to detect version for /build/shop.",
        "Cannot find the version from SCM",
        "Exception: Versioning for this project requires either an sdist tarball, or access to an upstream git",
    ],
)
def test_a_backend_that_asks_git_for_the_version_is_ib876_with_what_to_set(line: str) -> None:
    ended = BuildError("python failed: exit status 1", hint="as it was", code="IB862", details=("first", line))
    of_folder, of_file = failed(PinnedWheel("shop", "", Folder(".")), ended, dict), failed(WHEEL, ended, dict)
    assert (of_folder.code, of_file.code) == ("IB876", "IB876")
    assert "--project-version" in of_folder.hint and "released version" in of_file.hint


def test_a_sandbox_that_cannot_be_made_is_no_failure_of_the_package() -> None:
    error = failed(WHEEL, BuildError("commands of a build cannot be shut in here", hint="help", code="IB860"), dict)
    assert (error.code, error.hint) == ("IB860", "help")


WHEEL = PinnedWheel("demo", "1.0", replace(sdists.sdist("demo").source, kind="sdist"), ())
PYTHON = Interpreter("3.13.5", "/usr/bin/python3.13", "a test", ("python3.13",))
IMAGE = ImagePins(
    "python:3.13",
    Platform("linux", "amd64"),
    Descriptor("x", Digest.of(b"m"), 1),
    Descriptor("x", Digest.of(b"c"), 1),
    (),
    Found((), "", "2.41", musl=False, distribution="debian-13", certificates="", shells=()),
)


def builder(folder: Path, base: BasePins | ImagePins, architecture: str) -> SourceBuilder:
    target = Target(Platform("linux", architecture), "debian:trixie", (2, 41))
    return SourceBuilder(base, PYTHON, target, Cache(folder), lambda _sources: {}, Progress())


def test_nothing_is_built_for_a_processor_that_is_not_here(tmp_path: Path) -> None:
    other = "arm64" if os.uname().machine == "x86_64" else "amd64"
    pins = BasePins("trixie", other, "20261120T141110Z", ((), (), ()))
    with pytest.raises(BuildError, match=f"the image is for linux/{other}") as caught:
        builder(tmp_path, pins, other).build(WHEEL, {})
    assert caught.value.code == "IB874"


def test_a_project_that_cannot_be_built_here_may_run_uninstalled(tmp_path: Path) -> None:
    other = "arm64" if os.uname().machine == "x86_64" else "amd64"
    project, member = PinnedWheel("shop", "", Folder("."), ()), PinnedWheel("till", "", Folder("till"), ())
    foreign = builder(tmp_path, replace(IMAGE, platform=Platform("linux", other)), other)
    hints = []
    for wheel in (project, member):
        with pytest.raises(BuildError) as caught:
            foreign.requires(wheel, {})
        assert caught.value.code == "IB874"
        hints.append(caught.value.hint)
    assert "`package = false` in [tool.uv]" in hints[0] and "--find-links" in hints[1]


def test_a_wheel_is_made_again_for_other_layers_and_not_for_another_name_of_an_image(tmp_path: Path) -> None:
    layer = Layer(Descriptor("x", Digest.of(b"l"), 1), Digest.of(b"t"), "python:3.13")
    bases = (IMAGE, replace(IMAGE, layers=(layer,)), replace(IMAGE, layers=(layer,), name="python:latest"))
    empty, first, again = (builder(tmp_path, base, "amd64").recipe(WHEEL) for base in bases)
    assert empty != first == again


def test_what_an_image_lacks_is_no_package_to_add() -> None:
    line = "x.c:3:10: fatal error: ffi.h: No such file or directory"
    ended = BuildError("python failed: exit status 1", hint="as it was", code="IB862", details=(line,))
    hint = failed(WHEEL, ended, dict, image="python:3.13-slim").hint
    assert hint.startswith("python:3.13-slim lacks") and "build-packages" not in hint
    other = BuildError("python failed: exit status 1", hint="as it was", code="IB862", details=("something else",))
    assert failed(WHEEL, other, dict, image="python:3.13-slim").hint == "its last lines say why"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, backend.Backend()),
        ("[project]\nname = 'x'\n", backend.Backend()),
        ("[build-system]\nrequires = ['a', 'b>1']\n", backend.Backend(("a", "b>1"))),
        (
            "[build-system]\nrequires = []\nbuild-backend = 'own:api.v2'\nbackend-path = ['tools']\n",
            backend.Backend((), "own:api.v2", ("tools",)),
        ),
    ],
)
def test_what_is_not_said_of_a_backend_is_what_pep_517_says(text: str | None, found: backend.Backend) -> None:
    assert backend.read(text, "demo 1.0") == found


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "build-system = 1",
        "[build-system]",
        "[build-system]\nrequires = 'a'",
        "[build-system]\nrequires = [1]",
        "[build-system]\nrequires = []\nbuild-backend = 1",
        "[build-system]\nrequires = []\nbuild-backend = '-c'",
        '[build-system]\nrequires = ["a\\n--index-url=x"]',
    ],
)
def test_a_backend_that_is_not_said_as_it_should_be_is_ib871(text: str) -> None:
    with pytest.raises(BuildError, match=r"demo 1\.0") as caught:
        backend.read(text, "demo 1.0")
    assert caught.value.code == "IB871"
