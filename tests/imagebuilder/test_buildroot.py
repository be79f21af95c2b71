"""Roots for builds: made once, whole, of what the lock pins; Debian's programs run in them, and nothing of it ships."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from buildpacks.api import Files, Interpreter, Source
from imagebuilder.base import debian
from imagebuilder.base.debian import BasePins
from imagebuilder.buildroot import build_root
from imagebuilder.cache import Cache
from imagebuilder.fetch import Downloader
from imagebuilder.sandbox import rungs
from imagebuilder.sandbox.box import Sandbox
from layers.blobs import BlobStore
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, StorageError
from tests import debs, mirror, shut_in, standalones, world
from tests.mirror import Mirror
from tests.shut_in import Shell
from tests.world import World

GCC = debs.package(
    "gcc",
    debs.file("./usr/bin/gcc", b"a compiler", mode=0o4775),
    postinst="#!/bin/sh\nupdate-alternatives --quiet \\\n  --install /usr/bin/cc cc /usr/bin/gcc 20\n",
    depends="libc6-dev",
)
BUILD = (
    GCC,
    debs.package("libc6-dev", debs.file("./usr/include/stdio.h", b"int puts;\n")),
    debs.package("libpython3.13-dev", debs.file("./usr/include/python3.13/Python.h", b"")),
    *(debs.package(name) for name in debian.ESSENTIAL),
)


@dataclass
class Debian:
    """A mirror, and how often packages were fetched of it."""

    mirror: Mirror
    store: BlobStore
    fetched: list[int] = field(default_factory=list)

    def pin(self, *build_packages: str) -> BasePins:
        index = debian.load_index("trixie", "amd64", mirrors=self.mirror.mirrors, download=mirror.download)
        (python,) = debian.interpreters(index)
        return debian.pin(index, interpreter=python, packages=("dash",), build_packages=build_packages)

    def fetch(self, sources: Sequence[Source]) -> Files:
        self.fetched.append(len(sources))
        places = self.mirror.mirrors
        finder = Downloader(locate=lambda source: debian.candidates(source, mirrors=places, snapshot=""))
        return finder.fetch_all(sources, self.store)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    folder = tmp_path_factory.mktemp("debian")
    with mirror.running(folder) as found:
        found.publish_suite("trixie", (*world.BASE, *world.PYTHON, *BUILD))
        yield Debian(found, BlobStore(folder / "store"))


def test_packages_for_builds_come_with_headers_and_what_every_debian_has(served: Debian) -> None:
    pins = served.pin("gcc")
    names = {deb.name for deb in pins.build}
    assert names == {package.name for package in BUILD} - {"dash"}, "what the image has is not there twice"
    assert "gcc" in pins.packages and pins.tiers == served.pin().tiers
    assert pins.identity != served.pin().identity and pins.layer_count == 3
    assert served.pin().build == ()


def test_a_root_has_the_files_of_the_image_and_those_for_builds(served: Debian, tmp_path: Path) -> None:
    root = build_root(served.pin("gcc"), Cache(tmp_path), served.fetch)
    assert (root / "usr/bin/gcc").stat().st_mode & 0o7777 == 0o755
    assert (root / "etc/alternatives/cc").readlink() == Path("/usr/bin/gcc")
    assert (root / "usr/bin/cc").readlink() == Path("/etc/alternatives/cc")
    assert (root / "usr/bin/python3").readlink() == Path("python3.13")
    assert (root / "lib").readlink() == Path("usr/lib")
    assert (root / "usr/include/python3.13/Python.h").exists()
    assert (root / "etc/ld.so.cache").read_bytes().startswith(b"glibc-ld.so.cache1.1")
    assert {path.lstat().st_mtime for path in (root, *root.rglob("*"))} == {315532801}


def test_a_root_is_made_once_for_its_packages(served: Debian, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = build_root(served.pin("gcc"), cache, served.fetch)
    before = len(served.fetched)
    assert build_root(served.pin("gcc"), cache, served.fetch) == first
    assert len(served.fetched) == before
    assert build_root(served.pin(), cache, served.fetch) != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["roots", "scratch"]
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["lock"]


def test_a_standalone_python_is_in_the_root_with_its_headers(served: Debian, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(standalones.build("3.12.9").content)
    source = Source("python", "archive", Digest.of(archive.read_bytes()), None, "1/archive")
    python = Interpreter("3.12.9", "/layers/cpython/bin/python3.12", "standalone", archive=source)

    def fetch(sources: Sequence[Source]) -> Files:
        return {**served.fetch([one for one in sources if one is not source]), source.digest: archive}

    pins, cache = served.pin("gcc"), Cache(tmp_path / "cache")
    root = build_root(pins, cache, fetch, python)
    assert (root / "layers/cpython/include/python3.12/Python.h").exists()
    assert (root / "layers/cpython/bin/python").readlink() == Path("python3.12")
    config = root / "layers/cpython/lib/python3.12/_sysconfigdata__linux_x86_64-linux-gnu.py"
    assert config.read_bytes() == standalones.CORRECTED
    assert (root / "usr/bin/gcc").exists()
    assert build_root(pins, cache, fetch) != root


def test_builds_may_make_a_root_at_once(served: Debian, tmp_path: Path) -> None:
    pins = served.pin("gcc")
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: build_root(pins, Cache(tmp_path), served.fetch), range(3)))
    assert len({*made}) == 1 and (made[0] / "usr/bin/gcc").exists()


def test_a_root_that_cannot_be_written_is_an_error_of_storage(served: Debian, tmp_path: Path) -> None:
    (tmp_path / "roots").write_text("a file")
    with pytest.raises(StorageError) as caught:
        build_root(served.pin("gcc"), Cache(tmp_path), served.fetch)
    assert caught.value.code == "IB601"


def test_packages_that_do_not_fit_together_are_refused(served: Debian, tmp_path: Path) -> None:
    """A link in the place of a folder would lead files that are there already elsewhere."""
    first = debs.package("aaa", debs.file("./usr/share/x/file", b""))
    other = debs.package("bbb", debs.symlink("./usr/share/x", "/etc"))
    with mirror.running(tmp_path) as found:
        found.publish_suite("trixie", (*world.BASE, *world.PYTHON, *BUILD, first, other))
        hostile = Debian(found, BlobStore(tmp_path / "store"))
        with pytest.raises(IntegrityError, match="usr/share/x is no folder") as caught:
            build_root(hostile.pin("aaa", "bbb"), Cache(tmp_path / "cache"), hostile.fetch)
    assert caught.value.code == "IB865"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world.running(
        tmp_path_factory.mktemp("world"), packages=tuple(each for each in BUILD if each.name != "dash")
    ) as found:
        yield found


def test_packages_for_builds_are_in_the_lock_and_not_in_the_image(place: World) -> None:
    project = '[project]\nname = "app"\nversion = "1"\n[tool.imagebuilder]\n'
    layers = []
    for name, more in (("without", ""), ("with", 'build-packages = ["gcc"]\n')):
        app = place.app({"main.py": "", "requirements.txt": "", "pyproject.toml": project + more}, name)
        ran = place.run("build", str(app), "--json", "-o", f"oci:{name}.oci")
        assert ran.returncode == 0, ran.stderr
        layers.append(place.run("inspect", f"oci:{name}.oci", "--layers").stdout)
    assert 'build-requested = [\n    "gcc",\n]' in (place.folder / "with/imagebuilder.lock").read_text()
    assert layers[0].splitlines()[:3] == layers[1].splitlines()[:3] != []
    listed = place.run("inspect", "oci:with.oci", "--files").stdout
    assert "usr/bin/python3.13" in listed and "usr/bin/gcc" not in listed


def test_a_lock_without_a_package_for_builds_does_not_fit(place: World) -> None:
    app = place.app({"main.py": "", "requirements.txt": "", "imagebuilder.toml": ""}, "changed")
    assert place.run("lock", str(app)).returncode == 0
    (app / "imagebuilder.toml").write_text('build-packages = ["gcc"]\n')
    checked = place.run("lock", "--check", str(app))
    assert checked.returncode == 1 and "the OS packages asked for have changed" in checked.stdout + checked.stderr
    assert place.run("lock", str(app)).returncode == 0
    assert place.run("lock", "--check", str(app)).returncode == 0
    assert place.run("lock", str(app), "--upgrade", "gcc").returncode == 0


PROGRAM = """
#include <Python.h>
#include <libpq-fe.h>
int main(void) { return puts(__FILE__ " of " __TIMESTAMP__ " for " PY_VERSION " and PQ") < 0 || PQlibVersion() < 1; }
"""
COMPILE = """
cd /build/hello-1.0
cc -g -O2 -I/usr/include/postgresql $(python3.13-config --includes 2> /dev/null || echo -I/usr/include/python3.13) \
    -c hello.c -o hello.o
