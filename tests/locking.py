"""Makes locks with the real uv against a loopback index, and pins with them as a build does."""

import os
import subprocess
import sys
from pathlib import Path

from buildpacks.api import App, Buildpack, BuildPlan, PinContext, PinnedWheel, Setting, Source
from imagebuilder import uv_program
from imagebuilder.fetch import Downloader
from imagebuilder.index import IndexSettings, Place
from imagebuilder.resolver import UvResolver
from imagebuilder.sources.git import Repositories
from layers.blobs import BlobStore
from tests import apps, index

PYTHON = apps.interpreter("3.13.5")
# Ten packages, with all that decides which of them an image gets.
WHEELS = (
    index.wheel("shop-web", "2.0", requires=["till>=1", "card[chip]; extra == 'pay'"], extras=["pay"]),
    index.wheel("till", "1.0"),
    index.wheel("till", "1.1", requires=["drawer", "old-python; python_version < '3.12'"]),
    index.wheel("drawer", requires=["ghost; sys_platform == 'win32'"]),
    index.wheel("card", requires=["reader; extra == 'chip'"], extras=["chip"]),
    index.wheel("reader", tag="cp311-cp311-manylinux_2_28_x86_64"),
    index.wheel("reader", tag="cp313-cp313-manylinux_2_17_x86_64"),
    index.wheel("reader", tag="cp313-cp313-manylinux_2_28_x86_64"),
    index.wheel("reader", tag="cp313-cp313-manylinux_2_28_aarch64"),
    index.wheel("reader", tag="cp313-cp313-win_amd64"),
    index.wheel("ghost"),
    index.wheel("old-python"),
    index.wheel("tester", requires=["drawer"]),
    index.wheel("server", requires=["loop"]),
    index.wheel("loop"),
    index.wheel("Mixed_Case", "1.0"),
)


def resolver(folder: Path, url: str = "", **more: str) -> UvResolver:
    """Return a resolver that knows one index at most."""
    settings = IndexSettings((Place(url, "a test"),) if url else (), public=False)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "UV_HTTP_RETRIES": "0", **more}
    repositories = Repositories(BlobStore(folder / "cache"), folder / "scratch", environment)
    downloader = Downloader(settings, environment=environment, backoff_s=0.001)
    return UvResolver(downloader, folder / "cache" / "uv", repositories=repositories.fetch)


def context(app: App, resolves: UvResolver) -> PinContext:
    """Return what `pin` is given after the interpreter was chosen."""
    return PinContext(app, (), apps.TARGET, tuple, PYTHON, resolves)


def pinned(buildpack: Buildpack, root: Path, resolves: UvResolver, **settings: str) -> list[Source]:
    """Detect and pin as a build does; return the files of the packages."""
    return [source for wheel in wheels(buildpack, root, resolves, **settings) for source in wheel.sources[:1]]


def wheels(buildpack: Buildpack, root: Path, resolves: UvResolver, **settings: str) -> tuple[PinnedWheel, ...]:
    """Detect and pin as a build does."""
    app = App(root, {name: Setting(value, f"--{name}") for name, value in settings.items()})
    assert isinstance(buildpack.detect(app), BuildPlan)
    return buildpack.pin(context(app, resolves)).wheels


def lock(folder: Path, url: str) -> None:
    """Run `uv lock`."""
    uv(folder, "lock", UV_DEFAULT_INDEX=url)


def export(folder: Path) -> str:
    """Run `uv export` and return what is locked in the form of PEP 751."""
    return uv(folder, "export", "--frozen", "--format=pylock.toml", "--no-emit-project", "--no-header")


def uv(folder: Path, *arguments: str, **more: str) -> str:
    """Run uv with nothing but this in its environment, and return what it printed."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "UV_PYTHON": sys.executable, **more}
    command = [uv_program._program(), *arguments, "--no-cache", "--quiet"]
    return subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
