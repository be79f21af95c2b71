"""Libraries of the system that wheels need: found, named with their package, and added when that is asked for."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildpacks.api import Files, PinnedWheel, Source
from imagebuilder import libraries
from imagebuilder.base import contents
from imagebuilder.libraries import Library
from layers.errors import BuildError, IntegrityError, TransientError
from tests import debs, index, world
from tests.containers import imagebuilder
from tests.index import Wheel
from tests.world import World

TAG = "cp313-cp313-manylinux_2_17_x86_64"
ARCH = "usr/lib/x86_64-linux-gnu"


def native(name: str, *needed: str, brings: tuple[str, ...] = (), tag: str = TAG) -> Wheel:
    """A wheel with an extension module that needs libraries; those it brings lie where auditwheel puts them."""
    files = {f"{name}/core.abi3.so": debs.shared_object("", needed=needed), f"{name}/__init__.py": b""}
    files |= {f"{name}.libs/{library}": debs.shared_object(library) for library in brings}
    return index.wheel(name, tag=tag, files=files)


OPENCV = native("cv2", "libGL.so.1", "libglib-2.0.so.0", "libav-12ab.so.60", "libc.so.6", brings=("libav-12ab.so.60",))
POSTGRES = native("psycopg2", "libpq.so.5", "libc.so.6", "libstdc++.so.6")
GPU = native("gpu", "libcuda.so.1")
PYEXPAT = native("pyexpat2", "libexpat.so.1")
PACKAGES = (
    debs.package("libgl1", debs.file(f"./{ARCH}/libGL.so.1", b"gl"), depends="libc6"),
    debs.package("libgl1-mesa-dev", debs.file(f"./{ARCH}/libGL.so.1", b"gl")),
    debs.package("libglib2.0-0t64", debs.symlink(f"./{ARCH}/libglib-2.0.so.0", "libglib-2.0.so.0.8400.0")),
    debs.package("elsewhere", debs.file("./usr/share/elsewhere/libGL.so.1", b"gl")),
    debs.package("libpq5", debs.file(f"./{ARCH}/libpq.so.5", b"pq"), version="1.0-2"),
    debs.package("libexpat1", debs.file(f"./{ARCH}/libexpat.so.1", b"expat"), version="2.7.1-3"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with world.running(folder, OPENCV, POSTGRES, GPU, PYEXPAT, packages=PACKAGES) as found:
        yield found


def ran(place: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = place.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def warnings(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.removeprefix("warning: ") for line in done.stderr.splitlines() if line.startswith("warning: ")]


def test_what_is_missing_is_named_with_its_package_by_lock_build_and_plan(place: World) -> None:
    place.app({"main.py": "", "requirements.txt": "cv2\npsycopg2\ngpu\n"}, "warned")
    expected = [
        (
            "cv2 needs libGL.so.1, libglib-2.0.so.0, which are not in the image: "
            'add packages = ["libgl1", "libglib2.0-0t64"], or "auto"'
        ),
        "gpu needs libcuda.so.1, which is not in the image, and no package of Debian is known to have it",
        'psycopg2 needs libpq.so.5, which is not in the image: add packages = ["libpq5"], or "auto"',
    ]
    assert warnings(ran(place, "plan", "warned")) == []
    assert warnings(ran(place, "lock", "warned")) == expected
    assert warnings(ran(place, "build", "warned")) == expected
    assert json.loads(ran(place, "build", "warned", "--json").stdout)["warnings"] == expected
    planned = ran(place, "plan", "warned", "--json")
    assert warnings(planned) == expected
    assert json.loads(planned.stdout)["missing_libraries"][0] == {
        "name": "libGL.so.1",
        "needed_by": ["cv2"],
        "packages": ["libgl1", "libgl1-mesa-dev"],
    }


def test_nothing_is_asked_again_while_the_wheels_are_the_same(place: World) -> None:
    place.app({"main.py": "", "requirements.txt": "cv2\n"}, "again")
    ran(place, "lock", "again")
    del place.mirror.asked[:]
    ran(place, "lock", "again")
    assert place.mirror.asked == []


def test_the_list_of_files_is_fetched_once(place: World) -> None:
    for name in ("first", "second"):
        place.app({"main.py": "", "requirements.txt": "psycopg2\n"}, name)
    ran(place, "lock", "first")
    del place.mirror.asked[:]
    ran(place, "lock", "second")
    assert not [path for path in place.mirror.asked if "/main/by-hash/" in path]


def locked_packages(place: World, name: str) -> set[str]:
    text = (place.folder / name / "imagebuilder.lock").read_text()
    return {line.split('"')[1] for line in text.splitlines() if line.startswith("name = ")}


def test_auto_adds_what_is_missing_and_takes_it_away_again(place: World) -> None:
    files = {"main.py": "", "imagebuilder.toml": 'packages = ["auto"]\n', "requirements.txt": "cv2\npsycopg2\n"}
    place.app(files, "auto")
    assert warnings(ran(place, "build", "auto")) == []
    assert locked_packages(place, "auto") >= {"libgl1", "libglib2.0-0t64", "libpq5"}
    assert f"{ARCH}/libpq.so.5" in ran(place, "inspect", "oci:dist/auto.oci", "--files").stdout
    assert ran(place, "lock", "auto", "--check").returncode == 0
    place.app({"requirements.txt": "cv2\n"}, "auto")
    ran(place, "build", "auto")
    assert "libpq5" not in locked_packages(place, "auto")
    assert "libgl1" in locked_packages(place, "auto")


def test_auto_and_names_go_together(place: World) -> None:
    place.app(
        {"main.py": "", "imagebuilder.toml": 'packages = ["auto", "dash"]\n', "requirements.txt": "psycopg2"}, "both"
    )
    ran(place, "lock", "both")
    assert locked_packages(place, "both") >= {"dash", "libpq5"}


def test_what_the_interpreter_brings_is_not_missing(place: World) -> None:
    place.app({"main.py": "", "requirements.txt": "pyexpat2\n"}, "expat")
    assert warnings(ran(place, "lock", "expat")) == []


def pinned(folder: Path, *wheels: Wheel) -> tuple[list[PinnedWheel], Files]:
    pins, files = [], {}
    for number, each in enumerate(wheels):
        (folder / str(number)).write_bytes(each.content)
        pins.append(PinnedWheel(each.project, "1.0", each.source))
        files[each.source.digest] = folder / str(number)
    return pins, files


def found(folder: Path, *wheels: Wheel, strict: bool = False) -> tuple[Library, ...]:
    pins, files = pinned(folder, *wheels)

    def fetch(sources: list[Source]) -> Files:
        return {source.digest: files[source.digest] for source in sources}

    def nobody(names: object) -> dict[str, tuple[str, ...]]:
        raise TransientError("there is no network", hint="", code="IB701")

    return libraries.find(pins, fetch=fetch, packages_with=nobody, scratch_root=folder / "scratch", strict=strict)


def test_what_another_wheel_brings_is_not_missing(tmp_path: Path) -> None:
    torch = native("torch", "libcudart.so.12")
    runtime = native("cudart", brings=("libcudart.so.12",))
    assert found(tmp_path, torch, runtime) == ()
    assert [each.name for each in found(tmp_path, torch)] == ["libcudart.so.12"]


def test_without_a_network_names_are_told_unless_packages_have_to_be_added(tmp_path: Path) -> None:
    assert found(tmp_path, POSTGRES) == (Library("libpq.so.5", ("psycopg2",)),)
    with pytest.raises(BuildError, match="no network"):
        found(tmp_path, POSTGRES, strict=True)


def test_wheels_without_extension_modules_are_not_fetched(tmp_path: Path) -> None:
    pins, _ = pinned(tmp_path, index.wheel("pure"))
    assert libraries.find(pins, fetch=None, packages_with=None, scratch_root=tmp_path, strict=True) == ()


def test_files_that_only_look_like_libraries_are_harmless(tmp_path: Path) -> None:
    odd = index.wheel("odd", tag=TAG, files={"odd/a.so": b"", "odd/b.so": b"\x7fELF\x02\x01" + b"\xff" * 200})
    assert found(tmp_path, odd) == ()


def test_a_warning_names_at_most_three_of_a_kind_but_every_package() -> None:
    lacking = [Library(f"lib{name}.so.1", ("a", "b", "c", "d"), (f"lib{name}1",)) for name in "vwxyz"]
    assert libraries.warnings(lacking) == [
        (
            "a, b, c and 1 more need libv.so.1, libw.so.1, libx.so.1 and 2 more, which are not in the image: "
            'add packages = ["libv1", "libw1", "libx1", "liby1", "libz1"], or "auto"'
        )
    ]


@pytest.mark.network
def test_a_real_wheel_gets_the_libraries_it_needs(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import cv2\n")
    (tmp_path / "requirements.txt").write_text("opencv-python\npsycopg2-binary\n")
    cache = ("--cache-dir", str(tmp_path / "cache"))
    warned = imagebuilder("lock", str(tmp_path), *cache)
    assert warned.returncode == 0, warned.stderr
    assert "opencv-python needs libGL.so.1, " in warned.stderr
    assert '"libgl1"' in warned.stderr
    assert "psycopg2" not in warned.stderr
    (tmp_path / "imagebuilder.toml").write_text('packages = ["auto"]\n')
    added = imagebuilder("lock", str(tmp_path), *cache)
    assert added.returncode == 0, added.stderr
    assert "not in the image" not in added.stderr
    assert {'name = "libgl1"', 'name = "libglib2.0-0t64"'} <= {
        *(tmp_path / "imagebuilder.lock").read_text().splitlines()
    }


LISTED = f"""\
bin/libz.so.1                                 utils/odd
lib/x86_64-linux-gnu/libz.so.1                libs/zlib1g
{ARCH}/libblas.so.3                           libs/libblas3,libs/libatlas3-base
{ARCH}/libz.so.1.3                            libs/zlib1g
{ARCH}/samba/libz.so.1                        libs/samba
usr/lib/libplain.so.2                         libs/libplain2
usr/lib/aarch64-linux-gnu/libother.so.1       libs/other
usr/include/node/zlib.h                       libdevel/node-dev
usr/include/zlib.h                            libdevel/zlib1g-dev
usr/include/x86_64-linux-gnu/curl/curl.h      libdevel/libcurl4-openssl-dev,libdevel/libcurl4-gnutls-dev
usr/include/x86_64-linux-gnu/curl/xcurl.h     libdevel/other-dev
usr/lib/klibc/include/zlib.h                  libdevel/libklibc-dev
"""


def test_packages_are_found_where_the_linker_looks() -> None:
    names = {"libz.so.1", "libblas.so.3", "libplain.so.2", "libother.so.1"}
    assert contents._find(gzip.compress(LISTED.encode()), names, (), "x86_64-linux-gnu") == {
        "libz.so.1": ("zlib1g",),
        "libblas.so.3": ("libblas3", "libatlas3-base"),
        "libplain.so.2": ("libplain2",),
    }


def test_headers_are_found_wherever_a_package_puts_them_the_nearest_first() -> None:
    names = {"zlib.h", "curl/curl.h", "nobody.h"}
    assert contents._find(gzip.compress(LISTED.encode()), (), names, "x86_64-linux-gnu") == {
        "zlib.h": ("zlib1g-dev", "node-dev"),
        "curl/curl.h": ("libcurl4-gnutls-dev", "libcurl4-openssl-dev"),
    }


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"a b\n" * 1000, mtime=0)[:-9]], ids=["empty", "other", "cut"]
)
def test_a_damaged_list_is_an_error(content: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        contents._find(content, {"libz.so.1"}, (), "x86_64-linux-gnu")
    assert caught.value.code == "IB557"
