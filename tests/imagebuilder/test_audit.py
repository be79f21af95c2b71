"""`audit`: a published image comes out of its source and its lock again, or what has changed is named."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tomli
import tomli_w

from tests import bases, engine, world
from tests.bases import SLIM
from tests.registry import INDEX, MANIFEST, Registry, digest_of
from tests.world import World

APP = {"requirements.txt": "flask\n", "main.py": "import flask\n\nGREETING = 'hello'\n", "Procfile": "web: flask run\n"}
Audited = dict[str, dict[str, str | bool]]


@dataclass
class Published:
    """An application, and its image in a registry as `shop:1.0`."""

    world: World
    registry: Registry
    app: Path
    copies: int = field(default=0)

    @property
    def name(self) -> str:
        return f"{self.registry.address}/shop:1.0"

    def copied(self, **changed: str) -> Path:
        """Return a copy of the application in another folder, with some files changed (empty: deleted)."""
        self.copies += 1
        app = shutil.copytree(self.app, self.world.folder / f"elsewhere {self.copies}" / "application")
        for name, text in changed.items():
            path = app / name.replace("__", ".")
            path.write_text(text) if text else path.unlink()
        return app

    def publish(self, name: str, app: Path, *flags: str, **environment: str) -> str:
        """Build and push, and return the full name."""
        ran = self.world.run(
            "build", str(app), "--push", "-t", f"{self.registry.address}/{name}", *flags, **environment
        )
        assert ran.returncode == 0, ran.stderr
        return f"{self.registry.address}/{name}"

    def republish(self, name: str, change: Callable[[dict[str, dict[str, object]]], object]) -> str:
        """Publish the image under another name with its documents changed."""
        self.registry.repositories[name] = copy.deepcopy(self.registry.repository("shop"))
        repository = self.registry.repository(name)
        manifest = json.loads(repository.manifests[repository.tags["1.0"]][1])
        documents = {"manifest": manifest, "config": json.loads(repository.blobs[manifest["config"]["digest"]])}
        change(documents)
        config = json.dumps(documents["config"]).encode()
        manifest["config"] |= {"digest": self.registry.put_blob(name, config), "size": len(config)}
        self.registry.put_manifest(name, json.dumps(manifest).encode(), "1.0")
        return f"{self.registry.address}/{name}:1.0"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    with world.running(tmp_path_factory.mktemp("world")) as running, Registry().running() as registry:
        place = Published(running, registry, running.app(APP))
        place.publish("shop:1.0", place.app)
        yield place


def audit(published: Published, name: str, app: Path | str, *flags: str, **environment: str) -> tuple[int, Audited]:
    """Audit and return the exit code and the inputs of the image by their names."""
    ran = published.world.run("audit", name, str(app), "--json", *flags, **environment)
    assert ran.returncode in (0, 1), ran.stderr
    document = json.loads(ran.stdout)["audit"]
    assert document["same"] == (ran.returncode == 0)
    (image,) = document["images"]
    return ran.returncode, {each["name"]: each for each in image["inputs"]}


def differing(inputs: Audited) -> list[str]:
    return [name for name, each in inputs.items() if not each["same"]]


def test_an_image_comes_out_again_of_another_folder(published: Published) -> None:
    app = published.copied()
    ran = published.world.run("audit", published.name, str(app), "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)["audit"]
    (image,) = document["images"]
    assert image["digest"] == image["rebuilt"] == document["digest"] == json.loads(ran.stdout)["left"]["digest"]
    assert [each["name"] for each in image["inputs"] if each["same"]] == [
        "format", "platform", "created", "compression", "lock", "source", "settings", "release"
    ]  # fmt: skip
    assert sorted(path.name for path in app.iterdir()) == sorted([*APP, "imagebuilder.lock"])
    assert published.world.run("audit", published.name, "-C", str(app)).returncode == 0


def test_every_layer_is_made_anew(published: Published) -> None:
    ran = published.world.run("audit", published.name, str(published.app), "--progress", "jsonl")
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line) for line in ran.stderr.splitlines()]
    results = {event["step"]: event["result"] for event in events if event["event"] == "finished"}
    layers = len(json.loads(next(iter(published.registry.repository("shop").manifests.values()))[1])["layers"])
    assert results["layers"].startswith(f"{layers} made")
    assert results["verify"].startswith(f"{layers} layers")


@pytest.mark.root
def test_another_user_gets_the_same(published: Published) -> None:
    command = ["unshare", "--user", "--map-user=4321", sys.executable, "-m", "imagebuilder"]
    ran = subprocess.run(
        [*command, "audit", published.name, str(published.copied()), "-q"],
        env={**published.world.environment, "HOME": "/nowhere", "USER": "somebody"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_changed_line_of_the_source_is_found_in_its_file(published: Published) -> None:
    app = published.copied(main__py=APP["main.py"].replace("hello", "goodbye"), new__py="x = 1\n")
    code, inputs = audit(published, published.name, app)
    assert (code, differing(inputs)) == (1, ["source"])
    assert inputs["source"]["detail"] == "main.py; new.py (here only)"
    assert inputs["source"]["expected"] != inputs["source"]["found"]


def test_another_lock_is_named_with_its_packages(published: Published) -> None:
    older = published.copied(requirements__txt="flask\nclick<8.3\n")
    assert published.world.run("lock", str(older)).returncode == 0
    app = published.copied()
    locks = [tomli.loads((folder / "imagebuilder.lock").read_text()) for folder in (app, older)]
    steps = [lock["platforms"]["linux/amd64"]["buildpacks"] for lock in locks]
    (changed,) = [name for name in steps[0] if "packages" in steps[0][name]]
    steps[0][changed]["packages"] = steps[1][changed]["packages"]
    (app / "imagebuilder.lock").write_text(tomli_w.dumps(locks[0]))
    code, inputs = audit(published, published.name, app)
    assert (code, differing(inputs)) == (1, ["lock"])
    assert "click: 8.3.0 -> 8.2.0" in str(inputs["lock"]["detail"])
    assert inputs["lock"]["expected"] != inputs["lock"]["found"]


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        (
            {"requirements__txt": "flask\nclick\n"},
            "it does not fit: pip-install: requirements.txt has changed",
        ),
        ({"imagebuilder__lock": ""}, "there is no imagebuilder.lock in "),
    ],
    ids=["stale", "none"],
)
def test_without_a_lock_that_fits_nothing_is_built(
    published: Published, changed: Mapping[str, str], detail: str
) -> None:
    code, inputs = audit(published, published.name, published.copied(**changed))
    assert (code, differing(inputs)) == (1, ["lock"])
    assert detail in str(inputs["lock"]["detail"])
    assert "source" not in inputs


def test_another_setting_is_named_by_its_field(published: Published) -> None:
    code, inputs = audit(published, published.name, published.app, BPE_GREETING="hi")
    assert (code, differing(inputs)) == (1, ["settings"])
    assert "config.Env[GREETING]: nothing -> hi" in str(inputs["settings"]["detail"])


def test_a_setting_that_the_lock_was_made_from_does_not_fit_it(published: Published) -> None:
    code, inputs = audit(published, published.name, published.app, "--entry", "flask run --debug")
    assert (code, differing(inputs)) == (1, ["lock"])
    assert "the setting entry has changed" in str(inputs["lock"]["detail"])


def test_what_was_a_flag_of_the_build_is_taken_from_the_image(published: Published) -> None:
    flags = ("--compression", "zstd", "--created", "2026-01-31T12:00:00Z")
    name = published.publish("flags:1.0", published.app, *flags)
    code, inputs = audit(published, name, published.app, SOURCE_DATE_EPOCH="1")
    assert (code, differing(inputs)) == (0, [])
    assert inputs["created"]["found"] == "2026-01-31T12:00:00Z"
    for taken in ("platform", "created", "compression"):
        assert inputs[taken]["detail"] == "taken from the published image"
    code, inputs = audit(published, name, published.app, "--created", "0", "--compression", "gzip")
    assert (code, differing(inputs)) == (1, ["created", "compression"])
    assert "taken" not in str(inputs["created"]["detail"])


def test_the_time_of_a_commit_needs_no_checkout_afterwards(published: Published) -> None:
    app = published.copied()
    git = ["git", "-C", str(app), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    name = published.publish("commit:1.0", app, "--created", "git")
    assert audit(published, name, app, "--created", "git")[0] == 0
    assert audit(published, name, published.app)[0] == 0


def test_a_tampered_registry_is_found_whatever_the_source_says(published: Published) -> None:
    published.registry.repositories["tampered"] = copy.deepcopy(published.registry.repository("shop"))
    repository = published.registry.repository("tampered")
    name = f"{published.registry.address}/tampered:1.0"
    tag = repository.tags["1.0"]
    media_type, content = repository.manifests[tag]
    layer = json.loads(content)["layers"][-1]["digest"]
    blob = repository.blobs[layer]
    repository.blobs[layer] = blob[:-1] + bytes([blob[-1] ^ 1])
    ran = published.world.run("audit", name, str(published.app))
    assert ran.returncode == 6
    assert f"the layer `application` of {name} is damaged" in ran.stderr
    repository.blobs[layer] = blob
    repository.manifests[tag] = media_type, content.replace(b"application", b"Application", 1)
    ran = published.world.run("audit", name, str(published.app))
    assert ran.returncode == 6, ran.stderr
    assert "error[IB211]" in ran.stderr


def test_a_layer_that_was_put_in_later_is_found(published: Published) -> None:
    def change(documents: dict[str, dict[str, object]]) -> None:
        layer = bytes(1024)
        described = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(layer), "size": 1024}
        published.registry.put_blob("added", layer)
        documents["manifest"]["layers"] += [described]
        documents["config"]["rootfs"]["diff_ids"] += [digest_of(layer)]

    published.registry.repositories.pop("added", None)
    code, inputs = audit(published, published.republish("added", change), published.app)
    assert code == 1
    assert differing(inputs) != []


def test_a_label_that_was_changed_later_is_found(published: Published) -> None:
    def change(documents: dict[str, dict[str, object]]) -> None:
        documents["config"]["config"]["Labels"]["org.opencontainers.image.vendor"] = "somebody"

    code, inputs = audit(published, published.republish("labelled", change), published.app)
    assert (code, differing(inputs)) == (1, ["settings"])
    assert "org.opencontainers.image.vendor: somebody -> nothing" in str(inputs["settings"]["detail"])


def test_an_image_of_another_format_is_not_rebuilt(published: Published) -> None:
    def change(documents: dict[str, dict[str, object]]) -> None:
        documents["manifest"]["annotations"]["dev.imagebuilder.format"] = "2"

    code, inputs = audit(published, published.republish("format", change), published.app)
    assert (code, differing(inputs)) == (1, ["format"])
    assert inputs["format"]["detail"] == "this release writes format 1"
    assert "source" not in inputs


def test_a_time_that_an_image_makes_up_is_not_taken_for_a_command(published: Published) -> None:
    def change(documents: dict[str, dict[str, object]]) -> None:
        documents["config"]["created"] = "now"

    code, inputs = audit(published, published.republish("now", change), published.app)
    assert (code, inputs["created"]["same"]) == (1, False)
    assert inputs["created"]["found"] == "1980-01-01T00:00:01Z"


def test_of_an_index_every_platform_is_audited_that_the_lock_has(published: Published) -> None:
    repository = published.registry.repository("shop")

    def change(documents: dict[str, dict[str, object]]) -> None:
        documents["config"]["architecture"] = "arm64"

    published.republish("arm", change)
    other = published.registry.repository("arm")
    for tag in list(other.tags):
        digest = other.tags[tag]
        repository.manifests[digest] = other.manifests[digest]
    repository.blobs |= other.blobs
    described = [
        {"mediaType": MANIFEST, "digest": digest, "size": len(repository.manifests[digest][1])}
        for digest in (repository.tags["1.0"], other.tags["1.0"])
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": described}).encode()
    digest = published.registry.put_manifest("shop", index, "all", media_type=INDEX)
    name = f"{published.registry.address}/shop:all"
    ran = published.world.run("audit", name, str(published.app), "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)["audit"]
    assert (document["digest"], document["not_audited"]) == (digest, ["linux/arm64"])
    assert [image["platform"] for image in document["images"]] == ["linux/amd64"]
    code, inputs = audit(published, name, published.app, "--platform", "linux/arm64")
    assert (code, differing(inputs)) == (1, ["lock"])
    assert inputs["lock"]["detail"] == "it does not fit: there are no pins for linux/arm64"
    ran = published.world.run("audit", published.name, str(published.app), "--platform", "linux/arm64")
    assert (ran.returncode, "error[IB813]" in ran.stderr) == (2, True)


def test_an_image_of_somebody_else_is_no_image_to_audit(published: Published) -> None:
    published.registry.put_image("foreign", b"a layer")
    ran = published.world.run("audit", f"{published.registry.address}/foreign", str(published.app))
    assert (ran.returncode, "error[IB812]" in ran.stderr) == (2, True)
    assert "imagebuilder diff" in ran.stderr


def test_what_is_not_there_is_said(published: Published) -> None:
    for name, app, code, words in [
        (f"{published.registry.address}/nothing", ".", 5, "error[IB206]"),
        (published.name, "nowhere", 2, "error[IB109]"),
    ]:
        ran = published.world.run("audit", name, app)
        assert (ran.returncode, words in ran.stderr) == (code, True), ran.stderr


def test_an_image_on_disk_can_be_audited_too(published: Published) -> None:
    target = f"archive:{published.world.folder}/shop.tar"
    assert published.world.run("copy", published.name, target).returncode == 0
    assert audit(published, target, published.app)[0] == 0


def test_an_image_upon_another_image_is_rebuilt_upon_what_the_lock_has(published: Published) -> None:
    variant = {"variant": "v3"}  # which is that of the base, and none that anybody builds for
    bases.put(published.registry, "library/python", *SLIM, further=variant)
    app = published.copied(imagebuilder__toml=f'base = "{published.registry.address}/library/python"\n')
    name = published.publish("upon:1.0", app)
    bases.put(published.registry, "library/python", *SLIM, further={"author": "another one now"})
    assert audit(published, name, app, "--platform", "linux/amd64")[0] == 0
    assert published.world.run("lock", "--upgrade", "-C", str(app)).returncode == 0
    code, inputs = audit(published, name, app)
    assert (code, differing(inputs)) == (1, ["lock"])
    assert "org.opencontainers.image.base.digest" in str(inputs["lock"]["detail"])


@pytest.mark.docker
def test_an_image_in_an_engine_is_known_by_its_config(published: Published, docker_environment: dict[str, str]) -> None:
    where = {"DOCKER_HOST": docker_environment["DOCKER_HOST"]}
    with engine.forgetting(docker_environment):
        ran = published.world.run("build", str(published.app), "--load", "docker", "-t", "audited", **where)
        assert ran.returncode == 0, ran.stderr
        ran = published.world.run("audit", "docker:audited", str(published.app), "--json", **where)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["differences"] == []
        changed = published.copied(main__py="import flask\n")
        code, inputs = audit(published, "docker:audited", changed, **where)
        assert (code, differing(inputs)) == (1, ["source"])
