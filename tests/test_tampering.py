"""Every blob of a layout, an archive and the cache, damaged in five ways: found, or made again, and never used."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagebuilder import cli
from tests import world
from tests.registry import Registry
from tests.world import World

APP = {"requirements.txt": "flask\n", "main.py": "import flask\n"}
MUTATIONS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "a flipped bit": lambda content, _: content[:-9] + bytes([content[-9] ^ 0x10]) + content[-8:],
    "a byte more": lambda content, _: content + b"\0",
    "a byte less": lambda content, _: content[:-1],
    "the bytes of another": lambda _, other: other,
    "nothing": lambda _, __: b"",
}
mutations = pytest.mark.parametrize("mutate", MUTATIONS.values(), ids=MUTATIONS.keys())


@dataclass(frozen=True)
class Built:
    """An application with its lock, built: into the cache, a layout `image`, and an archive `image.tar`."""

    place: World
    app: Path
    reference: str

    @property
    def digest(self) -> str:
        return self.reference.rpartition("@")[2]

    def path(self, name: str) -> Path:
        return self.place.folder / name

    def build(self, *words: str, output: str = "again") -> int:
        """Build what is locked into a layout."""
        return cli.run(["build", str(self.app), "--locked", "-q", "-o", f"oci:{self.path(output)}", *words])

    def copy(self, source: str) -> int:
        """Copy an image, of which everything is read, to an archive."""
        return cli.run(["copy", source, f"archive:{self.path('copy.tar')}", "-q"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with world.running(tmp_path_factory.mktemp("tampering")) as place:
        app = place.app(APP)
        outputs = ("-o", f"oci:{place.folder}/image", "-o", f"archive:{place.folder}/image.tar")
        ran = place.run("build", str(app), *outputs)
        assert ran.returncode == 0, ran.stderr
        yield Built(place, app, ran.stdout.strip())


@pytest.fixture(autouse=True)
def _own_environment(built: Built, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("IMAGEBUILDER_", "BP_", "GITHUB_", "PIP_", "UV_", "XDG_", "DOCKER_")):
            monkeypatch.delenv(name)
    for name, value in built.place.environment.items():
        monkeypatch.setenv(name, value)
    yield
    for name in ("again", "damaged"):
        shutil.rmtree(built.path(name), ignore_errors=True)
    for name in ("copy.tar", "damaged.tar"):
        built.path(name).unlink(missing_ok=True)


def blobs(folder: Path) -> list[Path]:
    found = sorted((folder / "blobs" / "sha256").iterdir())
    assert len(found) > 7
    return found


def damage(path: Path, mutate: Callable[[bytes, bytes], bytes], other: Path) -> None:
    """Replace a blob by what a mutation makes of it, as somebody would who may write there."""
    content = mutate(path.read_bytes(), other.read_bytes())
    path.unlink()
    path.write_bytes(content)


def whole(folder: Path) -> bool:
    """Say whether a layout opens, and all its blobs are what their names promise."""
    return cli.run(["copy", f"oci:{folder}", f"archive:{folder}.check", "-q"]) == 0


@mutations
def test_a_damaged_blob_of_a_layout_is_found_by_whoever_reads_it(
    built: Built, mutate: Callable[[bytes, bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [path.name for path in blobs(built.path("image"))]
    with Registry().running() as registry:
        for number, (name, other) in enumerate(zip(names, names[1:] + names[:1], strict=True)):
            folder = built.path("damaged")
            shutil.copytree(built.path("image"), folder)
            there = folder / "blobs" / "sha256"
            damage(there / name, mutate, there / other)
            assert built.copy(f"oci:{folder}") == 6
            assert not built.path("copy.tar").exists()
            assert cli.run(["push", f"oci:{folder}", f"{registry.address}/app{number}:1", "-q"]) == 6
            assert not registry.repository(f"app{number}").tags
            out, err = capsys.readouterr()
            assert (out, err.count("error[IB")) == ("", 2)
            shutil.rmtree(folder)


@mutations
def test_a_damaged_blob_of_a_layout_is_replaced_by_the_next_build(
    built: Built, mutate: Callable[[bytes, bytes], bytes]
) -> None:
    for path in blobs(built.path("image")):
        folder = built.path("damaged")
        shutil.copytree(built.path("image"), folder)
        damage(folder / "blobs" / "sha256" / path.name, mutate, blobs(folder)[0])
        assert built.build(output="damaged") == 0
        assert whole(folder)
        shutil.rmtree(folder)


@mutations
def test_a_damaged_blob_of_an_archive_is_found_by_whoever_reads_it(
    built: Built, mutate: Callable[[bytes, bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(built.path("image.tar")) as archive:
        members = {one: archive.extractfile(one).read() for one in archive if one.isreg()}  # type: ignore[union-attr]
    stored = [one for one in members if one.name.startswith("blobs/")]
    for one, other in zip(stored, stored[1:] + stored[:1], strict=True):
        with tarfile.open(built.path("damaged.tar"), "w") as archive:
            for header, content in members.items():
                written = mutate(content, members[other]) if header is one else content
                named = tarfile.TarInfo(header.name)
                named.size = len(written)
                archive.addfile(named, io.BytesIO(written))
        assert built.copy(f"archive:{built.path('damaged.tar')}") == 6
        assert not built.path("copy.tar").exists()
        assert capsys.readouterr().err.count("error[IB") == 1


@mutations
def test_a_damaged_blob_of_the_cache_is_never_used(
    built: Built, mutate: Callable[[bytes, bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is fetched or made again, or the build ends with exit code 6; `cache verify` finds it."""
    paths = blobs(built.path("cache"))
    of_image = {path.name for path in blobs(built.path("image"))}
    for path, other in zip(paths, paths[1:] + paths[:1], strict=True):
        kept = path.read_bytes()
        damage(path, mutate, other)
        # What layers are made of is read only if they are made.
        code = built.build(*(() if path.name in of_image else ("--no-cache",)))
        out, err = capsys.readouterr()
        if code == 0:
            assert out.strip().endswith(built.digest)
            assert whole(built.path("again"))
            assert path.read_bytes() == kept
            damage(path, mutate, other)
        else:
            assert (code, out) == (6, "")
            assert "imagebuilder cache verify" in err
            assert not (built.path("again") / "index.json").exists()
        capsys.readouterr()
        assert cli.run(["cache", "verify", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["damaged"] == [path.name]
        shutil.rmtree(built.path("again"), ignore_errors=True)
        if path != paths[-1]:
            path.write_bytes(kept)
    assert built.build("--no-cache") == 0
    assert capsys.readouterr().out.strip().endswith(built.digest)
    assert blobs(built.path("cache")) == paths


@mutations
def test_a_damaged_record_of_the_cache_is_no_record(built: Built, mutate: Callable[[bytes, bytes], bytes]) -> None:
    records = sorted(built.path("cache/results").iterdir())
    for path, other in zip(records, records[1:] + records[:1], strict=True):
        kept = path.read_bytes()
        damage(path, mutate, other)
        assert built.build() == 0
        assert whole(built.path("again"))
        assert path.read_bytes() == kept
        shutil.rmtree(built.path("again"))


def test_a_record_with_any_bit_flipped_is_no_record(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    path = sorted(built.path("cache/results").iterdir())[0]
    kept = path.read_bytes()
    for position in range(0, len(kept), 29):
        path.write_bytes(kept[:position] + bytes([kept[position] ^ 1]) + kept[position + 1 :])
        assert built.build() == 0
        assert capsys.readouterr().out.strip().endswith(built.digest)
        assert path.read_bytes() == kept
        shutil.rmtree(built.path("again"))  # else the last answer would hold, for which no record is read
