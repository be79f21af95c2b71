"""The examples, pushed to real registries: whoever pulls them sees the same digest, and they run."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests import containers, registries
from tests.containers import ask, finished, imagebuilder
from tests.registries import Registries

pytestmark = [pytest.mark.network, pytest.mark.docker, pytest.mark.tools]

SERVERS = {"flask": "Hello from a reproducible image!", "django": "Moby-Dick"}
PROGRAMS = {"pandas": "Bergen", "script": "python 3.13."}


@dataclass(frozen=True)
class Client:
    """What a user of a registry has: its address, and a login and an authority if it asks for them."""

    registry: str
    login: Path
    authority: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        trusted = {"SSL_CERT_FILE": str(self.authority)} if self.authority else {}
        return {"DOCKER_CONFIG": str(self.login), **trusted}

    @property
    def tls(self) -> list[str]:
        """The flags of skopeo and podman."""
        if self.authority is None:
            return ["--tls-verify=false"]
        return [f"--cert-dir={self.authority.parent}", f"--authfile={self.login}/config.json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def open_to_all(running_registries: Registries, folder: Path) -> Client:
    return Client(running_registries.plain, folder / "nobody")


@pytest.fixture(scope="module")
def with_password(running_registries: Registries, folder: Path) -> Client:
    return logged_in(running_registries.secure, running_registries, folder / "password")


@pytest.fixture(scope="module")
def with_tokens(running_registries: Registries, folder: Path) -> Client:
    return logged_in(running_registries.tokens, running_registries, folder / "tokens")


def logged_in(registry: str, places: Registries, folder: Path, *, password: str = registries.PASSWORD) -> Client:
    login = registries.log_in(folder, registry, password=password)
    # skopeo and podman take every *.crt in a folder for an authority.
    authority = login / "ca.crt"
    authority.write_bytes(places.authority.read_bytes())
    return Client(registry, login, authority)


@pytest.mark.parametrize("kind", ["open_to_all", "with_password"])
@pytest.mark.parametrize("example", [*SERVERS, *PROGRAMS])
def test_an_example_has_one_digest_wherever_it_is_pulled_to(
    example: str, kind: str, request: pytest.FixtureRequest, folder: Path, docker_environment: dict[str, str]
) -> None:
    client: Client = request.getfixturevalue(kind)
    name = f"{client.registry}/team/{example}"
    pushed = push(folder, example, client, f"{name}:1", f"{name}:latest")
    digest = pushed.removeprefix(f"{name}@")
    assert skopeo_digest(f"{name}:latest", client) == digest
    assert podman_digest(f"{name}:1", client) == digest
    assert docker_digests(example, f"{name}:1", client, docker_environment) == [pushed]


def test_a_push_with_a_token_arrives_and_one_without_the_permission_does_not(
    folder: Path, with_tokens: Client, running_registries: Registries
) -> None:
    name = f"{with_tokens.registry}/team/script"
    flags = ["--token-host", running_registries.token_host]
    pushed = try_push(folder, "script", with_tokens, f"{name}:1", flags=flags)
    assert pushed.stdout == f"{name}@{skopeo_digest(f'{name}:1', with_tokens)}\n", pushed.stderr
    refused = try_push(folder, "script", with_tokens, f"{with_tokens.registry}/closed/script:1", flags=flags)
    assert_says(refused, 5, "IB205", "with closed/script", "ask for the permission", f"from {with_tokens.login}")


def test_a_token_server_elsewhere_is_not_told_the_password(folder: Path, with_tokens: Client) -> None:
    refused = try_push(folder, "script", with_tokens, f"{with_tokens.registry}/team/script:2")
    assert_says(refused, 5, "IB204", "but not at 127.0.0.1:", "--token-host")


def test_one_build_is_pushed_to_several_registries(folder: Path, open_to_all: Client, with_password: Client) -> None:
    names = [f"{client.registry}/team/several:1" for client in (open_to_all, with_password)]
    digest = push(folder, "script", with_password, *names).partition("@")[2]
    assert [skopeo_digest(names[0], open_to_all), skopeo_digest(names[1], with_password)] == [digest, digest]


def test_an_unchanged_image_is_not_uploaded_again(folder: Path, with_password: Client) -> None:
    name = f"{with_password.registry}/team/again:1"
    first = try_push(folder, "script", with_password, name)
    second = try_push(folder, "script", with_password, name)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout
    assert "uploaded" in first.stderr
    assert "uploaded" not in second.stderr


@pytest.mark.parametrize("kind", ["open_to_all", "with_password"])
def test_a_cache_in_a_registry_is_all_that_a_fresh_machine_needs(
    kind: str, request: pytest.FixtureRequest, folder: Path, tmp_path: Path
) -> None:
    client: Client = request.getfixturevalue(kind)
    cache, app = f"{client.registry}/team/cache", folder / "flask"
    first = try_push(folder, "flask", client, f"{client.registry}/team/cached:1", flags=["--cache-to", cache])
    assert (first.returncode, "warning" in first.stderr) == (0, False), first.stderr
    nowhere = dict.fromkeys(("IMAGEBUILDER_DEBIAN_MIRROR", "IMAGEBUILDER_DEBIAN_SNAPSHOT"), "http://127.0.0.1:9/debian")
    second = imagebuilder(
        *("build", str(app), "--cache-dir", str(tmp_path), "--locked", "--cache-from", cache),
        *("--push", "--tag", f"{client.registry}/elsewhere/cached:1"),
        environment={**client.environment, **nowhere, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"},
    )
    assert (second.returncode, "warning" in second.stderr) == (0, False), second.stderr
    assert second.stdout.partition("@")[2] == first.stdout.partition("@")[2]
    assert sum(path.stat().st_size for path in (tmp_path / "blobs" / "sha256").iterdir()) < 1 << 20
    assert skopeo_digest(f"{client.registry}/elsewhere/cached:1", client) == second.stdout.strip().partition("@")[2]


@pytest.mark.skipif(not shutil.which("docker"), reason="the command line of Docker is not installed")
def test_what_docker_login_keeps_is_enough(
    folder: Path, running_registries: Registries, docker_environment: dict[str, str], tmp_path: Path
) -> None:
    client = Client(running_registries.secure, tmp_path, running_registries.authority)
    command = ["docker", "login", "--username", registries.USER, "--password-stdin", client.registry]
    environment = {**docker_environment, **client.environment}
    subprocess.run(command, env=environment, input=registries.PASSWORD, text=True, check=True, capture_output=True)
    assert try_push(folder, "script", client, f"{client.registry}/team/login:1").returncode == 0


def test_a_copy_from_one_registry_to_another_has_the_same_digest(
    folder: Path, open_to_all: Client, with_password: Client
) -> None:
    source, target = (f"{client.registry}/team/copied:1" for client in (open_to_all, with_password))
    digest = push(folder, "script", open_to_all, source).partition("@")[2]
    copied = imagebuilder("copy", source, target, environment=with_password.environment)
    assert copied.returncode == 0, copied.stderr
    assert skopeo_digest(target, with_password) == digest
    inspected = imagebuilder("inspect", target, "--json", environment=with_password.environment)
    assert json.loads(inspected.stdout)["manifest_digest"] == digest


def test_a_wrong_password_is_refused_and_its_source_named(
    folder: Path, running_registries: Registries, tmp_path: Path
) -> None:
    client = logged_in(running_registries.secure, running_registries, tmp_path / "login", password="quite another")
    refused = try_push(folder, "script", client, f"{client.registry}/team/script:2")
    assert_says(refused, 5, "IB204", "docker login", f'tried: user "{registries.USER}" from {client.login}/config.json')
    assert "quite another" not in refused.stdout + refused.stderr


def test_no_password_is_refused(folder: Path, running_registries: Registries, tmp_path: Path) -> None:
    client = Client(running_registries.secure, tmp_path, running_registries.authority)
    refused = try_push(folder, "script", client, f"{client.registry}/team/script:2")
    assert_says(refused, 5, "IB204", f"docker login {client.registry}", "tried: ")


def test_a_registry_that_only_reads_is_said_to_refuse(folder: Path, running_registries: Registries) -> None:
    client = Client(running_registries.read_only, folder / "nobody")
    refused = try_push(folder, "script", client, f"{client.registry}/team/script:1")
    assert_says(refused, 5, "IB215", "405")


def test_an_unknown_authority_is_not_trusted(folder: Path, with_password: Client) -> None:
    stranger = Client(with_password.registry, with_password.login)
    refused = try_push(folder, "script", stranger, f"{stranger.registry}/team/script:1")
    assert_says(refused, 5, "IB202", "SSL_CERT_FILE")


def test_plain_http_is_not_spoken_to_a_registry_with_tls(folder: Path, with_password: Client) -> None:
    name = f"{with_password.registry}/team/script:1"
    refused = try_push(folder, "script", with_password, name, flags=["--insecure-registry", with_password.registry])
    assert_says(refused, 2, "IB203", "speaks TLS", f"leave out `--insecure-registry {with_password.registry}`")


def test_an_unknown_repository_is_named(with_password: Client) -> None:
    name = f"{with_password.registry}/nobody/knows:1"
    refused = imagebuilder("inspect", name, environment=with_password.environment)
    assert_says(refused, 5, "IB206", "nobody/knows", "check the name and the tag")


def push(folder: Path, example: str, client: Client, *names: str) -> str:
    """Push an example as a user does and return the line that says where it is."""
    pushed = try_push(folder, example, client, *names)
    assert pushed.returncode == 0, pushed.stderr
    (line,) = pushed.stdout.splitlines()
    return line


def try_push(
    folder: Path, example: str, client: Client, *names: str, flags: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Build an example once, then push it to names."""
    app = folder / example
    cache = ("--cache-dir", str(folder / "cache"))
    if not app.exists():
        shutil.copytree(containers.ROOT / "examples" / example, app, ignore=shutil.ignore_patterns("dist", "*.lock"))
        locked = imagebuilder("build", str(app), *cache, "--output", f"oci:{folder}/layouts/{example}")
        assert locked.returncode == 0, locked.stderr
    tags = [word for name in names for word in ("--tag", name)]
    return imagebuilder("build", str(app), *cache, "--locked", "--push", *tags, *flags, environment=client.environment)


