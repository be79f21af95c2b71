"""Images of other builders, made on the spot: `docker build`, `docker commit` and `buildah`, without a network.

The base is a Debian with Python and apt, fetched once from the mirror of this machine. Upon it comes a Python
application as people build it: a virtual environment, a Debian package, an account, and steps that leave traces.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imagebuilder.base.mirrors import find_mirrors
from tests import debs

SUITE, PYTHON = "trixie", "3.13"
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
PROGRAMS = ("mmdebstrap", "buildah", "skopeo")

# Every step of a real Dockerfile that makes an image another one, or nearly all.
DOCKERFILE = """\
FROM base
COPY wheels /tmp/wheels
COPY requirements.txt /tmp/
RUN python3 -m venv /venv && /venv/bin/pip install --no-index --find-links /tmp/wheels -r /tmp/requirements.txt
COPY hello.deb /tmp/
RUN apt-get install -y --no-install-recommends /tmp/hello.deb
RUN useradd --create-home app
RUN ldconfig
COPY app /app
RUN cd /app && python3 -m compileall -q . && python3 assets.py && date > built && hostname > host
USER app
CMD ["/venv/bin/gunicorn", "app:app"]
"""
# What a project's own build step does: an archive, a list made of a set, a token, a database.
ASSETS = """\
import json, secrets, sqlite3, zipfile
from pathlib import Path

Path("tags.json").write_text(json.dumps(list({"alpha", "beta", "gamma", "delta", "epsilon"})))
Path("token").write_text(secrets.token_hex(16))
with zipfile.ZipFile("assets.zip", "w") as archive:
    archive.writestr("logo.svg", "<svg/>")
database = sqlite3.connect("app.db")
database.execute("create table built (at text)")
database.execute("insert into built values (strftime('%Y-%m-%dT%H:%M:%f', 'now'))")
database.commit()
"""
REQUIREMENTS = ("flask", "gunicorn")


def missing() -> str:
    """Say which programs this machine lacks."""
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    return ", ".join([*lacking, *([] if FAKETIME else ["libfaketime"])])


def write_base(path: Path) -> None:
    """Write the root of a small Debian with Python as a tar (20 s)."""
    mirror = find_mirrors().debian
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3-venv", SUITE, str(path), mirror)


def write_context(folder: Path) -> None:
    """Write what a Dockerfile needs: itself, an application, wheels from the package index and a Debian package."""
    (folder / "app").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "requirements.txt").write_text("".join(f"{name}\n" for name in REQUIREMENTS))
    (folder / "app" / "app.py").write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    (folder / "app" / "assets.py").write_text(ASSETS)
    names = ("./usr", "./usr/bin", "./usr/share", "./usr/share/doc", "./usr/share/doc/hello")
    hello = debs.file("./usr/bin/hello", b"#!/bin/sh\necho hello\n", mode=0o755)
    (folder / "hello.deb").write_bytes(debs.package("hello", *map(debs.folder, names), hello).content)
    options = ("--quiet", "--only-binary=:all:", f"--python-version={PYTHON}", f"--dest={folder / 'wheels'}")
    run(sys.executable, "-m", "pip", "download", *options, *REQUIREMENTS)


@dataclass(frozen=True)
class Docker:
    """An engine with the base; `environment` leads to it."""

    environment: Mapping[str, str]

    def load_base(self, base: Path) -> None:
        """Make the base an image."""
        self("import", str(base), "base")

    def build(self, tag: str, context: Path) -> None:
        """Build as if nothing had ever been built, with the classic builder: the other one is not in every engine."""
        self("build", "--no-cache", "--network=none", f"--tag={tag}", str(context))

    def save(self, tag: str, folder: Path) -> str:
        """Save an image and return where."""
        self("save", f"--output={folder / tag}.tar", tag)
        return f"archive:{folder / tag}.tar"

    def commit(self, tag: str, source: str) -> None:
        """Change a container by hand and make it an image."""
        container = self(
            "create", "--user=root", "--network=none", source, "sh", "-c", "date +%FT%T.%N > /app/patched"
        ).strip()
        self("start", "--attach", container)
        self("commit", container, tag)
        self("rm", container)

    def __call__(self, *arguments: str) -> str:
        """Run the client and return what it prints."""
        return run("docker", *arguments, environment={**self.environment, "DOCKER_BUILDKIT": "0"})


@dataclass(frozen=True)
class Buildah:
    """Buildah with a store in a folder, and the base in it."""

    folder: Path

    def load_base(self, base: Path) -> None:
        """Make the base an image."""
        container = self("from", "scratch").strip()
        self("add", container, str(base), "/")
        self("commit", "--rm", container, "localhost/base")

    def build(self, tag: str, context: Path, *, ahead: str = "+0d") -> str:
        """Build with the clock of the steps set ahead, and return where the image is."""
        assert FAKETIME
        folder = self.folder / tag
        folder.mkdir()
        (folder / "rc").write_text(f"{ahead}\n")
        (folder / "preload").write_text(f"/usr/lib/faketime/{FAKETIME.name}\n")
        mounts = {
            FAKETIME.parent: "/usr/lib/faketime",
            folder / "rc": "/etc/faketimerc",
            folder / "preload": "/etc/ld.so.preload",
        }
        volumes = [f"--volume={source}:{target}:ro" for source, target in mounts.items()]
        self("build", "--isolation=chroot", "--no-cache", *volumes, f"--tag={tag}", str(context))
        self("push", tag, f"oci:{folder / 'image'}:latest")
        return f"oci:{folder / 'image'}"

    def __call__(self, *arguments: str) -> str:
        """Run it and return what it prints."""
        store = (f"--root={self.folder / 'root'}", f"--runroot={self.folder / 'run'}", "--storage-driver=vfs")
        return run("buildah", *store, *arguments)


def run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a program that must succeed, and return what it prints."""
    done = subprocess.run(command, env=environment or os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
