"""Images that other builders made twice: what differs in them is found and explained, without a remainder."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import findings, foreign
from tests.containers import imagebuilder
from tests.findings import Findings
from tests.foreign import Buildah, Docker
from tests.registry import Registry

# The first test waits for all images to be made.
pytestmark = [
    pytest.mark.network, pytest.mark.docker, pytest.mark.tools, pytest.mark.root, pytest.mark.timeout(1800)
]  # fmt: skip

# What becomes of an image that is stored in another form: Docker's own fields have no place in OCI's.
CONVERTED = {"container", "config-field", "label"}
COMPRESSED = {"compression", "compressor", "gzip-header", "media-type", "derived"}
# What the same Dockerfile leaves behind, whoever builds from it.
TRACES = {
    "mtime": "app/built",
    "pyc-time": "venv/lib/python3.13/site-packages/flask/__pycache__/app.cpython-313.pyc",
    "log": "var/log/dpkg.log",
    "timestamp": "app/built",
    "random": "app/token",
    "set-order": "app/tags.json",
    "zip-time": "app/assets.zip",
    "created": "created",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Findings]:
    """What `imagebuilder diff` says of each pair."""
    if missing := foreign.missing():
        pytest.skip(f"not installed: {missing}")
    return findings.once(
        tmp_path_factory,
        "foreign",
        lambda folder: dict(_pairs(folder, request.getfixturevalue("docker_environment"))),
    )


def _pairs(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    base, context = folder / "base.tar", folder / "context"
    foreign.write_base(base)
    foreign.write_context(context)

    def diff(*arguments: str) -> dict[str, Any]:
        done = imagebuilder("diff", *arguments, "--json", cwd=folder, environment=environment)
        assert done.returncode in (0, 1), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        assert document["same"] == (done.returncode == 0)
        return document

    docker = Docker(environment)
    docker.load_base(base)
    for tag in ("one", "two"):
        docker.build(tag, context)
    one, two = (docker.save(tag, folder) for tag in ("one", "two"))
    yield "docker", diff(one, two)
    yield "docker, file systems", diff(one, two, "--rootfs")
    yield "saved", diff("docker:one", one)
    for tag in ("third", "fourth"):
        docker.commit(tag, "one")
    yield "commit", diff(*(docker.save(tag, folder) for tag in ("third", "fourth")))
    foreign.run("skopeo", "copy", f"docker-{one}", f"oci:{folder / 'one.oci'}:latest")
    yield "converted", diff(one, f"oci:{folder / 'one.oci'}")
    with Registry().running() as registry:
        name = f"{registry.address}/team/one:1"
        docker("tag", "one", name)
        docker("push", "--quiet", name)
        yield "pushed", diff(one, name)
        yield "stored twice", diff(name, f"oci:{folder / 'one.oci'}")
    buildah = Buildah(folder / "buildah")
    buildah.folder.mkdir()
    buildah.load_base(base)
    today, later = buildah.build("today", context), buildah.build("later", context, ahead="+40d")
    yield "buildah", diff(today, later)
    yield "buildah, file systems", diff(today, later, "--rootfs")
    yield "two builders", diff(one, today, "--rootfs")


@pytest.mark.parametrize("pair", ["docker", "docker, file systems", "commit", "buildah", "buildah, file systems"])
def test_everything_is_explained(found: Mapping[str, Findings], pair: str) -> None:
    assert not found[pair].document["same"]
    assert found[pair].of("unknown") == set()


@pytest.mark.parametrize("pair", ["docker", "buildah"])
@pytest.mark.parametrize(("cause", "path"), TRACES.items())
def test_the_traces_of_a_dockerfile_are_found(found: Mapping[str, Findings], pair: str, cause: str, path: str) -> None:
    assert path in found[pair].of(cause)


@pytest.mark.parametrize("pair", ["docker, file systems", "buildah, file systems"])
def test_the_final_file_systems_show_the_same_traces_without_layers(found: Mapping[str, Findings], pair: str) -> None:
    assert {one.part for one in found[pair].all} == {"file"}
    for cause, path in TRACES.items():
        assert cause == "created" or path in found[pair].of(cause)


@pytest.mark.parametrize("pair", ["docker", "buildah"])
def test_names_of_containers_and_tokens_are_taken_for_random_and_databases_are_read(
    found: Mapping[str, Findings], pair: str
) -> None:
    assert {"app/host", "app/token"} <= found[pair].of("random")
    assert "app/app.db" in found[pair].of("timestamp")


def test_caches_of_apt_and_the_linker_are_named(found: Mapping[str, Findings]) -> None:
    caches = found["buildah"].of("cache-file")
    assert {"var/cache/apt/pkgcache.bin", "var/cache/ldconfig/aux-cache"} <= caches


def test_the_day_of_an_account_is_found(found: Mapping[str, Findings]) -> None:
    assert "etc/shadow" in found["buildah"].of("account-date")


def test_logs_of_packages_are_found(found: Mapping[str, Findings]) -> None:
    logs = {"var/log/dpkg.log", "var/log/apt/history.log", "var/log/apt/term.log"}
    for pair in ("docker", "buildah"):
        assert logs <= found[pair].of("log")


def test_the_container_that_was_committed_is_found(found: Mapping[str, Findings]) -> None:
    assert {"config.Hostname", "container"} <= found["commit"].of("container")
    assert "app/patched" in found["commit"].of("timestamp")


@pytest.mark.parametrize("pair", ["saved", "pushed"])
def test_an_image_is_the_same_wherever_docker_puts_it(found: Mapping[str, Findings], pair: str) -> None:
    """Manifests and compression count where both sides have them; an engine keeps neither."""
    assert found[pair].document["same"]


def test_an_image_that_skopeo_converts_loses_only_fields_of_its_config(found: Mapping[str, Findings]) -> None:
    assert {one.part for one in found["converted"].all} == {"config"}
    assert found["converted"].causes <= CONVERTED


def test_two_programs_compress_the_same_layers_otherwise(found: Mapping[str, Findings]) -> None:
    layers = [one for one in found["stored twice"].all if one.part == "layer"]
    assert {one.cause for one in layers} <= {"compressor", "gzip-header"}
    assert "compressor" in {one.cause for one in layers}
    assert found["stored twice"].causes <= CONVERTED | COMPRESSED
    assert found["stored twice"].of("media-type")


def test_two_builders_leave_the_same_file_system_but_for_traces(found: Mapping[str, Findings]) -> None:
    kinds = {one.aspect for one in found["two builders"].all if one.path.startswith("venv/")}
    assert kinds == {"mtime", "owner name", "content"}
    assert found["two builders"].of("unknown") == set()