def assert_says(refused: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Expect an exit code, nothing on stdout, and words in the error."""
    assert (refused.returncode, refused.stdout) == (code, ""), refused.stderr
    assert [word for word in words if word not in refused.stderr] == [], refused.stderr


def runs(example: str, container: Container) -> bool:
    if example in SERVERS:
        return SERVERS[example] in ask(container, "http://127.0.0.1:8000/")
    return PROGRAMS[example] in finished(container)


def docker_digests(example: str, name: str, client: Client, environment: dict[str, str]) -> list[str]:
    """Pull with Docker, see it run, and return the names with digests that it knows the image by."""
    auth = {"username": registries.USER, "password": registries.PASSWORD} if client.authority else None
    with containers.running(environment) as engine:
        image = engine.client.images.pull(*name.rsplit(":", 1), auth_config=auth)
        assert runs(example, engine.run(name))
    with closing(docker.from_env(environment=environment)) as connection:
        connection.images.remove(image.id, force=True)  # the next registry has to give it again
    return list(image.attrs["RepoDigests"])


def skopeo_digest(name: str, client: Client) -> str:
    return tool("skopeo", "inspect", *client.tls, "--format", "{{.Digest}}", f"docker://{name}")


def podman_digest(name: str, client: Client) -> str:
    """Pull with podman and return what it takes for the digest of the manifest."""
    # Not tmp_path: podman takes no path of more than 50 bytes here.
    with tempfile.TemporaryDirectory() as place:
        podman = ("podman", "--root", f"{place}/root", "--runroot", f"{place}/run")
        tool(*podman, "pull", "--quiet", *client.tls, name)
        return tool(*podman, "image", "inspect", "--format", "{{.Digest}}", name)


def tool(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
