"""Caches in registries: layers that others have made are taken, whatever else such a cache holds does no harm."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import imagebuilder
from buildpacks.api import LayerSpec
from imagebuilder import config, known_layers, lock, reference, shared_cache, shared_index
from imagebuilder.arguments import Arguments
from imagebuilder.cache import Cache
from imagebuilder.check import rebuild
from imagebuilder.make import MadeLayer, Workshop
from imagebuilder.progress import Progress
from imagebuilder.request import BuildRequest, Output
from imagebuilder.shared_index import Claim
from layers import entry
from layers.canonical import Json
from layers.descriptor import LAYER_GZIP, Descriptor, Platform
from layers.digest import Digest
from layers.errors import BuildError, IntegrityError, UsageError
from tests import hostile
from tests.imagebuilder.test_lock import PINS
from tests.registry import MANIFEST, Registry
from tests.serving import Answer, Application, Request

CACHE = "team/cache"


def spec(text: str, **flags: bool | str) -> LayerSpec:
    return LayerSpec(text, {"demo": text}, lambda _files: [entry.file("demo", text.encode() * 999)], **flags)


SPECS = (spec("one"), spec("two"), spec("three"))


@dataclass
class Runner:
    """A machine that builds layers: it has a cache of its own, which begins empty."""

    folder: Path
    registry: Registry
    changes: dict[str, object] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)

    @property
    def request(self) -> BuildRequest:
        name = f"{self.registry.address}/{CACHE}:main"
        first = BuildRequest(
            self.folder, "shop", Platform("linux", "amd64"), cache_from=(name,), cache_to=name, cache_dir=self.folder
        )
        return replace(first, **self.changes)  # type: ignore[arg-type]  # fields of a request by their names

    @property
    def cache(self) -> Cache:
        return Cache(self.folder)

    def build(self, *specs: LayerSpec, pins: lock.PlatformLock = PINS) -> tuple[MadeLayer, ...]:
        """Make layers, and bring them to the cache."""
        request = self.request
        workshop = Workshop(
            self.cache,
            lambda _sources: {},
            request.compression,
            1,
            use_cache=request.use_cache,
            elsewhere=known_layers.finders(request, pins, self.cache.store, self.progress),
        )
        made = workshop.make(specs, self.progress)
        known_layers.share(request, zip(specs, made, strict=True), self.cache.store, self.progress)
        return made


@pytest.fixture
def runner(registry: Registry, tmp_path: Path) -> Callable[..., Runner]:
    count = iter(range(99))
    return lambda **changes: Runner(tmp_path / str(next(count)), registry, changes)


Runners = Callable[..., Runner]


def claimed(made: Sequence[MadeLayer]) -> list[bool]:
    return [each.claimed for each in made]


def layers(made: Sequence[MadeLayer]) -> list[object]:
    return [each.layer for each in made]


def index(registry: Registry) -> tuple[Claim, ...]:
    repository = registry.repository(CACHE)
    return shared_index.read(repository.manifests[repository.tags["main"]][1])


def warnings(one: Runner) -> str:
    return "\n".join(one.progress.warnings)


def test_a_fresh_machine_takes_what_another_has_made(registry: Registry, runner: Runners) -> None:
    first = runner(cache_from=())
    made = first.build(*SPECS)
    second = runner()
    taken = second.build(*SPECS)
    assert (layers(taken), claimed(taken)) == (layers(made), [True] * 3)
    assert all(second.cache.store.verify(each.layer.descriptor.digest) for each in taken)
    assert first.progress.warnings == second.progress.warnings == []
    assert {claim.blob.digest.value for claim in index(registry)} < set(registry.repository(CACHE).blobs)


def test_what_is_brought_is_an_artifact_whose_layers_are_the_layers(registry: Registry, runner: Runners) -> None:
    (made,) = runner(cache_from=()).build(SPECS[0])
    repository = registry.repository(CACHE)
    media_type, content = repository.manifests[repository.tags["main"]]
    document = json.loads(content)
    assert (media_type, document["artifactType"]) == (MANIFEST, "application/vnd.imagebuilder.cache.v1+json")
    (described,) = document["layers"]
    assert {**described, "annotations": {}} == {**made.layer.descriptor.to_json(), "annotations": {}}
    assert repository.blobs[document["config"]["digest"]] == b"{}"


def test_one_request_reads_it_and_nothing_is_asked_of_what_is_in_the_own_cache(
    registry: Registry, runner: Runners
) -> None:
    runner(cache_from=()).build(*SPECS)
    registry.traffic.requests.clear()
    second = runner(cache_to="")
    second.build(*SPECS)
    asked = [str(one) for one in registry.traffic.requests if one.path != "/v2/"]
    assert asked[0] == f"GET /v2/{CACHE}/manifests/main"
    assert len(asked) == 1 + 3
    registry.traffic.requests.clear()
    third = runner(cache_from=(), cache_to="")
    third.build(*SPECS)
    again = Runner(third.folder, registry, {"cache_to": ""})
    assert claimed(again.build(*SPECS)) == [False] * 3
    assert registry.traffic.requests == []


def test_what_a_cache_said_is_neither_kept_here_nor_said_to_others(registry: Registry, runner: Runners) -> None:
    runner(cache_from=()).build(*SPECS)
    other = f"{registry.address}/team/other:main"
    second = runner(cache_to=other)
    second.build(*SPECS, spec("four"))
    assert [each.claimed for each in Runner(second.folder, registry, {"cache_from": ()}).build(*SPECS)] == [False] * 3
    repository = registry.repository("team/other")
    said = shared_index.read(next(iter(repository.manifests.values()))[1])
    assert [claim.key for claim in said] == [shared_cache.key(spec("four"), second.request)]


def test_layers_that_mean_something_here_alone_are_not_shared(registry: Registry, runner: Runners) -> None:
    runner(cache_from=()).build(spec("one", local="/app"), LayerSpec("two", {}, spec("two").entries), SPECS[2])
    assert [claim.key for claim in index(registry)] == [shared_cache.key(SPECS[2], runner().request)]


def test_a_push_alone_has_layers_mounted_and_none_of_them_here(registry: Registry, runner: Runners) -> None:
    made = runner(cache_from=()).build(*SPECS)
    registry.traffic.requests.clear()
    second = runner(push=True, tags=(f"{registry.address}/shop:1",), cache_to="")
    taken = second.build(*SPECS)
    assert layers(taken) == layers(made)
    assert {str(each.origin) for each in taken} == {f"{registry.address}/shop:1"}
    assert {each.layer.descriptor.digest.value for each in taken} == set(registry.repository("shop").blobs)
    assert registry.traffic.asked("GET", "/blobs/") == registry.traffic.received == 0
    assert not any(second.cache.store.has(each.layer.descriptor.digest) for each in taken)


def test_a_push_to_another_registry_has_them_streamed(registry: Registry, runner: Runners) -> None:
    made = runner(cache_from=()).build(*SPECS)
    with Registry().running() as other:
        second = runner(push=True, tags=(f"{other.address}/shop:1",), cache_to="")
        assert layers(second.build(*SPECS)) == layers(made)
        assert {each.layer.descriptor.digest.value for each in made} == set(other.repository("shop").blobs)
    assert not any(second.cache.store.has(each.layer.descriptor.digest) for each in made)


def test_layers_of_several_caches_are_taken_from_the_first_that_has_them(registry: Registry, runner: Runners) -> None:
    names = [f"{registry.address}/{name}:main" for name in ("a", "b")]
    runner(cache_from=(), cache_to=names[0]).build(SPECS[0])
    runner(cache_from=(), cache_to=names[1]).build(*SPECS[:2])
    registry.traffic.requests.clear()
    assert claimed(runner(cache_from=tuple(names), cache_to="").build(*SPECS)) == [True, True, False]
    assert registry.traffic.asked("GET", "/v2/a/blobs/") == registry.traffic.asked("GET", "/v2/b/blobs/") == 1


@pytest.mark.parametrize("changes", [{"use_cache": False}, {"offline": True}])
def test_without_a_cache_or_a_network_none_is_asked(
    registry: Registry, runner: Runners, changes: dict[str, bool]
) -> None:
    runner(cache_from=()).build(*SPECS)
    registry.traffic.requests.clear()
    assert claimed(runner(**changes, cache_to="").build(*SPECS)) == [False] * 3
    assert registry.traffic.requests == []


@pytest.mark.parametrize("changes", [{"compression": "zstd"}, {"release": "0.0.0"}, {"platform": "other"}])
def test_layers_of_another_compressor_release_or_platform_are_others_and_stay(
    registry: Registry, runner: Runners, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner(cache_from=()).build(SPECS[0])
    if "release" in changes:
        monkeypatch.setattr(imagebuilder, "__version__", changes["release"])
    other = runner(compression=changes.get("compression", "gzip"))
    # What is made for another platform is made of other inputs.
    wanted = spec("one for arm64") if "platform" in changes else SPECS[0]
    assert claimed(other.build(wanted)) == [False]
    assert len(index(registry)) == 2
    assert other.progress.warnings == []


def test_a_cache_is_added_to_and_what_was_used_last_comes_first(registry: Registry, runner: Runners) -> None:
    runner(cache_from=()).build(*SPECS)
    runner(cache_from=()).build(SPECS[2], spec("four"))
    request = runner().request
    wanted = [shared_cache.key(each, request) for each in (SPECS[2], spec("four"), *SPECS[:2])]
    assert [claim.key for claim in index(registry)] == wanted


def test_a_build_with_nothing_new_writes_nothing(registry: Registry, runner: Runners) -> None:
    first = runner(cache_from=())
    first.build(*SPECS)
    registry.traffic.requests.clear()
    Runner(first.folder, registry, {"cache_from": ()}).build(*SPECS)
    assert [str(one) for one in registry.traffic.requests if one.path != "/v2/"] == [f"GET /v2/{CACHE}/manifests/main"]


def claims(count: int, size: int = 1) -> tuple[Claim, ...]:
    def one(number: int) -> Claim:
        name = Digest.of(str(number).encode())
        return Claim(name, Descriptor(LAYER_GZIP, name, size), name)

    return tuple(map(one, range(count)))


def test_an_index_ends_where_it_is_too_long_and_keeps_what_is_used() -> None:
    full = claims(shared_index.MOST_LAYERS)
    new = replace(full[0], key=Digest.of(b"new"))
    after = shared_index.merged(full, {new.key: new}, (new.key, full[-1].key))
    assert after == (new, full[-1], *full[:-2])
    large = claims(30, size=4 << 30)
    assert shared_index.merged(large, {}, (large[20].key,)) == (large[20], *large[:11])


def test_what_is_used_is_brought_to_the_front_before_it_would_be_dropped() -> None:
    full = claims(shared_index.MOST_LAYERS)
    for place, worth in ((0, False), (shared_index.MOST_LAYERS // 2, True)):
        used = (full[place].key,)
        assert shared_index.is_worth_writing(full, shared_index.merged(full, {}, used), used) is worth


def test_an_index_that_is_read_is_what_was_written() -> None:
    full = claims(shared_index.MOST_LAYERS)
    assert shared_index.read(shared_index.write(full)) == full
    assert len(shared_index.write(full)) < 1 << 18


def test_an_image_is_no_cache_ib956_and_is_never_replaced_by_one(registry: Registry, runner: Runners) -> None:
    image = registry.put_image(CACHE, b"layer", tag="main")
    one = runner()
    assert claimed(one.build(*SPECS)) == [False] * 3
    assert "is not of use: it is no cache of layers that this version knows" in warnings(one)
    assert "is left as it is: it is no cache" in warnings(one)
    assert warnings(one).count("(IB956)") == 2
    assert registry.repository(CACHE).tags["main"] == image


def document(**changes: Json) -> bytes:
    (claim,) = claims(1)
    return json.dumps({**json.loads(shared_index.write([claim])), **changes}).encode()


def layer(**changes: Json) -> bytes:
    (described,) = json.loads(document())["layers"]
    return document(layers=[{**described, **changes}])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{}", "IB956"),
        (document(artifactType="application/vnd.imagebuilder.cache.v0+json"), "IB956"),
        (document(artifactType=7), "IB654"),
        (document(layers=7), "IB654"),
        (document(layers=[7]), "IB654"),
        (layer(digest="sha256:0"), "IB501"),
        (layer(size=-1), "IB501"),
        (layer(size=1 << 62), "IB654"),
        (layer(size=True), "IB654"),
        (layer(annotations={}), "IB501"),
        (layer(annotations={"dev.imagebuilder.key": "../../etc"}), "IB501"),
        (layer(annotations=[1]), "IB654"),
        (b"[" * 100_000, "IB654"),
        (b"\xff", "IB654"),
    ],
)
def test_a_damaged_index_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        shared_index.read(content)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "content",
    [
        document(artifactType="application/vnd.imagebuilder.cache.v0+json"),
        layer(size=1 << 62),
        layer(annotations={}),
    ],
)
def test_an_index_of_an_older_version_or_a_damaged_one_is_not_used_and_made_anew(
    registry: Registry, runner: Runners, content: bytes
) -> None:
    registry.put_manifest(CACHE, content, "main")
    one = runner()
    assert claimed(one.build(*SPECS)) == [False] * 3
    assert "is not of use" in warnings(one) and "left as it is" not in warnings(one)
    assert len(index(registry)) == 3


def broken(fault: hostile.Fault, part: str) -> hostile.Fault:
    return hostile.at("GET", part, fault)


@pytest.mark.parametrize(
    "fault",
    [
        broken(hostile.says(403), "/manifests/"),
        broken(hostile.endless(), "/manifests/"),
        broken(hostile.html(), "/manifests/"),
        broken(hostile.flipped(), "/blobs/"),
        broken(hostile.longer(), "/blobs/"),
        broken(hostile.endless(), "/blobs/"),
        broken(hostile.says(404), "/blobs/"),
    ],
)
@pytest.mark.parametrize("pushes", [False, True])
def test_whatever_a_registry_does_the_layers_come_out_as_ever(
    registry: Registry, runner: Runners, fault: hostile.Fault, pushes: bool
) -> None:
    made = runner(cache_from=()).build(*SPECS)
    registry.faults.append(fault)
    with Registry().running() as target:
        one = runner(cache_to="", **({"push": True, "tags": (f"{target.address}/shop:1",)} if pushes else {}))
        found = one.build(*SPECS)
        assert not {each.layer.descriptor.digest.value for each in made} & set(target.repository("shop").blobs)
    assert (layers(found), claimed(found)) == (layers(made), [False] * 3)
    assert "is not of use" in warnings(one)


def test_a_registry_that_is_gone_or_has_no_cache_costs_a_warning(tmp_path: Path) -> None:
    with Registry().running() as gone:
        one = Runner(tmp_path / "one", gone, {"cache_to": ""})
        assert claimed(one.build(*SPECS)) == [False] * 3
        assert f"does not have {gone.address}/{CACHE}:main" in warnings(one)
    two = Runner(tmp_path / "two", gone, {"cache_from": ()})
    two.build(*SPECS)
    assert "is left as it is: cannot reach" in warnings(two)


def test_a_layer_that_the_registry_has_lost_is_made_and_brought_again(registry: Registry, runner: Runners) -> None:
    made = runner(cache_from=()).build(*SPECS)
    del registry.repository(CACHE).blobs[made[1].layer.descriptor.digest.value]
    one = runner(cache_to="")
    assert claimed(one.build(*SPECS)) == [True, False, True]
    assert "is not of use" in warnings(one)


def test_a_cache_that_has_lost_layers_of_others_is_begun_anew(registry: Registry, runner: Runners) -> None:
    made = runner(cache_from=()).build(*SPECS)
    del registry.repository(CACHE).blobs[made[1].layer.descriptor.digest.value]
    one = runner(cache_from=())
    one.build(spec("four"))
    assert [claim.key for claim in index(registry)] == [shared_cache.key(spec("four"), one.request)]
    assert one.progress.warnings == []


def test_what_others_have_brought_stays_if_the_index_cannot_be_written(registry: Registry, runner: Runners) -> None:
    made = runner(cache_from=()).build(*SPECS)
    before = index(registry)
    registry.faults.append(hostile.at("PUT", "/manifests/", hostile.says(503), times=4))
    one = runner(cache_from=())
    one.build(spec("four"))
    assert "is left as it is" in warnings(one)
    assert index(registry) == before
    registry.faults.clear()
    # Somebody who has made nothing has nothing to begin anew with.
    del registry.repository(CACHE).blobs[made[1].layer.descriptor.digest.value]
    full = (*claims(shared_index.MOST_LAYERS // 2), *before)
    registry.put_manifest(CACHE, shared_index.write(full), "main")
    taking = runner()
    assert claimed(taking.build(SPECS[0])) == [True]
    assert "is left as it is" in warnings(taking)
    assert index(registry) == full


def test_who_may_only_read_takes_and_brings_nothing(registry: Registry, runner: Runners) -> None:
    runner(cache_from=()).build(*SPECS)
    registry.read_only.add(CACHE)
    one = runner()
    assert claimed(one.build(*SPECS, spec("four"))) == [True, True, True, False]
    assert "is left as it is" in warnings(one)
    assert len(index(registry)) == 3


def test_of_two_who_write_at_once_one_wins_and_nothing_is_torn(registry: Registry, runner: Runners) -> None:
    both = [runner(cache_from=()) for _ in range(2)]
    meeting = threading.Barrier(2, timeout=10)

    def meet(request: Request, answer: Application) -> Answer:
        found = answer(request)
        if request.method == "GET" and "/manifests/" in request.path:
            meeting.wait()
        return found

    registry.faults.append(meet)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: pair[0].build(pair[1]), zip(both, SPECS[:2], strict=True)))
    registry.faults.clear()
    (left,) = index(registry)
    assert left.blob.digest.value in registry.repository(CACHE).blobs
    third = runner()
    assert sorted(claimed(third.build(*SPECS[:2]))) == [False, True]
    assert len(index(registry)) == 2


def wrong(registry: Registry, runner: Runners) -> Digest:
    """Have the cache say that the first layer is the second; return what it says."""
    runner(cache_from=()).build(*SPECS[:2])
    first, second = index(registry)
    lie = replace(second, key=first.key)
    registry.put_manifest(CACHE, shared_index.write([lie, second]), "main")
    return second.blob.digest


def test_what_a_cache_says_is_believed_and_who_makes_the_layer_finds_it_wrong(
    registry: Registry, runner: Runners
) -> None:
    """docs/decisions/0192-caches-that-a-team-shares.md says why."""
    lie = wrong(registry, runner)
    assert [each.layer.descriptor.digest for each in runner(cache_to="").build(SPECS[0])] == [lie]
    honest = runner(use_cache=False)
    (made,) = honest.build(SPECS[0])
    assert f"said wrongly {lie} of a layer: it is {made.layer.descriptor.digest} (IB956)" in warnings(honest)
    assert index(registry)[0].blob == made.layer.descriptor


def test_what_the_lock_says_of_a_layer_counts_more_and_it_is_not_told_what_a_cache_says(
    registry: Registry, runner: Runners
) -> None:
    pinned = replace(SPECS[0], pinned=True)
    one = runner(cache_from=(), cache_to="")
    one.folder.mkdir()
    lock.write(one.folder, {"linux/amd64": PINS})
    made = one.build(pinned)
    known_layers.settle(one.request, PINS, [pinned], made, one.progress)
    pins = lock.read(one.folder)["linux/amd64"]
    assert len(pins.layers) == 1
    wrong(registry, runner)
    two = runner(cache_to="")
    assert claimed(two.build(pinned, pins=pins)) == [False]
    assert "a cache says wrongly of the layer one" in warnings(two)
    three = runner(cache_to="")
    three.folder.mkdir()
    lock.write(three.folder, {"linux/amd64": PINS})
    taken = three.build(pinned)
    assert claimed(taken) == [True]
    known_layers.settle(three.request, PINS, [pinned], taken, three.progress)
    assert lock.read(three.folder)["linux/amd64"].layers == ()


@pytest.mark.usefixtures("clean_environment")
def test_caches_are_named_by_flags_and_variables_and_never_by_a_project(tmp_path: Path) -> None:
    variables = {"IMAGEBUILDER_CACHE_FROM": "reg.example.com/a reg.example.com/b:1"}
    flags = {"cache-to": ("reg.example.com/c:main",)}
    request = config.load(config.choose(Arguments("build", str(tmp_path), flags), variables)).request
    assert request.cache_from == ("reg.example.com/a", "reg.example.com/b:1")
    assert request.cache_to == "reg.example.com/c:main"
    for key in ("cache-from", "cache-to"):
        (tmp_path / "imagebuilder.toml").write_text(f'{key} = "reg.example.com/a"\n')
        with pytest.raises(UsageError, match=key):
            config.load(config.choose(Arguments("build", str(tmp_path), {}), {}))


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize(
    ("flag", "name", "code"),
    [
        ("cache-from", "Not A Name", "IB652"),
        ("cache-to", "reg.example.com/a@sha256:" + "0" * 64, "IB652"),
        ("cache-to", "a", "IB241"),
    ],
)
def test_a_name_that_no_cache_can_have_is_told_at_once(tmp_path: Path, flag: str, name: str, code: str) -> None:
    with pytest.raises(BuildError) as caught:
        config.load(config.choose(Arguments("build", str(tmp_path), {flag: (name,)}), {}))
    assert caught.value.code == code


@pytest.mark.usefixtures("clean_environment")
def test_builds_of_a_check_and_of_an_audit_know_of_no_cache(tmp_path: Path) -> None:
    variables = {"IMAGEBUILDER_CACHE_FROM": "reg.example.com/a", "IMAGEBUILDER_CACHE_TO": "reg.example.com/b"}
    for command in ("check", "audit"):
        chosen = config.choose(Arguments(command, str(tmp_path), {}), variables)
        request = config.load(chosen).request
        assert (request.cache_from, request.cache_to) == ((), "")
        assert rebuild.child_environment(chosen, request) == {}
    outputs = (Output("oci", "x"),)
    assert known_layers.finders(replace(request, outputs=outputs), PINS, Cache(tmp_path).store, Progress()) == ()
    assert reference.parse("reg.example.com/a").tag == "latest"
