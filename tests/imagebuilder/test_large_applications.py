"""Large applications from end to end: what is made for a change, and images that hold what is in the folder."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import world
from tests.registry import Registry
from tests.world import World

MEGABYTE = 1 << 20
WHOLE = "application"
PARTS = [f"application {part}" for part in ("folders", "files 0", "files 1")]
# Prints what a build takes at most, in kB, after what it says.
MEASURED = """
import resource, sys
from imagebuilder.cli import run
code = run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""
# Lists every folder backwards.
BACKWARDS = """
import os, sys
listing = os.scandir
class Backwards(list):
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def close(self): pass
os.scandir = lambda *where: Backwards(sorted(listing(*where), key=lambda entry: entry.name, reverse=True))
from imagebuilder.cli import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Built:
    """What a build says of its image."""

    digest: str
    layers: Mapping[str, str]
    made: list[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world.running(tmp_path_factory.mktemp("world")) as found:
        yield found


def large(place: World, name: str, files: int = 68) -> Path:
    """Write an application of files of 1 MiB, nearly all of it holes, with folders, a link and a program."""
    app = place.app({"requirements.txt": "click\n", "main.py": "import click\n", "tools/run.sh": "#!/bin/sh\n"}, name)
    (app / "tools/run.sh").chmod(0o755)
    (app / "empty").mkdir()
    (app / "link").symlink_to("data/0.bin")
    (app / "data").mkdir()
    for number in range(files):
        with (app / f"data/{number}.bin").open("wb") as file:
            file.write(b"%d\n" % number)
            file.truncate(MEGABYTE)
    return app


def build(place: World, app: Path, *flags: str, program: tuple[str, ...] = ("-m", "imagebuilder")) -> Built:
    """Build some time after the last change, and tell apart what is made and what was there."""
    time.sleep(0.05)
    ran = subprocess.run(
        [sys.executable, *program, "build", str(app), "--json", *flags],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    return Built(
        document["manifest_digest"],
        {layer["name"]: layer["digest"] for layer in document["layers"]},
        [layer["name"] for layer in document["layers"] if not layer["cached"]],
    )


def held(layout: Path, below: str) -> dict[str, tuple[bytes, int, str, int]]:
    """Lay the layers of an image over each other; return kind, mode, target and size of what is in a folder."""

    def blob(digest: str) -> Path:
        return layout / "blobs/sha256" / digest.removeprefix("sha256:")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    found = {}
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer["digest"])) as archive:
            found |= {item.name: (item.type, item.mode, item.linkname, item.size) for item in archive}
    return {path: said for path, said in found.items() if f"{path}/".startswith(f"{below}/")}


def on_disk(app: Path) -> dict[str, tuple[bytes, int, str, int]]:
    found = {"workspace": (tarfile.DIRTYPE, 0o755, "", 0)}
    for path in app.rglob("*"):
        where = f"workspace/{path.relative_to(app)}"
        if path.is_symlink():
            found[where] = (tarfile.SYMTYPE, 0o777, str(path.readlink()), 0)
        elif path.is_dir():
            found[where] = (tarfile.DIRTYPE, 0o755, "", 0)
        else:
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            found[where] = (tarfile.REGTYPE, mode, "", path.stat().st_size)
    return found


def test_a_changed_file_makes_one_small_layer(place: World) -> None:
    app = large(place, "changed")
    first = build(place, app)
    assert list(first.layers)[-4:] == ["launchers", *PARTS]
    (app / "data/7.bin").write_bytes(b"changed")
    second = build(place, app)
    assert second.made == [name for name in first.layers if first.layers[name] != second.layers[name]]
    assert len(second.made) == 1
    assert build(place, app, "--no-cache").layers == second.layers
    (app / "data/more.bin").write_bytes(b"new")
    (app / "data/8.bin").unlink()
    third = build(place, app)
    assert set(third.made) <= {"application files 0", "application files 1"}
    assert third.layers["application folders"] == first.layers["application folders"]
    shutil.rmtree(app / "empty")
    assert build(place, app).made == ["application folders"]


def test_the_layers_hold_what_the_folder_holds(place: World) -> None:
    app = large(place, "held")
    build(place, app, "-o", "oci:held.oci", "--compression", "none")
    (app / "imagebuilder.lock").unlink()
    assert held(place.folder / "held.oci", "workspace") == on_disk(app)


def test_another_machine_makes_the_same(place: World) -> None:
    app = large(place, "alike")
    first = build(place, app, "--workers", "4")
    other = shutil.copytree(app, place.folder / "elsewhere" / "alike", symlinks=True)
    cache = ("--cache-dir", str(place.folder / "other-cache"), "--workers", "1")
    again = build(place, other, *cache, "-o", "oci:again.oci", program=("-c", BACKWARDS))
    assert again.digest == first.digest
    assert again.made == list(again.layers)


def test_it_is_one_layer_again_as_soon_as_it_is_small_enough(place: World) -> None:
    app = large(place, "crossing", 63)
    small = build(place, app)
    assert build(place, app).digest == small.digest
    assert list(small.layers)[-1] == WHOLE
    grown = app / "data/0.bin"
    before = grown.read_bytes()
    os.truncate(grown, 3 * MEGABYTE)
    parted = build(place, app)
    assert list(parted.layers)[-3:] == PARTS
    assert build(place, app, "--no-cache").digest == parted.digest
    grown.write_bytes(before)
    whole = build(place, app)
    assert (whole.digest, whole.layers) == (small.digest, small.layers)


def test_a_push_sends_what_changed(place: World) -> None:
    with Registry().running() as registry:
        name = f"{registry.address}/large:1"
        app = large(place, "pushed")
        build(place, app, "--push", "-t", name)
        before = set(registry.repository("large").blobs)
        (app / "data/9.bin").write_bytes(b"changed")
        built = build(place, app, "--push", "-t", name)
        sent = set(registry.repository("large").blobs) - before
        assert len(sent) == 2  # with the config
        assert built.layers[built.made[0]] in sent


def test_an_audit_knows_all_layers_of_the_application(place: World) -> None:
    app = large(place, "audited")
    build(place, app, "-o", "oci:audited.oci")
    (app / "data/7.bin").write_bytes(b"changed")
    ran = place.run("audit", "oci:audited.oci", str(app), "--json")
    assert ran.returncode == 1, ran.stderr
    (image,) = json.loads(ran.stdout)["audit"]["images"]
    differing = [each for each in image["inputs"] if not each["same"]]
    assert [(each["name"], each["detail"]) for each in differing] == [("source", "data/7.bin")]
    assert differing[0]["expected"] != differing[0]["found"]


def test_memory_does_not_grow_with_the_application(place: World) -> None:
    def most(app: Path) -> int:
        flags = ("--no-cache", "--workers", "4")
        ran = subprocess.run(
            [sys.executable, "-c", MEASURED, "build", str(app), "-q", *flags],
            cwd=place.folder,
            env=place.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(ran.stdout.split()[-1])

    apps = [large(place, f"sized{files}", files) for files in (65, 200)]
    for app in apps:
        build(place, app)
    small, many = map(most, apps)
    assert many - small < 64 << 10