cc hello.o -o hello -lpq
./hello
"""


@pytest.mark.network
def test_a_compiler_of_debian_makes_the_same_bytes_in_every_sandbox() -> None:
    folder = Path(tempfile.mkdtemp())  # other than those of pytest, one that nobody can go into
    folder.chmod(0o755)
    try:
        root = root_with_gcc(folder / "cache")
        made = {}
        for rung, nobody in [(rung, nobody) for rung in rungs.NAMES for nobody in (False, True)]:
            if nobody and (os.geteuid() or not shut_in.python_of_nobody()):
                continue
            shell = Shell(root, rung, nobody)
            source = shell.folder(folder / f"{rung}-{nobody}")
            (source / "hello.c").write_text(PROGRAM)
            os.utime(source / "hello.c", (315532801, 315532801))
            try:
                finished = shell.execute(
                    Sandbox(root, {"/build/hello-1.0": source}), "/bin/sh", "-c", COMPILE, env={"LC_ALL": "C.UTF-8"}
                )
            except BuildError as error:
                if error.code != "IB861":
                    raise
                continue  # this way does not work here
            assert finished.output.startswith("hello.c of Tue Jan  1 00:00:01 1980 for 3.13.")
            made[rung, nobody] = [(source / name).read_bytes() for name in ("hello.o", "hello")]
        assert made
        assert all(one == next(iter(made.values())) for one in made.values()), list(made)
    finally:
        shutil.rmtree(folder)


def root_with_gcc(folder: Path) -> Path:
    cache = Cache(folder)
    mirrors, downloader = debian.find_mirrors(), Downloader()
    index = debian.load_index("trixie", "amd64", mirrors=mirrors, download=downloader.get)
    pins = debian.pin(
        index,
        interpreter=debian.interpreters(index)[0],
        packages=(),
        build_packages=("gcc", "libpq-dev"),
    )
    finder = replace(
        downloader, locate=lambda source: debian.candidates(source, mirrors=mirrors, snapshot=pins.snapshot)
    )
    with cache.in_use():
        return build_root(pins, cache, lambda sources: finder.fetch_all(sources, cache.store))
