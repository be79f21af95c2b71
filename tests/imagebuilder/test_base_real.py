"""Real suites: indexes that Debian signed, roots in which its programs run."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imagebuilder.base import debian
from imagebuilder.base.debian import BasePins
from imagebuilder.fetch import Downloader
from layers import scratch
from layers.blobs import BlobStore
from layers.layer import Layer, write_layer

pytestmark = pytest.mark.network

# A mirror may keep testing and unstable at one moment, so that they can be told apart from a broken one only by hand.
MIRRORS = {
    suite: replace(debian.find_mirrors(), check_age=suite in ("bookworm", "trixie"))
    for suite in ("bookworm", "trixie", "forky", "sid")
}


@dataclass(frozen=True)
class Base:
    pins: BasePins
    store: BlobStore
    layers: tuple[Layer, ...]

    def unpack(self, root: Path) -> Path:
        """Make a root to run programs in; it belongs to root, like the files."""
        root.mkdir()
        for layer in self.layers:
            tar = self.store.path(layer.descriptor.digest)
            subprocess.run(["tar", "-x", "--same-permissions", "-f", tar, "-C", root], check=True)
        os.mknod(root / "dev" / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (root / "dev" / "null").chmod(0o666)
        return root


def run(root: Path, *command: str, user: str = "65532:65532") -> str:
    ran = subprocess.run(
        ["/usr/sbin/chroot", f"--userspec={user}", root, *command],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not kept: a root with ffmpeg has 480 MB."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> BlobStore:
    return BlobStore(tmp_path_factory.mktemp("debs"))


def make(
    downloads: BlobStore, place: Path, suite: str, *, architecture: str, series: str, packages: Sequence[str] = ()
) -> Base:
    mirrors = MIRRORS[suite]
    downloader = Downloader()
    index = debian.load_index(suite, architecture, mirrors=mirrors, download=downloader.get)
    (python,) = [each for each in debian.interpreters(index) if each.series == series]
    pins = debian.pin(index, interpreter=python, packages=tuple(packages))
    finder = replace(
        downloader, locate=lambda source: debian.candidates(source, mirrors=mirrors, snapshot=pins.snapshot)
    )
    return build(pins, finder, downloads, place)


def build(pins: BasePins, finder: Downloader, downloads: BlobStore, place: Path) -> Base:
    store = BlobStore(place / "store")
    warnings: list[str] = []
    with scratch.folder(place / "scratch") as folder, ThreadPoolExecutor(2) as pool:
        specs = debian.layer_specs(pins, scratch=folder, warn=warnings.append)
        files = finder.fetch_all(specs[-1].sources, downloads)
        layers = pool.map(
            lambda spec: write_layer(store, spec.entries(files), created_by=spec.name, compression="none"), specs
        )
        base = Base(pins, store, tuple(layers))
    assert warnings == []
    return base


CHECKS = """
import bz2, ctypes.util, curses, locale, lzma, os, pwd, readline, sqlite3, ssl, sys, uuid, zoneinfo
assert len(ssl.create_default_context().get_ca_certs()) > 100
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
assert len(zoneinfo.available_timezones()) > 400
assert zoneinfo.ZoneInfo("Europe/Berlin")
assert ctypes.util.find_library("ssl") == "libssl.so.3", ctypes.util.find_library("ssl")
assert ctypes.util.find_library("stdc++") == "libstdc++.so.6"
assert locale.setlocale(locale.LC_ALL, "C.UTF-8")
assert pwd.getpwuid(os.getuid()).pw_name == "nonroot"
assert os.path.realpath("/etc/localtime") == "/usr/share/zoneinfo/Etc/UTC"
print("%d.%d" % sys.version_info[:2])
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("suite", "series", "glibc"),
    [("bookworm", "3.11", (2, 36)), ("trixie", "3.13", (2, 41)), ("forky", "3.14", None), ("sid", "3.14", None)],
)
def test_the_interpreter_of_a_suite_runs_with_all_its_modules(
    place: Path, downloads: BlobStore, suite: str, series: str, glibc: tuple[int, int] | None
) -> None:
    base = make(downloads, place, suite, architecture="amd64", series=series)
    assert glibc in (None, base.pins.target.glibc)
    root = base.unpack(place / "root")
    for name in ("python", "python3", f"python{series}"):
        assert run(root, f"/usr/bin/{name}", "-B", "-c", CHECKS) == f"{series}\n"
    assert linker_cache(root) == linker_cache_of_ldconfig(root)


def linker_cache(root: Path) -> list[str]:
    listed = run(root, "/usr/sbin/ldconfig", "-p").splitlines()
    return [line for line in listed if " => " in line]


def linker_cache_of_ldconfig(root: Path) -> list[str]:
    (root / "etc" / "ld.so.cache").unlink()
    run(root, "/usr/sbin/ldconfig", user="0:0")
    return linker_cache(root)


@pytest.mark.root
def test_packages_with_large_closures_work(place: Path, downloads: BlobStore) -> None:
    packages = ("libpq5", "ffmpeg", "libgl1")
    base = make(downloads, place, "trixie", architecture="amd64", series="3.13", packages=packages)
    root = base.unpack(place / "root")
    assert run(root, "/usr/bin/ffmpeg", "-version").startswith("ffmpeg version 7")
    run(root, "/usr/bin/ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=d=1", "-f", "null", "-")
    load = (
        'import ctypes; [ctypes.CDLL(name) for name in ("libpq.so.5", "libGL.so.1", "libblas.so.3", "liblapack.so.3")]'
    )
    run(root, "/usr/bin/python3", "-B", "-c", load)
    assert linker_cache(root) == linker_cache_of_ldconfig(root)


@pytest.mark.root
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_shell_runs_where_it_is_asked_for(place: Path, downloads: BlobStore, suite: str) -> None:
    series = {"bookworm": "3.11", "trixie": "3.13"}[suite]
    base = make(downloads, place, suite, architecture="amd64", series=series, packages=("dash",))
    assert run(base.unpack(place / "root"), "/bin/sh", "-c", "echo $((6 * 7))") == "42\n"


def test_another_architecture_is_laid_out_without_running_anything(place: Path, downloads: BlobStore) -> None:
    base = make(downloads, place, "trixie", architecture="arm64", series="3.13")
    assert base.pins.target.platform.architecture == "arm64"
    listed = subprocess.run(
        ["tar", "-tf", base.store.path(base.layers[0].descriptor.digest)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "usr/lib/aarch64-linux-gnu/libc.so.6" in listed
    assert "lib64" not in listed


def test_the_same_pins_give_the_same_layers(place: Path, downloads: BlobStore) -> None:
    one = make(downloads, place / "one", "trixie", architecture="amd64", series="3.13")
    shutil.rmtree(place / "one" / "store")
    finder = Downloader(offline=True)
    other = build(one.pins, finder, downloads, place / "other")
    assert one.layers == other.layers
