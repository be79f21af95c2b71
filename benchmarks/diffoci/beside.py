"""Compares pairs of images with `imagebuilder diff` and with the comparison of diffoci, and prints both as tables.

    python benchmarks/diffoci/beside.py PROGRAM

PROGRAM is main.go beside this file, compiled with diffoci's sources. As root, with docker, buildah, mmdebstrap and
libfaketime: the pairs are those of the tests (tests/foreign.py, tests/faults).
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from imagebuilder import cli  # noqa: E402
from imagebuilder.check import command as checking  # noqa: E402
from imagebuilder.check import rebuild  # noqa: E402
from imagebuilder.check.places import Place  # noqa: E402
from tests import engine, faults, foreign, world  # noqa: E402
from tests.faults.crafted import DOCKER_TYPES, PAIRS, blob, write_json  # noqa: E402
from tests.foreign import Buildah, Docker  # noqa: E402


@dataclass(frozen=True)
class Pair:
    """Two layouts."""

    name: str
    left: Path
    right: Path


@dataclass(frozen=True)
class Answer:
    """What a program said of a pair. `lines` are the lines of a report that are about a difference."""

    seconds: float
    differs: bool
    lines: list[str]


def main() -> None:
    """Make the pairs, compare them and print what was found."""
    program = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        injected = faulty_pair(folder)
        for pair in (*real_pairs(folder), injected):
            print(summary(pair, program), flush=True)
        print(of_faults(injected, program))
        print(of_crafted(folder, program))


def real_pairs(folder: Path) -> Iterator[Pair]:
    """Make images with other builders, twice each."""
    base, context = folder / "base.tar", folder / "context"
    foreign.write_base(base)
    foreign.write_context(context)
    with engine.running() as environment:
        docker = Docker(environment)
        docker.load_base(base)
        for tag in ("one", "two"):
            docker.build(tag, context)
        docker.commit("third", "one")
        docker.commit("fourth", "one")
        for left, right, name in (("one", "two", "docker build"), ("third", "fourth", "docker commit")):
            yield Pair(name, *(saved(docker, tag, folder) for tag in (left, right)))
    buildah = Buildah(folder / "buildah")
    buildah.folder.mkdir()
    buildah.load_base(base)
    places = [buildah.build("today", context), buildah.build("later", context, ahead="+40d")]
    yield Pair("buildah build", *(Path(place.removeprefix("oci:")) for place in places))


def saved(docker: Docker, tag: str, folder: Path) -> Path:
    """Save an image and turn what `docker save` writes into a layout, as diffoci does: every byte stays."""
    docker("save", "--output", str(folder / f"{tag}.tar"), tag)
    layout = folder / tag
    (layout / "blobs" / "sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    with tarfile.open(folder / f"{tag}.tar") as archive:

        def read(path: str) -> bytes:
            member = archive.extractfile(path)
            assert member
            return member.read()

        (listed,) = json.loads(read("manifest.json"))
        plain = DOCKER_TYPES["layer"].removesuffix(".gzip")
        manifest = {
            "schemaVersion": 2,
            "mediaType": DOCKER_TYPES["manifest"],
            "config": blob(layout, DOCKER_TYPES["config"], read(listed["Config"])),
            "layers": [blob(layout, plain, read(path)) for path in listed["Layers"]],
        }
    root = write_json(layout, DOCKER_TYPES["manifest"], manifest)
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    return layout


def faulty_pair(folder: Path) -> Pair:
    """Take the first two images that a check of the application with all faults compares."""
    place = folder / "faults"
    place.mkdir()
    keep = rebuild.Rebuilder._keep  # noqa: SLF001 images of a check are not kept otherwise

    def copied(self: rebuild.Rebuilder, built: Place) -> Path:
        image = keep(self, built)
        shutil.copytree(image, place / f"image-{self._made}")
        if self._made > 1:
            raise KeyboardInterrupt
        return image

    rebuild.Rebuilder._keep = copied  # noqa: SLF001
    program = (sys.executable, "-P", str(faults.BUILDER), "files,bytecode")
    with world.running(place) as around:
        shutil.copytree(faults.APP, place / "app")
        before = dict(os.environ)
        os.environ.update(around.environment, TZ="UTC", LC_ALL="C.UTF-8", PYTHON=sys.executable)
        command = ["check", str(place / "app"), "--prepare", "sh steps/prepare.sh && sh steps/native.sh"]
        with suppress(KeyboardInterrupt):
            cli.run(command, commands={"check": partial(checking.check, program=program)})
        os.environ.clear()
        os.environ.update(before)
    return Pair("an application with faults", place / "image-1", place / "image-2")


def summary(pair: Pair, program: Path) -> str:
    """Say how long both took and how much they say."""
    ours, document = imagebuilder(pair)
    strict, semantic = (diffoci(pair, program, semantic=semantic) for semantic in (False, True))
    causes = {one["cause"] for one in document["differences"]}
    return (
        f"| {pair.name} | {len(ours.lines)} lines, {len(document['differences'])} differences, {len(causes)} causes, "
        f"{ours.seconds:.1f} s | {len(strict.lines)} lines, {strict.seconds:.1f} s | "
        f"{len(semantic.lines)} lines, {semantic.seconds:.1f} s |"
    )


def of_faults(pair: Pair, program: Path) -> str:
    """Say for each injected fault what both say of it."""
    _, document = imagebuilder(pair)
    answers = [diffoci(pair, program, semantic=semantic).lines for semantic in (False, True)]
    rows = []
    for fault in (*faults.STEPS, *faults.NATIVE, *faults.MISTAKES["files"]):
        ours = {one["cause"] for one in document["differences"] if one["path"].split("!/")[0] == fault.path}
        said = [said_of(fault.path, lines) for lines in answers]
        checked = f"{fault.cause}, {fault.blamed}"
        rows.append(f"| `{fault.path}` | {checked} | {', '.join(sorted(ours)) or '-'} | {said[0]} | {said[1]} |")
    return "\n".join(rows)


def said_of(path: str, lines: list[str]) -> str:
    """Shorten what diffoci says of a path to its kind."""
    found = [
        line.split(None, 2)[2] for line in lines if line.startswith("File") and line.split()[1].rstrip("/") == path
    ]
    if not found:
        return "one side" if any(f'name "{path}"' in line for line in lines) else "-"
    word = found[0].split()[0]
    return "SHA-256" if len(word) == 64 else "time" if word[:2] in ("19", "20") else word


def of_crafted(folder: Path, program: Path) -> str:
    """Say for each crafted pair what both say of it."""
    rows = []
    for number, pair in enumerate(PAIRS):
        places = [folder / f"crafted-{number}-{side}" for side in ("left", "right")]
        pair.left.write(places[0])
        pair.right.write(places[1])
        layouts = Pair(pair.cause, *places)
        _, document = imagebuilder(layouts)
        causes = ", ".join(sorted({one["cause"] for one in document["differences"] if not one["follows"]}))
        said = [diffoci(layouts, program, semantic=semantic) for semantic in (False, True)]
        shown = ["; ".join(" ".join(line.split())[:60] for line in answer.lines) or "nothing" for answer in said]
        rows.append(f"| {pair.cause} | {causes} | {shown[0]} | {shown[1]} |")
    return "\n".join(rows)


def imagebuilder(pair: Pair) -> tuple[Answer, dict]:
    """Compare with the command line, for people and for programs."""
    command = [sys.executable, "-m", "imagebuilder", "diff", f"oci:{pair.left}", f"oci:{pair.right}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    document = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=False).stdout
    answer = ran(command, environment)
    return answer, json.loads(document)


def diffoci(pair: Pair, program: Path, *, semantic: bool) -> Answer:
    """Compare with the comparison of diffoci, which finds blobs in one folder."""
    with tempfile.TemporaryDirectory() as name:
        blobs = Path(name, "blobs", "sha256")
        blobs.mkdir(parents=True)
        for layout in (pair.left, pair.right):
            for blob in (layout / "blobs" / "sha256").iterdir():
                if not (blobs / blob.name).exists():
                    (blobs / blob.name).symlink_to(blob)
        flags = ["-semantic"] if semantic else []
        return ran([str(program), *flags, str(pair.left), str(pair.right), name], dict(os.environ), heading=1)


def ran(command: list[str], environment: dict[str, str], *, heading: int = 0) -> Answer:
    """Run a program, measure it and keep what it says."""
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode not in (0, 1):
        return Answer(seconds, True, [f"error: {done.stderr.strip().splitlines()[-1]}"])
    return Answer(seconds, done.returncode == 1, done.stdout.splitlines()[heading:])


if __name__ == "__main__":
    main()
