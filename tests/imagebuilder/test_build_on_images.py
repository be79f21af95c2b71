"""Applications built upon an image of a registry: what is inherited, what is downloaded, and what follows the base."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli

from imagebuilder import documents
from imagebuilder.image import open_image
from layers.canonical import Json
from tests import bases, debs, index, oci_schemas, standalones, world
from tests.bases import CERTIFICATES, DEBIAN, PYTHON, SLIM
from tests.registry import Registry
from tests.world import World

FLASK = {"requirements.txt": "flask\n", "main.py": "import flask\n"}
NAME = "library/python"
# The same version of a package for three C libraries.
FOR_GLIBC = [index.wheel("native", tag=f"cp313-cp313-manylinux_2_{minor}_x86_64") for minor in (28, 36, 39)]
# A Debian whose programs say what they are.
REAL = (
    debs.package("libc6", debs.file(f"./{bases.LIBC}", bases.libc("2.41"), mode=0o755), version="2.41-13"),
    debs.package(
        "python3.13", debs.file("./usr/bin/python3.13", bases.program("3.13.5"), mode=0o755), version="3.13.5-3"
    ),
)


@dataclass
class Place:
    """The world and two registries."""

    world: World
    registry: Registry
    other: Registry

    @property
    def base(self) -> str:
        return f"{self.registry.address}/{NAME}"

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.world.run(*arguments, **environment)

    def built(self, app: Path, *flags: str, base: str = "", **environment: str) -> dict[str, object]:
        ran = self.run("build", str(app), "--json", "--base", base or self.base, *flags, **environment)
        assert ran.returncode == 0, ran.stderr
        document: dict[str, object] = json.loads(ran.stdout)
        return document

    def forget(self) -> None:
        """Count from here on."""
        self.registry.traffic.requests.clear()
        self.other.traffic.requests.clear()

    def layers_asked(self) -> list[str]:
        """Name the layers of the base that were downloaded."""
        manifest = json.loads(self.registry.repository(NAME).manifests[self.digest][1])
        layers = [layer["digest"] for layer in manifest["layers"]]
        return [each for each in layers if self.registry.traffic.asked("GET", each)]

    @property
    def digest(self) -> str:
        return self.registry.repository(NAME).tags["latest"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        running = stack.enter_context(world.running(tmp_path, *FOR_GLIBC, packages=REAL))
        registries = [stack.enter_context(Registry().running()) for _ in range(2)]
        yield Place(running, *registries)


def pinned(app: Path) -> str:
    """Name the wheel of the lock."""
    lock = tomli.loads((app / "imagebuilder.lock").read_text())
    (package,) = lock["platforms"]["linux/amd64"]["buildpacks"]["pip-install"]["packages"]
    return str(package["wheels"][0]["name"])


def test_what_the_base_says_is_kept_below_what_we_say(place: Place) -> None:
    further = {"author": "somebody", "moby.buildkit.cache.v0": "opaque", "variant": "v3"}
    run = {"Volumes": {"/data": {}}, "ExposedPorts": {"80/tcp": {}}, "Labels": {"maintainer": "somebody", "title": "b"}}
    digest = bases.put(place.registry, NAME, *SLIM, docker=True, further=further, run=run)
    app = place.world.app({**FLASK, "imagebuilder.toml": '[labels]\ntitle = "ours"\n[env]\nGPG_KEY = "mine"\n'})
    place.built(app)
    image = open_image(str(place.world.folder / "dist" / "app.oci"))
    config = image.config
    assert {key: config.fields[key] for key in further} == further
    shown = config.child("config")
    assert shown.fields["Volumes"] == {"/data": {}}
    assert shown.fields["ExposedPorts"] == {"80/tcp": {}}
    assert "Cmd" not in shown.fields
    assert shown.text("User") == "65532:65532"
    env = dict(variable.split("=", 1) for variable in shown.texts("Env"))
    assert (env["GPG_KEY"], env["PYTHON_VERSION"], env["SSL_CERT_FILE"]) == (
        "mine",
        "3.13.5",
        "/etc/ssl/certs/ca-certificates.crt",
    )
    assert env["PATH"] == "/layers/site-packages/bin:/usr/local/bin:/usr/bin:/bin"
    labels = shown.mapping("Labels")
    assert (labels["maintainer"], labels["title"]) == ("somebody", "ours")
    assert labels["org.opencontainers.image.base.digest"] == digest
    assert labels["org.opencontainers.image.base.name"] == place.base
    metadata = documents.parse(labels["io.buildpacks.lifecycle.metadata"].encode(), "metadata")
    assert metadata.child("runImage").text("topLayer") == config.child("rootfs").texts("diff_ids")[2]
    assert "maintainer" not in image.manifest.mapping("annotations")
    oci_schemas.check("image-manifest", json.dumps(image.manifest.fields).encode())
    oci_schemas.check("config", json.dumps(image.config.fields).encode())


def test_layers_and_history_of_the_base_come_first_and_unchanged(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM)
    place.built(place.world.app(FLASK))
    image = open_image(str(place.world.folder / "dist" / "app.oci"))
    base = json.loads(place.registry.repository(NAME).manifests[place.digest][1])
    assert [dict(each.fields) for each in image.manifest.children("layers")][:3] == base["layers"]
    history = [dict(each.fields) for each in image.config.children("history")]
    config = json.loads(place.registry.repository(NAME).blobs[base["config"]["digest"]])
    assert history[:4] == config["history"]
    assert [step["created_by"] for step in history[4:]] == ["environment", "site-packages", "launchers", "application"]
    assert len([step for step in history if not step.get("empty_layer")]) == len(image.image.layers)


@pytest.mark.parametrize("history", [None, [], [{"created_by": "squashed"}]])
def test_a_history_that_does_not_tell_of_every_layer_is_told_anew(place: Place, history: Json) -> None:
    bases.put(place.registry, NAME, *SLIM, further={"history": history})
    place.built(place.world.app({"main.py": ""}))
    image = open_image(str(place.world.folder / "dist" / "app.oci"))
    told = [each.text("created_by") for each in image.config.children("history")]
    assert told == [place.base] * 3 + ["launchers", "application"]


def test_the_digest_is_the_same_in_another_folder_with_another_cache(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM)
    one, two = place.world.app(FLASK, "one"), place.world.app(FLASK, "two")
    first = place.built(one)
    second = place.built(two, IMAGEBUILDER_CACHE_DIR=str(place.world.folder / "other"), TZ="Asia/Tokyo")
    assert first["manifest_digest"] == second["manifest_digest"]
    assert (one / "imagebuilder.lock").read_bytes() == (two / "imagebuilder.lock").read_bytes()


def test_a_locked_build_asks_nothing_of_the_registry_and_keeps_to_its_digest(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM)
    app = place.world.app(FLASK)
    first = place.built(app)
    moved = bases.put(place.registry, NAME, *SLIM, env=(*bases.ENV, "MOVED=1"))
    place.forget()
    assert place.built(app, "--locked", "--offline")["manifest_digest"] == first["manifest_digest"]
    assert place.built(app)["manifest_digest"] == first["manifest_digest"]
    assert not place.registry.traffic.requests
    ran = place.run("lock", str(app), "--base", place.base, "--upgrade")
    assert ran.returncode == 0, ran.stderr
    assert moved in (app / "imagebuilder.lock").read_text()
    assert place.built(app)["manifest_digest"] != first["manifest_digest"]


def test_a_push_beside_the_base_downloads_no_layer_of_it(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM)
    app = place.world.app(FLASK)
    assert place.run("lock", str(app), "--base", place.base).returncode == 0
    place.forget()
    target = f"{place.registry.address}/team/app:1"
    document = place.built(
        app, "--locked", "--push", "-t", target, IMAGEBUILDER_CACHE_DIR=str(place.world.folder / "new")
    )
    assert place.layers_asked() == []
    pushed = place.registry.repository("team/app")
    assert pushed.tags["1"] == document["manifest_digest"]
    manifest = json.loads(pushed.manifests[pushed.tags["1"]][1])
    assert {layer["digest"] for layer in manifest["layers"]} <= pushed.blobs.keys()
    uploaded = [request.path for request in place.registry.traffic.requests if request.method in ("PUT", "PATCH")]
    assert len(uploaded) == 1 + 4 + 1, "the config, our layers, the manifest"


def test_a_push_to_another_registry_streams_the_layers_of_the_base(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM)
    app = place.world.app(FLASK)
    assert place.run("lock", str(app), "--base", place.base).returncode == 0
    new = place.world.folder / "new"
    place.built(app, "--locked", "--push", "-t", f"{place.other.address}/app:1", IMAGEBUILDER_CACHE_DIR=str(new))
    pushed = place.other.repository("app")
    manifest = json.loads(pushed.manifests[pushed.tags["1"]][1])
    layers = [layer["digest"] for layer in manifest["layers"]]
    assert set(layers) <= pushed.blobs.keys()
    stored = {path.name for path in (new / "blobs" / "sha256").iterdir()}
    assert not stored & {layer.removeprefix("sha256:") for layer in layers[:3]}


def test_outputs_on_this_machine_have_all_layers(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM, docker=True)
    app = place.world.app(FLASK)
    place.built(app, "-o", "archive:app.tar")
    document = place.built(app, "--locked", "-o", "oci:app.oci", IMAGEBUILDER_CACHE_DIR=str(place.world.folder / "new"))
    for reference in ("archive:app.tar", "oci:app.oci"):
        listed = place.run("inspect", reference, "--files")
        assert listed.returncode == 0, listed.stderr
        assert "usr/local/bin/python3.13" in listed.stdout
    assert open_image(str(place.world.folder / "app.oci")).image.manifest.digest.value == document["manifest_digest"]


def test_an_image_with_whiteouts_and_devices_can_be_inspected(place: Place) -> None:
    upper = bases.tar({"usr/bin/.wh.dash": b"", "dev/null": bases.Special()})
    bases.put(place.registry, NAME, *SLIM, upper)
    place.built(place.world.app({"main.py": ""}))
    listed = place.run("inspect", "oci:dist/app.oci", "--files")
    assert listed.returncode == 0, listed.stderr
    assert "usr/bin/.wh.dash" in listed.stdout


def test_an_image_gets_a_python_that_it_does_not_have(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM)
    pythons = standalones.publish(place.world.mirror, place.world.folder, standalones.build("3.12.9"))
    app = place.world.app({"requirements.txt": "click\n", "main.py": "", ".python-version": "3.12\n"})
    place.built(app, **pythons)
    config = open_image(str(place.world.folder / "dist" / "app.oci")).config
    told = [each.text("created_by") for each in config.children("history")]
    assert told[-5:] == ["cpython", "environment", "site-packages", "launchers", "application"]
    env = dict(variable.split("=", 1) for variable in config.child("config").texts("Env"))
    assert env["PATH"] == "/layers/site-packages/bin:/layers/cpython/bin:/usr/local/bin:/usr/bin:/bin"
    assert env["SSL_CERT_FILE"] == "/etc/ssl/certs/ca-certificates.crt"


def test_wheels_follow_the_glibc_of_the_base(place: Place) -> None:
    for tag, version in (("old", "2.28"), ("middle", "2.36"), ("new", "2.41")):
        system = bases.tar({**DEBIAN, bases.LIBC: bases.libc(version)})
        bases.put(place.registry, NAME, system, bases.tar(CERTIFICATES), bases.tar(PYTHON), tag=tag)
    app = place.world.app({"requirements.txt": "native\n", "main.py": ""})
    for tag, minor in (("old", 28), ("new", 39), ("middle", 36)):
        place.built(app, base=f"{place.base}:{tag}")
        assert pinned(app) == f"native-1.0-cp313-cp313-manylinux_2_{minor}_x86_64.whl"


def test_the_base_and_packages_take_turns(place: Place) -> None:
    bases.put(place.registry, NAME, *SLIM)
    app = place.world.app(FLASK)
    on_packages = place.built(app, base="debian:trixie")
    on_image = place.built(app)
    assert place.built(app, base="debian:trixie")["manifest_digest"] == on_packages["manifest_digest"]
    assert place.built(app)["manifest_digest"] == on_image["manifest_digest"]


def test_the_interpreter_that_is_asked_for_is_called_python(place: Place) -> None:
    other: Mapping[str, bases.Content] = {"usr/bin/python3.11": bases.program("3.11.9")}
    bases.put(place.registry, NAME, *SLIM, bases.tar(other))
    app = place.world.app({"main.py": ""})
    place.built(app, "--python", "3.11")
    image = open_image(str(place.world.folder / "dist" / "app.oci"))
    assert "PATH=/layers/python/bin:/usr/local/bin:/usr/bin:/bin" in image.config.child("config").texts("Env")
    ran = place.run("build", str(app), "--base", place.base, "--python", "3.12", "--python-build", "base")
    assert ran.returncode == 4
    assert "IB301" in ran.stderr
    assert "3.13.5" in ran.stderr


@pytest.mark.parametrize(
    ("layers", "settings", "code", "exit_code"),
    [
        ((bases.tar(DEBIAN),), "", "IB252", 4),
        ((bases.tar({"lib/ld-musl-x86_64.so.1": b""}), bases.tar(PYTHON)), "", "IB253", 4),
        (SLIM, 'packages = ["libpq5"]\n', "IB254", 2),
        (SLIM, 'packages = ["auto"]\n', "IB340", 2),
        (SLIM, 'entry = "bash -c ls"\n', "IB254", 2),
        (SLIM, 'platform = "linux/arm64"\n', "IB251", 4),
    ],
    ids=["no Python", "musl", "packages", "packages of wheels", "no bash", "platform"],
)
def test_a_base_that_cannot_work_is_refused_with_the_reason(
    place: Place, layers: tuple[bytes, ...], settings: str, code: str, exit_code: int
) -> None:
    bases.put(place.registry, NAME, *layers)
    app = place.world.app({"main.py": "", "imagebuilder.toml": settings})
    ran = place.run("build", str(app), "--base", place.base)
    assert (ran.returncode, ran.stdout) == (exit_code, "")
    assert code in ran.stderr
    assert not (app / "imagebuilder.lock").exists()


def test_an_image_of_ours_is_a_base(place: Place) -> None:
    python = place.world.app({"main.py": ""}, "python")
    ran = place.run("build", str(python), "--push", "-t", f"{place.registry.address}/{NAME}:latest")
    assert ran.returncode == 0, ran.stderr
    app = place.world.app(FLASK)
    document = place.built(app)
    image = open_image(str(place.world.folder / "dist" / "app.oci"))
    assert image.image.manifest.digest.value == document["manifest_digest"]
    assert "/usr/bin/python3.13" in (app / "imagebuilder.lock").read_text()
    top = [each.text("created_by") for each in image.config.children("history")]
    assert top[:2] == ["debian:trixie base", "debian:trixie interpreter"]
