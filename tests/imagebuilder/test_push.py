"""Pushes to a registry in memory: what is sent, what is not, and what is there afterwards."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagebuilder import image, parts, push, reference
from imagebuilder.outcome import Pushed
from imagebuilder.parts import Parts
from imagebuilder.progress import Progress, Step
from imagebuilder.reference import Reference
from imagebuilder.registry.settings import RegistrySettings
from layers import entry
from layers.descriptor import INDEX
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, UsageError
from tests import images
from tests.images import Made
from tests.registry import Registry
from tests.serving import Answer, Application, Request


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return images.small(tmp_path / "store")


def parts_of(made: Made) -> Parts:
    return parts.gather(made.image.manifest, image.blobs_of(made.store))


def push_to(
    registry: Registry, made: Made | Parts, *names: str, progress: Progress | None = None
) -> tuple[Pushed, ...]:
    wanted = made if isinstance(made, Parts) else parts_of(made)
    settings = RegistrySettings({}, backoff_s=0.01)
    return push.push(wanted, [on(registry, name) for name in names], settings=settings, progress=progress or Progress())


def on(registry: Registry, name: str) -> Reference:
    return reference.parse(f"{registry.address}/{name}")


def requests(registry: Registry) -> list[str]:
    """Return the methods of what was asked, but for what is about authentication."""
    return [request.method for request in registry.traffic.requests if request.path not in ("/v2/", "/token")]


def complete(registry: Registry, name: str, tag: str) -> bool:
    """Say whether all that a tag names is there."""
    there = registry.repository(name)
    _, content = there.manifests[there.tags[tag]]
    manifest = json.loads(content)
    return {each["digest"] for each in [manifest["config"], *manifest["layers"]]} <= set(there.blobs)


def test_an_image_arrives_byte_for_byte(registry: Registry, made: Made) -> None:
    (pushed,) = push_to(registry, made, "team/app:1", "team/app:latest")
    there = registry.repository("team/app")
    assert there.tags == dict.fromkeys(("1", "latest"), made.image.manifest.digest.value)
    assert there.manifests[made.image.manifest.digest.value][1] == made.store.read(made.image.manifest.digest)
    assert there.blobs == {
        blob.digest.value: made.store.read(blob.digest) for blob in made.image.blobs if blob != made.image.manifest
    }
    assert (pushed.count("uploaded"), pushed.tags) == (3, ("1", "latest"))
    assert pushed.size == sum(map(len, there.blobs.values()))


def test_the_manifest_comes_after_every_blob_and_the_tags_last(registry: Registry, made: Made) -> None:
    push_to(registry, made, "app:1", "app:2")
    paths = [request.path for request in registry.traffic.requests if request.method == "PUT"]
    assert ["manifests" in path for path in paths] == [False, False, False, True, True]


def test_an_unchanged_image_costs_one_request_for_each_tag(registry: Registry, made: Made) -> None:
    push_to(registry, made, "app:1", "app:2")
    registry.traffic.requests.clear()
    (pushed,) = push_to(registry, made, "app:1", "app:2")
    assert requests(registry) == ["HEAD", "HEAD"]
    assert (pushed.tags, pushed.count("present"), str(pushed)) == ((), 3, f"{registry.address}/app unchanged")


def test_a_tag_more_costs_one_manifest(registry: Registry, made: Made) -> None:
    push_to(registry, made, "app:1")
    registry.traffic.requests.clear()
    (pushed,) = push_to(registry, made, "app:1", "app:2")
    assert sorted(requests(registry)) == ["HEAD", "HEAD", "PUT"]
    assert pushed.tags == ("2",)


def test_layers_of_the_image_that_a_tag_names_now_are_not_asked_for(registry: Registry, tmp_path: Path) -> None:
    base = [entry.file(f"lib/{number}", b"x" * number) for number in range(3)]
    old = images.make(tmp_path / "store", *([each] for each in base), [entry.file("app", b"old")])
    new = images.make(tmp_path / "store", *([each] for each in base), [entry.file("app", b"new")])
    push_to(registry, old, "app:1")
    registry.traffic.requests.clear()
    (pushed,) = push_to(registry, new, "app:1")
    # The tag, its manifest, then HEAD, POST and PUT of a layer and of the config, and the manifest.
    assert len(requests(registry)) == 2 + 2 * 3 + 1
    assert (pushed.count("present"), pushed.count("uploaded")) == (3, 2)
    assert complete(registry, "app", "1")


def test_no_manifest_is_fetched_where_so_few_blobs_are_left_that_they_are_asked_for_at_once(
    registry: Registry, tmp_path: Path
) -> None:
    old, new = (images.small(tmp_path / "store", text=text) for text in ("old", "new"))
    push_to(registry, old, "app:1")
    registry.traffic.requests.clear()
    (pushed,) = push_to(registry, new, "app:1")
    # The tag, three blobs, of which two are sent, and the manifest.
    assert sorted(requests(registry)) == sorted(["HEAD"] * (1 + 3) + ["POST", "PUT"] * 2 + ["PUT"])
    assert (pushed.count("present"), pushed.count("uploaded")) == (1, 2)


def test_a_blob_that_the_registry_has_lost_is_uploaded_again(registry: Registry, tmp_path: Path) -> None:
    base = [[entry.file(f"lib/{number}", b"x" * number)] for number in range(4)]
    old, new = (images.make(tmp_path / "store", *base, [entry.file("app", text)]) for text in (b"old", b"new"))
    push_to(registry, old, "app:1")
    del registry.repository("app").blobs[new.image.layers[0].descriptor.digest.value]
    (pushed,) = push_to(registry, new, "app:1")
    assert (pushed.count("present"), pushed.count("uploaded")) == (3, 3)
    assert complete(registry, "app", "1")


def test_a_tag_that_names_something_odd_is_replaced(registry: Registry, made: Made) -> None:
    registry.put_manifest("app", b'{"schemaVersion": 2, "layers": 7}', "1")
    push_to(registry, made, "app:1")
    assert registry.repository("app").tags["1"] == made.image.manifest.digest.value


def test_a_second_repository_of_the_registry_gets_no_blob_again(registry: Registry, made: Made) -> None:
    first, second = push_to(registry, made, "one/app:1", "two/app:1")
    assert (first.count("uploaded"), second.count("mounted"), second.size) == (3, 3, 0)
    assert complete(registry, "two/app", "1")
    assert registry.repository("two/app").uploads == {}


def test_a_push_that_breaks_and_is_repeated_uploads_only_what_is_missing(registry: Registry, tmp_path: Path) -> None:
    made = images.make(tmp_path / "store", *([entry.file(f"f{n}", bytes([n]) * 5000)] for n in range(8)))
    registry.faults.append(refuse_manifests)
    with pytest.raises(BuildError):
        push_to(registry, made, "app:1")
    assert registry.repository("app").tags == {}
    registry.faults.clear()
    registry.traffic.requests.clear()
    (pushed,) = push_to(registry, made, "app:1")
    assert (pushed.count("present"), pushed.count("uploaded")) == (9, 0)
    assert registry.traffic.received == made.image.manifest.size
    assert complete(registry, "app", "1")


def refuse_manifests(request: Request, answer: Application) -> Answer:
    return Answer(403) if request.method == "PUT" and "/manifests/" in request.path else answer(request)


def test_one_refused_blob_ends_the_push_before_the_manifest(registry: Registry, made: Made) -> None:
    registry.faults.append(lambda request, answer: Answer(403) if request.method == "PUT" else answer(request))
    with pytest.raises(BuildError):
        push_to(registry, made, "app:1")
    assert not [request for request in registry.traffic.requests if request.path.endswith("/manifests/1")][1:]


def test_a_damaged_blob_of_ours_is_found_before_the_tag(registry: Registry, made: Made) -> None:
    path = made.store.path(made.image.layers[0].descriptor.digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match="damaged") as caught:
        push_to(registry, made, "app:1")
    assert caught.value.code == "IB503"
    assert registry.repository("app").tags == {}


def test_two_who_push_one_tag_leave_a_whole_image_of_one(registry: Registry, tmp_path: Path) -> None:
    made = [images.small(tmp_path / str(number), text=f"{number}" * 9000) for number in range(2)]
    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: push_to(registry, one, "app:1"), made))
        assert registry.repository("app").tags["1"] in {one.image.manifest.digest.value for one in made}
        assert complete(registry, "app", "1")


def test_eight_images_at_once_all_arrive(registry: Registry, tmp_path: Path) -> None:
    made = [images.small(tmp_path / str(number), text=f"{number}" * 9000) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: push_to(registry, made[number], f"app:{number}"), range(8)))
    for number in range(8):
        assert registry.repository("app").tags[str(number)] == made[number].image.manifest.digest.value
        assert complete(registry, "app", str(number))


def test_an_index_comes_after_its_images(registry: Registry, tmp_path: Path) -> None:
    made = [images.small(tmp_path / "store", text=text) for text in "ab"]
    store = made[0].store
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one.image.manifest.to_json() for one in made]}
    root = store.write_json(INDEX, document)
    push_to(registry, parts.gather(root, image.blobs_of(store)), "app:1")
    there = registry.repository("app")
    assert list(there.manifests) == [*(one.image.manifest.digest.value for one in made), root.digest.value]
    assert there.tags == {"1": root.digest.value}
    assert len(there.blobs) == 5  # the first layer is the same


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (reference.parse("app:1"), "registry.example.com/app:1"),
        (Reference("registry.example.com", "app", "", Digest.of(b"")), "give a tag"),
    ],
)
def test_nobody_can_push_to_a_digest_or_to_a_name_of_docker_hub(made: Made, name: Reference, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        push.push(parts_of(made), [name], settings=RegistrySettings(), progress=Progress())
    assert caught.value.code == "IB241"
    assert hint in caught.value.hint


class Shown:
    """A display that keeps what it was told."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def started(self, step: Step) -> None:
        self.steps.append(step)

    def ended(self, step: Step) -> None:
        pass

    def warned(self, text: str) -> None:
        pass

    def noted(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def test_each_blob_has_a_row_while_it_is_sent_and_the_push_one_line(registry: Registry, made: Made) -> None:
    shown = Shown()
    push_to(registry, made, "app:1", progress=Progress(shown))
    (step,) = [step for step in shown.steps if not step.passing]
    rows = [step for step in shown.steps if step.passing]
    assert {row.name for row in rows} == {blob.digest.hex[:12] for blob in made.image.blobs[:-1]}
    assert all(row.done == row.total for row in rows)
    assert step.done == step.total == sum(row.total for row in rows)
    assert step.result.startswith(f"{registry.address}/app:1  3 uploaded (")
